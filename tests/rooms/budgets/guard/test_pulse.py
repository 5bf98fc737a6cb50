"""Gateways with the real database between them: what one sees the others know, and a stop reaches all."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from django.db import connection

from finops.audit.models import AuditEvent, Signal
from finops.budgets.guard import RateLimited, Stopped
from finops.budgets.models import BreakerRule, Limit, Stop
from finops.budgets.pulse import PULSE, STOPPED
from finops.budgets.types import Call
from finops.orgs.models import Organization
from tests.factories.budgets import database_address
from tests.factories.ledger import rows
from tests.rooms.budgets.guard.conftest import Gateway, Opens
from tests.waiting import until

AGENT = Call(agent=7, key=3, session="s-1")


def make(house: Gateway, name: str, call: Call = AGENT, **given: Any) -> object:
    said = house.pulse.check(acme(), name, call, **{"tokens": 10} | given)
    if said is None:
        house.guard.allowed(name, time.monotonic())
        house.guard.settled(name, amount=10**9, tokens=10, now=time.monotonic())
    return said


def acme() -> int:
    return Organization.objects.get(slug="acme").id


def insert_stop(dimension: str, subject: str) -> int:
    return int(
        rows(
            "INSERT INTO budgets_stop (organization_id, kind, dimension, subject, reason, by, at)"
            " VALUES (%s, 'manual', %s, %s, 'it loops', 'user:1', now()) RETURNING id",
            acme(),
            dimension,
            subject,
        )[0][0]
    )


def test_a_runaway_over_two_gateways_trips_once_and_everybody_refuses(gateway: Opens) -> None:
    houses = [gateway("gateway-1"), gateway("gateway-2")]
    number = 0
    while all(make(house, f"{number}-{place}", fingerprint="same") is None for place, house in enumerate(houses)):
        number += 1
        threading.Event().wait(0.02)
    # Fifty rounds are a second.
    assert number < 50
    until(lambda: Stop.objects.exists())
    for house in houses:
        until(lambda house=house: isinstance(make(house, "late", fingerprint="another"), Stopped))  # type: ignore[misc]
    stop = Stop.objects.get()
    assert (stop.organization_id, stop.kind, stop.dimension, stop.subject, stop.by) == (
        acme(), "breaker", "session", "s-1", "system:breaker",
    )  # fmt: skip
    assert stop.reason == "more than 20 identical calls in a row"
    assert stop.until is not None
    assert (stop.until - stop.at).total_seconds() == pytest.approx(900, abs=1)
    event = AuditEvent.objects.get(verb="breaker.tripped")
    signal = Signal.objects.get(kind="breaker.tripped")
    assert (event.subject_kind, event.subject_id, event.actor) == ("session", "s-1", "system:breaker")
    assert signal.key == "session:s-1"
    assert signal.details == event.details
    assert {name: signal.details[name] for name in ("stop", "measure", "threshold", "pause_s")} == {
        "stop": stop.id, "measure": "identical_calls", "threshold": 20, "pause_s": 900,
    }  # fmt: skip


def test_money_spent_at_one_gateway_trips_the_breaker_at_another(gateway: Opens) -> None:
    BreakerRule.objects.create(
        organization_id=acme(), dimension="agent", measure="amount_per_minute", threshold="0.002", pause_minutes=5
    )
    first, second = gateway("gateway-1"), gateway("gateway-2")
    assert make(first, "call-1") is None
    assert make(first, "call-2") is None
    until(lambda: isinstance(make(second, "call", Call(agent=7)), Stopped))
    until(lambda: Stop.objects.filter(dimension="agent", subject="7").exists())


def test_a_stop_cuts_what_is_under_way_and_its_end_lets_go_on(gateway: Opens) -> None:
    house = gateway("gateway-1")
    assert house.pulse.check(acme(), "stream", AGENT, tokens=10) is None
    stop_id = insert_stop("agent", "7")
    until(lambda: house.cut == ["stream"])
    said = make(house, "next")
    assert said == Stopped("agent", "7", "manual", "it loops", None, None)
    Stop.objects.filter(id=stop_id).update(lifted_at="2099-01-01T00:00:00Z", lifted_by="user:1")
    until(lambda: make(house, "after") is None)


def test_a_cut_that_fails_is_told_again_and_the_next_stop_is_heard(gateway: Opens) -> None:
    house = gateway("gateway-1")
    told: list[list[str]] = []

    def cut(calls: list[str], _: object) -> None:
        told.append(calls)
        if len(told) < 3:
            raise TimeoutError("the loop is busy")

    house.pulse._cut = cut
    assert house.pulse.check(acme(), "first", AGENT, tokens=10) is None
    insert_stop("agent", "7")
    until(lambda: told == [["first"]] * 3)
    assert house.pulse.check(acme(), "second", Call(key=3), tokens=10) is None
    insert_stop("key", "3")
    until(lambda: told[3:] == [["first", "second"]])


def test_a_call_that_got_its_money_after_the_stop_is_cut(gateway: Opens) -> None:
    house = gateway("gateway-1")
    assert house.pulse.check(acme(), "waits", AGENT, tokens=10) is None
    insert_stop("agent", "7")
    until(lambda: house.cut == ["waits"])
    house.guard.allowed("waits", time.monotonic())
    until(lambda: house.cut == ["waits", "waits"])


def test_who_lost_the_connection_reads_anew_what_is_stopped(gateway: Opens) -> None:
    house = gateway("gateway-1")
    before = _pulses()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [before])
        insert_stop("organization", "")
    until(lambda: isinstance(make(house, "call"), Stopped))
    until(lambda: bool(_pulses()) and _pulses() != before)


def test_whatever_goes_wrong_once_the_next_stop_is_heard(gateway: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    house = gateway("gateway-1")
    failed = threading.Event()

    def delta() -> bytes:
        monkeypatch.undo()
        failed.set()
        raise OverflowError("too large")

    monkeypatch.setattr(house.guard, "delta", delta)
    assert failed.wait(10)
    insert_stop("agent", "7")
    until(lambda: isinstance(make(house, "next"), Stopped))


def _pulses() -> list[int]:
    return [
        pid
        for (pid,) in rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
    ]


def test_a_gateway_that_starts_knows_what_is_stopped(gateway: Opens) -> None:
    insert_stop("session", "s-1")
    assert isinstance(make(gateway("gateway-1"), "call"), Stopped)


@pytest.mark.parametrize("payload", ["", "rubbish", "{}", "[1]", '{"id": null}', "gqp1", "é"])
def test_what_is_no_message_does_no_harm(gateway: Opens, payload: str) -> None:
    house = gateway("gateway-1")
    with psycopg.connect(database_address(), autocommit=True) as stranger:
        for channel in (PULSE, STOPPED):
            stranger.execute("SELECT pg_notify(%s, %s)", [channel, payload])
    insert_stop("agent", "7")
    until(lambda: isinstance(make(house, "call"), Stopped))


def test_a_subject_that_no_database_takes_is_stopped_here_and_others_are_written(gateway: Opens) -> None:
    house = gateway("gateway-1")
    for session in ("nul\0", "x" * 400, "s-1"):
        for n in range(21):
            make(house, f"{session}-{n}", AGENT._replace(session=session), fingerprint="same")
        assert isinstance(make(house, f"{session}-end", AGENT._replace(session=session)), Stopped)
    until(lambda: Stop.objects.filter(subject="s-1").exists())


# --- Limits by the minute ---------------------------------------------------------------------------------------------
def test_two_gateways_share_a_minute(gateway: Opens) -> None:
    Limit.objects.create(organization_id=acme(), dimension="key", requests_per_minute=50, tokens_per_minute=400)
    houses = [gateway("gateway-1"), gateway("gateway-2")]
    said = [make(houses[n % 2], f"call-{n}") for n in range(60)]
    assert said.count(None) <= 40
    refused = next(one for one in said if one is not None)
    assert isinstance(refused, RateLimited)
    assert (refused.dimension, refused.subject, refused.measure, refused.limit) == ("key", "3", "tokens", 400)
    assert refused.retry_after_s is not None
    assert 55 < refused.retry_after_s <= 63
    # What lay idle in a slice is used too, within a moment.
    made = said.count(None)
    until(lambda: make(houses[0], "late") is not None or made >= 40)
    for house in houses:
        house.pulse.close()
    assert rows("SELECT measure, sum(amount)::int FROM budgets_rate GROUP BY 1 ORDER BY 1")[1][1] <= 400


def test_a_refused_loop_asks_the_database_now_and_then_only(gateway: Opens) -> None:
    Limit.objects.create(organization_id=acme(), dimension="agent", subject="7", requests_per_minute=1)
    house = gateway("gateway-1")
    asked = []
    fetch = house.pulse.fetch
    house.pulse.fetch = lambda lacking: (asked.append(lacking), fetch(lacking))[1]  # type: ignore[method-assign,func-returns-value]
    for n in range(200):
        make(house, f"call-{n}")
    assert len(asked) < 20


def test_unused_requests_go_back(gateway: Opens) -> None:
    Limit.objects.create(organization_id=acme(), dimension="agent", subject="7", requests_per_minute=800)
    house = gateway("gateway-1")
    for n in range(20):
        assert house.pulse.check(acme(), f"call-{n}", AGENT, tokens=10) is None
    house.guard.void("call-0", time.monotonic())
    until(lambda: rows("SELECT sum(amount)::int FROM budgets_rate") == [(19,)])
