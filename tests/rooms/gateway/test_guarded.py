"""Before the money: who is stopped, which models, how many a minute; and calls under way are cut."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from finops.budgets.journal import JournalFailed
from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from finops.budgets.services.stops import lift_stop, stop_now
from finops.budgets.types import Enforcement
from finops.orgs import services
from routing.gateway import cut
from tests.factories.budgets import budget, database_address
from tests.factories.gateway import Gateway, call, used
from tests.factories.orgs import HOUSE, Cast
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until


def decides_alone(gateway: Gateway) -> None:
    """What it is asked for, whoever else there is."""
    peers = gateway.process.peers
    peers.heard([])
    peers.heard = lambda _others: None  # type: ignore[method-assign,assignment]


def hears_of_calls(gateway: Gateway, calls: int) -> None:
    """Until another process told that it has as many of one subject."""

    def told() -> bool:
        others = list(gateway.process._guard._under_way._others.values())
        return any(count == calls for by in others for count, _ in list(by.values()))

    until(told)


def eventually(gateway: Gateway, secret: str, status: int, **given: Any) -> dict[str, Any]:
    """Asks until the answer is of that status: a change takes a moment to be heard."""
    pause = threading.Event()
    said = None
    for _ in range(100):
        said = gateway.ask(secret, body=call(**given))
        if said.status == status:
            return said.body
        gateway.ask(secret, f"/{said.body.get('id', 'none-1')}/void")
        pause.wait(0.01)
    raise AssertionError(said)


def test_stop_now_refuses_and_cuts_within_a_second(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    agent = services.add_agent(organization_id=cast.acme.id, name="Looper", by=HOUSE, at=now)
    first, second = gateways(), gateways()
    held = first.ask(secret, body=call(dimensions={"agent": "looper"}))
    assert held.status == 200, held
    other = first.ask(secret, body=call())
    cursor = second.ask(secret, "/stopped", method="GET").body["cursor"]
    waiting = second.begin(secret, "/stopped", method="GET", wait="20", since=cursor)

    stop = stop_now(
        organization_id=cast.acme.id, dimension="agent", subject=str(agent.id), reason="It loops", by=HOUSE, at=now
    )

    told = json.loads(waiting.result(timeout=5).body)
    assert told["stopped"] == [{"id": held.body["id"], "reason": "It loops"}]
    refused = eventually(first, secret, 429, dimensions={"agent": "looper"})
    assert refused["code"] == "budgets.stopped"
    assert "It loops" in str(refused["detail"])
    assert first.ask(secret, body=call()).status == 200
    assert first.ask(secret, f"/{other.body['id']}/settle", used()).status == 200
    # What was under way can still be settled.
    assert second.ask(secret, f"/{held.body['id']}/settle", used()).status == 200

    lift_stop(organization_id=cast.acme.id, stop_id=stop.id, by=HOUSE, at=now)
    eventually(first, secret, 200, dimensions={"agent": "looper"})


def test_a_limit_of_tokens_leaves_no_less_than_an_answer_needs(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    draft = LimitDraft(dimension="person", subject=str(cast.bob.id), tokens_per_minute=1_010)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    gateway = gateways()
    asked: dict[str, Any] = {"dimensions": {"person": "bob"}, "max_output_tokens": None}
    assert gateway.ask(secret, body=call(least_output_tokens=16, **asked)).body["code"] == "budgets.rate_limited"
    assert gateway.ask(secret, body=call(**asked)).body["max_output_tokens"] == 10


def test_models_that_are_not_allowed_and_limits_by_the_minute(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    for draft in (
        LimitDraft(dimension="team", subject=str(cast.search.id), allowed_models=("gpt-mini",)),
        LimitDraft(dimension="person", subject=str(cast.bob.id), requests_per_minute=2),
    ):
        set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    gateway = gateways()
    said = gateway.ask(secret, body=call(dimensions={"team": "search"}))
    assert (said.status, said.body["code"]) == (403, "budgets.model_not_allowed")

    def bobs() -> dict[str, object]:
        return call(dimensions={"person": "bob"}, model="gpt-mini")

    assert [gateway.ask(secret, body=bobs()).status for _ in range(3)] == [200, 200, 429]
    said = gateway.ask(secret, body=bobs())
    assert said.body["code"] == "budgets.rate_limited"
    assert 0 < int(said.headers["retry-after"]) <= 66


def test_as_many_calls_at_once_as_the_limit_over_all_processes(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    draft = LimitDraft(dimension="key", max_concurrent=2)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    first, second = gateways(), gateways()
    for one in (first, second):
        decides_alone(one)
    open_ = [first.ask(secret, body=call(f"call-{n}", expires_in_s=600)) for n in range(3)]
    assert [one.status for one in open_] == [200, 200, 429]
    refused = open_[2]
    assert refused.body["code"] == "budgets.rate_limited"
    assert "2 calls at once (concurrency)" in refused.body["detail"]
    assert refused.headers["retry-after"] == "1"
    hears_of_calls(second, 2)
    assert second.ask(secret, body=call()).status == 429
    assert first.ask(secret, f"/{open_[0].body['id']}/settle", used()).status == 200
    assert first.ask(secret, f"/{open_[1].body['id']}/void").status == 200
    eventually(second, secret, 200)


def test_a_place_is_free_again_when_a_call_expires_or_its_money_is_not_there(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "0.02", at=now)
    draft = LimitDraft(dimension="key", max_concurrent=1)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    gateway = gateways()
    too_much = call(max_output_tokens=100_000, least_output_tokens=100_000)
    for _ in range(3):
        assert gateway.ask(secret, body=too_much).body["code"] == "budgets.exceeded"
    held = gateway.ask(secret, body=call("held"))
    assert gateway.ask(secret, body=call()).body["code"] == "budgets.rate_limited"
    calls, house = gateway.process.calls, gateway.process.configured.houses[cast.acme.id]
    open_ = calls.book.held(held.body["id"], cast.acme.id)

    async def expire() -> None:
        calls.expire(open_, house)

    gateway.run(expire())
    # The place is free; the money is not.
    assert gateway.ask(secret, body=call()).body["code"] == "budgets.exceeded"


def test_a_place_is_free_again_when_whatever_else_goes_wrong(
    cast: Cast, secret: str, gateways: Opens, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(cast.acme.id, "0.02", at=now)
    draft = LimitDraft(dimension="key", max_concurrent=1)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    gateway = gateways()
    # Its account is open, and has money in hand.
    gateway.ask(secret, f"/{gateway.ask(secret, body=call()).body['id']}/void")

    def fails(error: Exception) -> Callable[..., None]:
        def failing(*_: object, **__: object) -> None:
            raise error

        return failing

    monkeypatch.setattr(gateway.process.journal, "append", fails(JournalFailed("the disk is full")))
    assert gateway.ask(secret, body=call()).status == 503
    monkeypatch.undo()
    monkeypatch.setattr(gateway.process.desk, "authorize", fails(KeyError("nobody thought of it")))
    assert gateway.ask(secret, body=call(max_output_tokens=100_000)).status == 500
    monkeypatch.undo()
    assert gateway.ask(secret, body=call()).status == 200


def test_no_call_is_sent_to_a_cheaper_model_that_is_not_allowed(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    steps = (("openai", "gpt-mini"),)
    budget(cast.acme.id, "0.03", at=now, enforcement=Enforcement.DOWNGRADE, downgrade_to=steps, downgrade_at=1)
    draft = LimitDraft(dimension="team", subject=str(cast.search.id), allowed_models=("gpt",))
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    gateway = gateways()
    said = [gateway.ask(secret, body=call(dimensions={"team": "search"})).body for _ in range(2)]
    assert [one["model"] for one in said] == ["gpt"] * 2
    assert gateway.ask(secret, body=call()).body["model"] == "gpt-mini"


@pytest.mark.parametrize("reason", ["ü" * 500, "\N{OCTOPUS}" * 500, '"' * 500, "\x01" * 500])
def test_many_calls_are_cut_for_whatever_reason(cast: Cast, reason: str) -> None:
    calls = [("cap_" + "a" * 12, f"{uuid4().hex}-{2**32 + n:x}-{2**63:x}") for n in range(200)]
    with psycopg.connect(database_address(), autocommit=True) as connection:
        connection.execute(f"LISTEN {cut.CHANNEL}")
        cut.tell(connection, calls, reason)
        told = [one for sent in connection.notifies(timeout=5, stop_after=4) for one in cut.heard(sent.payload)]
    assert [call for some, _ in told for call in some] == calls
    assert all(len(why) > 200 and reason.startswith(why) for _, why in told)


@pytest.mark.parametrize(("fail_open", "status"), [(None, 503), (False, 503), (True, 200)])
def test_a_minute_that_cannot_be_asked_about_refuses_but_where_the_budgets_go_on(
    cast: Cast, secret: str, gateways: Opens, now: datetime, fail_open: bool | None, status: int
) -> None:
    if fail_open is not None:
        budget(cast.acme.id, "1", at=now, fail_open=fail_open)
    draft = LimitDraft(dimension="person", requests_per_minute=5)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    gateway = gateways()
    gateway.loses_its_database()
    assert gateway.ask(secret, body=call()).status == status


def test_a_loop_of_identical_calls_trips_its_sessions_breaker(secret: str, gateways: Opens) -> None:
    gateway = gateways()
    said = [gateway.ask(secret, body=call(session="s-1", fingerprint="the same")) for _ in range(22)]
    assert [one.status for one in said] == [200] * 20 + [429] * 2
    assert "identical calls" in said[-1].body["detail"]
    assert gateway.ask(secret, body=call(session="s-2", fingerprint="the same")).status == 200
