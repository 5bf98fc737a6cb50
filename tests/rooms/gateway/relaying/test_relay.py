"""Model calls through the gateway: an upstream that keeps its own bill, and a ledger that must say the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from finops.budgets.services.stops import stop_now
from finops.orgs.services import issue_key, rotate_key
from tests.factories.budgets import budget, standing
from tests.factories.gateway import Gateway
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import Exchange, billed, charged, chat, deployed, message
from tests.fakes.upstream.running import Upstream, upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens


def test_a_call_is_answered_held_and_charged_as_the_upstream_billed_it(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    said = chat(gateway, secret).whole()
    assert said.status == 200, said.raw
    assert said.body["choices"][0]["message"]["role"] == "assistant"
    assert said.headers["x-capstan-upstream"] == "openai"
    cost = billed(provider)
    assert Decimal(said.headers["x-capstan-cost"]) == cost
    assert charged(gateway) == [("metered", cost)]
    gateway.process.desk.give_back()
    assert standing(cap, now).authorised == cost
    assert standing(cap, now).leased == 0


@pytest.mark.parametrize("speak", [chat, message])
def test_a_stream_passes_on_as_it_comes_and_is_charged_by_its_own_figures(
    secret: str, capped: Gateway, provider: Upstream, speak: Callable[..., Exchange]
) -> None:
    provider.then(Plan(holds_after=5))
    stream = speak(capped, secret, stream=True).until(1)
    assert not stream.finished
    provider.release()
    raw = stream.whole().raw
    assert stream.status == 200
    assert b'"usage"' in raw if speak is message else b'"completion_tokens"' not in raw
    assert charged(capped) == [("metered", billed(provider))]


def test_the_cap_holds_and_says_so_in_the_clients_own_shape(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "0.000001", at=now, name="Acme a month")
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    for said in (chat(gateway, secret).whole(), message(gateway, secret).whole()):
        assert said.status == 429, said.raw
        assert "Acme a month" in said.body["error"]["message"]
        assert said.headers["x-should-retry"] == "false"
        assert int(said.headers["retry-after"]) > 0
    assert provider.bill.lines == []
    assert gateway.process.desk.leased() == {} or not any(held for _, held in gateway.process.desk.leased().values())


def test_another_upstream_answers_where_the_first_fails(
    cast: Cast, secret: str, gateways: Opens, standby: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "1", at=now)
    with upstream() as failing:
        deployed(cast.acme.id, failing, at=now)
        deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
        gateway = gateways()
        for plan in (Plan(status=500), Plan(status=429), Plan(fault="reset", after_events=0)):
            failing.then(plan)
            said = chat(gateway, secret, stream=True).whole()
            assert said.status == 200, said.raw
            assert (said.headers["x-capstan-upstream"], said.headers["x-capstan-tries"]) == ("standby", "2")
    assert chat(gateway, secret).whole().status == 200


def test_what_the_client_did_wrong_is_tried_nowhere_else(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream
) -> None:
    provider.then(Plan(status=400, message="this is not how it is done"))
    said = chat(two, secret).whole()
    assert (said.status, said.body["error"]["message"]) == (400, "this is not how it is done")
    assert standby.seen == []


def test_a_client_that_leaves_is_charged_what_was_told_and_nothing_stays_held(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    provider.then(Plan(holds_after=10))
    stream = message(gateway, secret, stream=True).until(1)
    stream.leave()
    stream.whole()
    ((evidence, _),) = charged(gateway)
    assert evidence == "estimated"
    gateway.process.desk.give_back()
    assert standing(cap, now).leased == 0


def test_an_upstream_that_bills_to_the_end_is_read_to_the_end(
    secret: str, patient: Gateway, provider: Upstream
) -> None:
    provider.then(Plan(holds_after=10))
    stream = chat(patient, secret, stream=True).until(1)
    stream.leave()
    provider.release()
    stream.whole()
    assert charged(patient) == [("metered", billed(provider))]


def test_stop_now_ends_a_stream_that_is_under_way(
    cast: Cast, secret: str, gateway: Gateway, provider: Upstream, now: datetime
) -> None:
    provider.then(Plan(holds_after=10))
    stream = chat(gateway, secret, stream=True, headers={"x-capstan-session": "loop-1"}).until(1)
    stop_now(organization_id=cast.acme.id, dimension="session", subject="loop-1", reason="It loops", by=HOUSE, at=now)
    assert b"It loops" in stream.whole().raw


def test_a_key_that_was_rotated_has_two_secrets_for_a_while_and_its_budget_all_along(
    cast: Cast, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    issued = issue_key(organization_id=cast.acme.id, name="CI", permissions=["calls.make"], by=HOUSE, at=now)
    cap = budget(cast.acme.id, "1", at=now, scope={"key": frozenset({str(issued.key.id)})})
    deployed(cast.acme.id, provider, at=now)
    rotate = partial(rotate_key, organization_id=cast.acme.id, key_id=issued.key.id, by=HOUSE, at=now)
    renewed = rotate()
    gateway = gateways()
    for secret in (issued.secret, renewed.secret):
        assert chat(gateway, secret).whole().status == 200
    charged(gateway)
    gateway.process.desk.give_back()
    assert standing(cap, now).authorised == billed(provider)
    gateway.stop()
    rotate(grace=timedelta(0))
    after = gateways()
    for secret in (issued.secret, renewed.secret):
        assert chat(after, secret).whole().status == 401


@pytest.mark.parametrize("leaves", [False, True])
def test_a_key_that_may_make_one_call_at_once_makes_the_next_when_it_is_over(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, leaves: bool
) -> None:
    draft = LimitDraft(dimension="key", max_concurrent=1)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    provider.then(Plan(holds_after=5))
    stream = chat(gateway, secret, stream=True).until(1)
    refused = chat(gateway, secret).whole()
    assert (refused.status, refused.body["error"]["code"]) == (429, "budgets.rate_limited")
    assert "concurrency" in refused.body["error"]["message"]
    assert refused.headers["retry-after"] == "1"
    assert "x-should-retry" not in refused.headers
    if leaves:
        stream.leave()
    else:
        provider.release()
    stream.whole()
    provider.then(Plan(status=500))
    assert chat(gateway, secret).whole().status == 500
    assert chat(gateway, secret).whole().status == 200


def test_a_path_that_is_not_metered_is_refused(secret: str, gateway: Gateway, provider: Upstream) -> None:
    headers = {"authorization": f"Bearer {secret}"}
    for path in ("/v1/fine_tuning/jobs", "/v1/assistants", "/v1/threads", "/anything"):
        said = Exchange(gateway, path, b"{}", headers).whole()
        assert (said.status, said.body["error"]["code"]) == (404, "gateway.path_refused")
    assert provider.seen == []


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
def test_the_key_is_taken_from_wherever_a_client_puts_it_and_no_other_is(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, header: str
) -> None:
    deployed(cast.acme.id, provider, at=now, credential="sk-upstream")
    gateway = gateways()
    body = b'{"model":"gpt","messages":[{"role":"user","content":"Hello"}]}'
    given = f"Bearer {secret}" if header == "authorization" else secret
    assert Exchange(gateway, "/v1/chat/completions", body, {header: given}).whole().status == 200
    (seen,) = provider.seen
    assert seen.header("authorization") == "Bearer sk-upstream"
    assert secret not in repr(seen.headers)
    said = Exchange(gateway, "/v1/chat/completions", body, {header: given[:-1] + "x"}).whole()
    assert (said.status, said.body["error"]["code"]) == (401, "orgs.key_refused")


def test_models_are_listed_and_one_of_them_is_shown(secret: str, gateway: Gateway, provider: Upstream) -> None:
    headers = {"authorization": f"Bearer {secret}"}

    def get(path: str, **more: str) -> Exchange:
        return Exchange(
            gateway, path, b"", headers | {name.replace("_", "-"): v for name, v in more.items()}, "GET"
        ).whole()

    assert [model["id"] for model in get("/v1/models").body["data"]] == ["embed", "gpt", "gpt-mini"]
    assert [model["id"] for model in get("/v1/models", anthropic_version="2023-06-01").body["data"]] == ["claude"]
    assert get("/v1/models/gpt").body["id"] == "gpt"
    said = get("/v1/models/nobody")
    assert (said.status, said.body["error"]["code"]) == (404, "gateway.model_not_found")
    assert get("/v1/assistants/models").body["error"]["code"] == "gateway.path_refused"
    assert provider.seen == []
