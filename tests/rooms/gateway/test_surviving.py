"""What a gateway process leaves behind when it dies, and what becomes of calls whose end nobody tells."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg import OperationalError

from finops.audit.models import Signal
from finops.budgets.lines import connect
from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from finops.budgets.services.stops import stop_now
from finops.ingest.inbox import adopt
from finops.ingest.records import Held
from routing.gateway import keeper
from routing.gateway.house import House
from routing.gateway.process import AGAIN_AFTER
from routing.gateway.requests import Settle
from tests.factories.budgets import budget, database_address, standing
from tests.factories.gateway import Gateway, booked, call, die, used
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE, Cast
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until


def expires(gateway: Gateway) -> None:
    """What was to be over within half a minute is."""
    clock = gateway.process.clock
    clock.set(clock.now() + timedelta(seconds=31))
    gateway.run(gateway.process._end_expired())


def charged() -> Decimal:
    ((total,),) = rows("SELECT sum(effective_cost) FROM ledger_charge")
    return Decimal(total)


def test_a_successor_settles_what_a_dead_process_held(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    first = gateways()
    done, under_way = first.ask(secret, body=call()), first.ask(secret, body=call("open-1"))
    first.settles(secret, done.body["id"], used())
    die(first)
    assert standing(cap, now).leased > Decimal("0.024")

    second = gateways()

    assert standing(cap, now).leased == Decimal("0.024")
    assert second.ask(secret, body=call("open-1")).body["id"] == under_way.body["id"]
    settled = second.ask(secret, f"/{under_way.body['id']}/settle", used(500, 10))
    assert Decimal(settled.body["cost"]) == Decimal("0.0052")
    assert second.comes_home() == 2
    found = standing(cap, now)
    assert (found.authorised, found.leased, found.observed) == (Decimal("0.0172"), Decimal(0), Decimal(0))


def test_a_successor_gives_the_first_answer_again(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    budget(cast.acme.id, "1", at=now)
    asked = call(choices=4)
    first = gateways()
    said = first.ask(secret, body=asked).body
    die(first)
    again = gateways().ask(secret, body=asked).body
    same = ("id", "held", "currency", "max_output_tokens", "model", "expires_at")
    assert [again[name] for name in same] == [said[name] for name in same]


def test_what_a_successor_took_over_takes_its_place_and_is_cut(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    draft = LimitDraft(dimension="key", max_concurrent=1)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    first = gateways()
    said = first.ask(secret, body=call(session="s-1"))
    die(first)
    second = gateways()
    waiting = second.begin(secret, "/stopped", method="GET", wait="20")
    until(lambda: second.process._guard.has(said.body["id"]))

    assert second.ask(secret, body=call()).body["code"] == "budgets.rate_limited"
    stop_now(organization_id=cast.acme.id, dimension="session", subject="s-1", reason="It loops", by=HOUSE, at=now)
    told = json.loads(waiting.result(timeout=5).body)
    assert told["stopped"] == [{"id": said.body["id"], "reason": "It loops"}]
    second.settles(secret, said.body["id"], used())
    assert second.ask(secret, body=call()).status == 200


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[Gateway]:
    """Whoever takes over what a dead process left is not told that they did, the first time: the connection breaks. Of
    a gateway that is put in here, the bank's answer to something else was lost too.
    """
    doubting: list[Gateway] = []

    def adopts(*given: Any) -> bool:
        monkeypatch.undo()
        assert adopt(*given)
        for one in doubting:
            one.process.desk.in_doubt = True
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(keeper, "adopt", adopts)
    return doubting


def takes_over(gateway: Gateway) -> None:
    """Looks once for what dead ones left, and brings home what it has."""
    with connect(database_address()) as connection:
        gateway.process.keeper._take_over(connection)
        gateway.process.keeper.bring(connection)


def half_adopted(gateways: Opens, secret: str) -> tuple[Gateway, str]:
    """A gateway that has looked, once, for what a dead one left; and the call that this had under way."""
    first = gateways()
    said = first.ask(secret, body=call())
    second = gateways()
    second.process.keeper.close()
    die(first)
    takes_over(second)
    return second, said.body["id"]


def test_who_was_not_told_that_calls_are_theirs_now_asks_again_before_anybody_else_can(
    cast: Cast, secret: str, gateways: Opens, now: datetime, lost: list[Gateway]
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    second, call_id = half_adopted(gateways, secret)
    assert not second.process.calls.book.has(call_id)
    gateways()
    takes_over(second)

    second.brings_one_home(secret, call_id)
    assert standing(cap, now).authorised == Decimal("0.0052")


def test_who_dies_before_they_are_told_that_calls_are_theirs_leaves_them_to_the_next(
    cast: Cast, secret: str, gateways: Opens, now: datetime, lost: list[Gateway]
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    second, call_id = half_adopted(gateways, secret)
    die(second)
    third = gateways()
    third.brings_one_home(secret, call_id)
    found = standing(cap, now)
    assert (found.authorised, found.leased) == (Decimal("0.0052"), Decimal(0))


def test_what_may_be_ours_is_not_returned_as_if_it_were_nobodys(
    cast: Cast, secret: str, gateways: Opens, now: datetime, lost: list[Gateway]
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    first = gateways()
    said = first.ask(secret, body=call())
    second = gateways()
    lost.append(second)
    die(first)
    until(lambda: second.process.calls.book.has(said.body["id"]) and not second.process.desk.in_doubt)
    assert standing(cap, now).leased == Decimal("0.012")
    second.brings_one_home(secret, said.body["id"])
    assert standing(cap, now).authorised == Decimal("0.0052")


def test_a_hold_is_not_let_go_of_before_what_came_of_it_is_on_disk(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    first = gateways()
    said = first.ask(secret, body=call())
    process = first.process
    process.keeper.close()
    carry_on = process.carry_on

    def just_settled(ids: Iterable[str], *, old: bool) -> int | None:
        """As where a client has left: nobody waits until it is durable."""
        if process.calls.book.open:
            house = process.configured.houses[cast.acme.id]
            process.calls.settle(house, said.body["id"], Settle(usage=used(500, 10)["usage"]))
        return carry_on(ids, old=old)

    process.carry_on = just_settled  # type: ignore[method-assign]
    first.bring()
    die(first)

    second = gateways()
    assert second.comes_home() == 1
    found = standing(cap, now)
    assert (found.spent, found.leased) == (Decimal("0.0052"), Decimal(0))


def test_a_call_whose_end_nobody_tells_is_charged_as_its_worst_and_mended_when_somebody_does(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    gateway = gateways()
    said = gateway.ask(secret, body=call(expires_in_s=30))
    expires(gateway)
    gateway.settles(secret, said.body["id"], used(500, 10))
    gateway.comes_home()

    assert charged() == Decimal("0.0052")
    assert [one.kind for one in Signal.objects.all()] == ["authorization.expired"]
    found = standing(cap, now)
    assert (found.spent, found.leased) == (Decimal("0.0052"), Decimal(0))


def test_a_stream_that_broke_off_stays_held_until_its_figure_comes(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "0.012", at=now)
    gateway = gateways()
    said = gateway.ask(secret, body=call())
    for _ in range(2):
        gateway.settles(secret, said.body["id"], used(500, 10, estimated=True))
    assert gateway.ask(secret, body=call(least_output_tokens=100)).status == 429
    gateway.settles(secret, said.body["id"], used(500, 20))
    gateway.comes_home()
    found = standing(cap, now)
    assert (found.authorised, found.spent, found.leased) == (Decimal("0.0054"), Decimal("0.0054"), Decimal(0))
    assert charged() == Decimal("0.0054")


def test_a_call_that_cannot_be_ended_keeps_no_other_open_and_is_tried_again(
    cast: Cast, secret: str, gateways: Opens, now: datetime, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    budget(cast.acme.id, "1", at=now)
    gateway = gateways()
    first, *others = [gateway.ask(secret, body=call(expires_in_s=30)).body["id"] for _ in range(3)]
    calls = gateway.process.calls
    expire = calls.expire

    def fails(held: Held, house: House) -> None:
        if held.id == first:
            raise ZeroDivisionError
        expire(held, house)

    with monkeypatch.context() as patched:
        patched.setattr(calls, "expire", fails)
        expires(gateway)
    assert set(calls.book.open) == {first}
    assert set(calls.book.expired) == set(others)
    assert f"call {first} could not be ended" in caplog.text
    gateway.process.clock.set(gateway.process.clock.now() + timedelta(seconds=60) + AGAIN_AFTER)
    gateway.run(gateway.process._end_expired())
    assert not calls.book.open


@pytest.mark.parametrize("at_once", [True, False])
def test_a_stream_that_broke_off_and_never_got_a_figure_is_charged_as_its_worst(
    cast: Cast, secret: str, gateways: Opens, now: datetime, at_once: bool
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    gateway = gateways()
    said = gateway.ask(secret, body=call(expires_in_s=30))
    gateway.settles(secret, said.body["id"], used(500, 10, estimated=True))
    if not at_once:
        gateway.bring()
        booked()
    expires(gateway)
    gateway.comes_home()
    found = standing(cap, now)
    assert (found.authorised, found.spent, found.leased) == (Decimal("0.012"), Decimal("0.012"), Decimal(0))
    assert charged() == Decimal("0.012")

    gateway.settles(secret, said.body["id"], used(500, 20))
    gateway.bring()
    booked()
    assert standing(cap, now).spent == Decimal("0.0054")


def test_a_call_that_went_on_without_the_database_is_charged_as_its_worst_too(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now, fail_open=True)
    draft = LimitDraft(dimension="person", requests_per_minute=5)
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    gateway = gateways()
    gateway.loses_its_database()
    assert gateway.ask(secret, body=call(expires_in_s=30)).status == 200
    expires(gateway)
    gateway.bring()
    booked()
    assert charged() == standing(cap, now).spent == Decimal("0.012")


def test_a_figure_that_waits_beside_what_expired_stands(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    gateway = gateways()
    said = gateway.ask(secret, body=call(expires_in_s=30))
    gateway.settles(secret, said.body["id"], used(500, 10, estimated=True))
    expires(gateway)
    gateway.settles(secret, said.body["id"], used(500, 20))
    gateway.comes_home()
    found = standing(cap, now)
    assert (found.spent, found.leased) == (Decimal("0.0054"), Decimal(0))


def test_what_cannot_be_bounded_or_priced_is_refused_where_a_cap_is_asked(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "1000", at=now)
    gateway = gateways()
    unbounded = gateway.ask(secret, body=call(server_input=["previous_response_id"]))
    assert (unbounded.status, unbounded.body["code"]) == (422, "budgets.unbounded_request")
    tool = gateway.ask(secret, body=call(hosted_tools=[{"type": "web_search"}]))
    assert (tool.status, tool.body["field"]) == (422, "hosted_tools[0]")
    unpriced = gateway.ask(secret, body=call(model="nobody-knows"))
    assert (unpriced.status, unpriced.body["code"]) == (422, "budgets.unpriced")
    dearer = gateway.ask(
        secret, body=call(model="gpt-mini", fallbacks=[{"model": "gpt", "provider": "openai"}], tries=3)
    )
    assert Decimal(dearer.body["held"]) == 3 * Decimal("0.012")
    twice = gateway.ask(secret, body=call(choices=2))
    assert Decimal(twice.body["held"]) == 2 * Decimal("0.012")
    assert twice.body["max_output_tokens"] == 100


def test_a_call_is_decided_and_settled_by_one_process_whichever_is_asked(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    both = [gateways(), gateways()]
    for gateway in both:
        gateway.hears(2)
    said = [gateway.ask(secret, body=call(f"call-{n}")) for n in range(8) for gateway in both]
    assert [one.status for one in said] == [200] * 16
    ids = {one.body["id"] for one in said}
    assert len(ids) == 8
    assert len({one.partition("-")[0] for one in ids}) == 2
    for n, call_id in enumerate(sorted(ids)):
        answers = [gateway.ask(secret, f"/{call_id}/settle", used(500, n)) for gateway in both]
        assert answers[0].status == 200
        assert answers[0].body == answers[1].body
    for gateway in both:
        gateway.bring()
    assert booked() == 8
    assert rows("SELECT count(*) FROM ledger_charge") == [(8,)]
    for gateway in both:
        gateway.process.desk.give_back()
    assert standing(cap, now).leased == 0
