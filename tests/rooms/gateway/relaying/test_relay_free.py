"""Calls that nobody is billed for: refused as others are, tried as others are, and no money is held for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from finops.budgets.services.stops import stop_now
from finops.orgs.models import VirtualKey
from finops.orgs.services import add_agent
from routing.gateway.refusals import IsStopped
from tests.factories.budgets import budget
from tests.factories.gateway import Gateway
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import Exchange, charged, counting, deployed, idle, message
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens

LOOPER = {"x-capstan-agent": "looper", "x-capstan-team": "search"}


def refusal(said: Exchange) -> tuple[int, str, str, str | None]:
    """All that a client goes by."""
    error = said.body["error"]
    return said.status, error["code"], error["message"], said.headers.get("x-should-retry")


@pytest.mark.parametrize("dimension", ["organization", "team", "agent", "key"])
def test_who_is_stopped_counts_no_tokens_either(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, dimension: str
) -> None:
    agent = add_agent(organization_id=cast.acme.id, name="Looper", by=HOUSE, at=now)
    subjects = {"team": cast.search.id, "agent": agent.id, "key": VirtualKey.objects.get().id}
    subject = str(subjects.get(dimension, ""))
    stop_now(organization_id=cast.acme.id, dimension=dimension, subject=subject, reason="It loops", by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    said = counting(gateway, secret, headers=LOOPER).whole()
    assert refusal(said) == refusal(message(gateway, secret, headers=LOOPER).whole())
    assert (said.status, said.body["type"], said.body["error"]["code"]) == (429, "error", "budgets.stopped")
    assert provider.seen == []


def test_a_model_that_is_not_allowed_counts_nothing(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    draft = LimitDraft(dimension="team", subject=str(cast.search.id), allowed_models=("gpt",))
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    said = counting(gateway, secret, headers={"x-capstan-team": "search"}).whole()
    assert (said.status, said.body["error"]["code"]) == (403, "budgets.model_not_allowed")
    assert refusal(said) == refusal(message(gateway, secret, headers={"x-capstan-team": "search"}).whole())
    assert provider.seen == []
    assert counting(gateway, secret).whole().status == 200


def test_they_are_requests_of_their_minute_and_no_tokens(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    draft = LimitDraft(dimension="key", requests_per_minute=2, tokens_per_minute=5)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    assert message(gateway, secret).whole().body["error"]["code"] == "budgets.rate_limited"
    assert [counting(gateway, secret).whole().status for _ in range(2)] == [200, 200]
    said = counting(gateway, secret).whole()
    assert (said.status, said.body["error"]["code"]) == (429, "budgets.rate_limited")
    assert "2 requests a minute" in said.body["error"]["message"]
    assert 0 < int(said.headers["retry-after"]) <= 66
    assert len(provider.seen) == 2


@pytest.mark.parametrize("ends", ["answered", "refused", "left"])
def test_each_is_one_of_the_calls_at_once_until_it_is_over(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, ends: str
) -> None:
    set_limit(organization_id=cast.acme.id, draft=LimitDraft(dimension="key", max_concurrent=1), by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    provider.then(Plan(hangs=True, status=418 if ends == "refused" else 200))
    first = counting(gateway, secret)
    provider.asked(1)
    for speak in (counting, message):
        said = speak(gateway, secret).whole()
        assert (said.status, said.body["error"]["code"]) == (429, "budgets.rate_limited")
        assert "concurrency" in said.body["error"]["message"]
    if ends == "left":
        first.leave()
    else:
        provider.release()
    assert first.whole().status == {"answered": 200, "refused": 418, "left": 0}[ends]
    assert [speak(gateway, secret).whole().status for speak in (counting, message)] == [200, 200]
    idle(gateway, provider)


def test_no_money_is_asked_for_however_little_there_is(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "0.000001", at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    assert message(gateway, secret).whole().body["error"]["code"] == "budgets.exceeded"
    assert counting(gateway, secret).whole().body["input_tokens"] > 0
    idle(gateway, provider)
    assert charged(gateway) == []


@pytest.mark.parametrize(("fail_open", "status"), [(None, 503), (False, 503), (True, 200)])
def test_a_minute_that_cannot_be_asked_about_refuses_but_where_the_budgets_go_on(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, fail_open: bool | None, status: int
) -> None:
    if fail_open is not None:
        budget(cast.acme.id, "1", at=now, fail_open=fail_open)
    set_limit(organization_id=cast.acme.id, draft=LimitDraft(dimension="key", requests_per_minute=5), by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    gateway.loses_its_database()
    assert counting(gateway, secret).whole().status == status


def test_another_upstream_answers_in_the_same_cases_as_of_any_call(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream
) -> None:
    for status in (401, 403, 404, 408, 409, 425, 429, 500, 503, 529):
        provider.then(Plan(status=status))
        said = counting(two, secret).whole()
        assert (said.status, said.headers["x-capstan-tries"]) == (200, "2"), (status, said.raw)
        assert said.headers["x-capstan-upstream"] == "standby-anthropic"
    # What it says of such calls is no reason to leave its models alone.
    assert message(two, secret).whole().headers["x-capstan-upstream"] == "first-anthropic"
    provider.then(Plan(status=422, message="this is not how it is done"))
    said = counting(two, secret).whole()
    assert (said.status, said.body["error"]["message"]) == (422, "this is not how it is done")
    assert len(said.headers["x-capstan-call"]) == 24
    assert len(standby.seen) == 10
    idle(two, provider, standby)


def test_a_limit_that_the_first_try_has_reached_does_not_hide_what_became_of_it(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    set_limit(organization_id=cast.acme.id, draft=LimitDraft(dimension="key", requests_per_minute=1), by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
    gateway = gateways()
    provider.then(Plan(status=503, message="come back later"))
    said = counting(gateway, secret).whole()
    assert (said.status, said.body["error"]["message"]) == (503, "come back later")
    assert standby.seen == []


def test_a_stop_between_two_tries_is_what_the_client_hears(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = two.process.relay._means.entry
    enter = entry._enter

    async def stopped_meanwhile(*given: Any) -> None:
        if provider.seen:
            raise IsStopped("It loops")
        await enter(*given)

    monkeypatch.setattr(entry, "_enter", stopped_meanwhile)
    provider.then(Plan(status=503))
    assert counting(two, secret).whole().body["error"]["code"] == "budgets.stopped"
    assert standby.seen == []


@pytest.mark.parametrize("status", [401, 403])
def test_what_an_upstream_says_of_our_credential_is_not_told(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream, status: int
) -> None:
    ours = Plan(status=status, message="sk-upstream is not known")
    for second, expected, word in (
        (ours, 502, "gateway.upstream_refuses_us"),
        (Plan(status=529), 529, "overloaded_error"),
    ):
        provider.then(ours)
        standby.then(second)
        said = counting(two, secret).whole()
        assert (said.status, word in said.raw.decode()) == (expected, True), said.raw
        assert b"sk-upstream" not in said.raw


def test_of_many_upstreams_the_last_that_is_tried_says_in_its_own_words_why_not(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    for rank in range(5):
        deployed(cast.acme.id, provider, at=now, name=f"the-{rank}", rank=rank)
    gateway = gateways()
    provider.then(*[Plan(status=500)] * 3, Plan(status=529, message="the fourth is busy", headers={"retry-after": "7"}))
    said = counting(gateway, secret).whole()
    assert (said.status, said.body["error"]["message"]) == (529, "the fourth is busy")
    assert said.headers["Retry-After"] == "7"
    assert len(provider.seen) == 4


def test_an_answer_says_who_gave_it_and_what_the_call_goes_by(
    secret: str, two: Gateway, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[str, int]] = []
    monkeypatch.setattr(two.process.relay, "_over", lambda course: logged.append((course.call_id, course.tries)))
    said = counting(two, secret).whole()
    assert logged == [(said.headers["x-capstan-call"], 1)]
    assert (said.headers["x-capstan-upstream"], said.headers["x-capstan-model"]) == ("first-anthropic", "claude")
