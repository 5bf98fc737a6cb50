"""Somebody stops, and somebody lets go on; it is written, told and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from finops.audit.models import AuditEvent, Signal
from finops.budgets import guard_rules
from finops.budgets.models import Stop
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.services import stops
from finops.budgets.services.stops import AlreadyLifted, TooManyStops, lift_stop, stop_now
from finops.core.errors import NotFound
from tests.factories.ledger import rows
from tests.factories.orgs import Cast, actor, the_cast

# Trips are written by the database's own clock.
NOW = datetime.now(UTC)


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


def stop(cast: Cast, dimension: str = "session", subject: str = "s-1", **given: Any) -> Stop:
    usual: dict[str, Any] = {"reason": "It loops", "by": actor(cast.alice_login), "at": NOW}
    return stop_now(organization_id=cast.acme.id, dimension=dimension, subject=subject, **usual | given)


def lift(cast: Cast, row: Stop, at: datetime = NOW + timedelta(minutes=1)) -> Stop:
    return lift_stop(organization_id=cast.acme.id, stop_id=row.id, by=actor(cast.alice_login), at=at)


def trip(cast: Cast, subject: str = "s-1") -> int | None:
    found: int | None = rows(
        "SELECT budgets_trip(%s, 'session', %s, 'more than 20 identical calls in a row', 900, '{}')",
        cast.acme.id,
        subject,
    )[0][0]
    return found


def test_a_stop_says_who_why_and_until_when_and_is_told(cast: Cast) -> None:
    made = stop(cast, "person", str(cast.bob.id), reason="  Bob's\nscript loops ", until=NOW + timedelta(hours=1))
    assert (made.kind, made.by, made.reason) == ("manual", f"user:{cast.alice.user_id}", "Bob's script loops")
    event, signal = AuditEvent.objects.get(verb="stop.made"), Signal.objects.get(kind="stop.made")
    assert (event.subject_kind, event.subject_id) == ("person", str(cast.bob.id))
    assert signal.key == f"person:{cast.bob.id}"
    assert signal.details == event.details
    assert signal.details == {
        "stop": made.id,
        "kind": "manual",
        "dimension": "person",
        "subject": str(cast.bob.id),
        "until": (NOW + timedelta(hours=1)).isoformat(),
    }


def test_it_is_in_force_until_somebody_lifts_it_or_its_time_has_passed(cast: Cast) -> None:
    def in_force(at: datetime) -> list[int]:
        return [one.id for one in guard_rules.stops(cast.acme.id, open_at=at)]

    first = stop(cast)
    second = stop(cast, subject="s-2", until=NOW + timedelta(hours=1))
    assert in_force(NOW) == [second.id, first.id]
    assert in_force(NOW + timedelta(hours=1)) == [first.id]
    lifted = lift(cast, first)
    assert (lifted.lifted_at, lifted.lifted_by) == (NOW + timedelta(minutes=1), f"user:{cast.alice.user_id}")
    assert in_force(NOW + timedelta(hours=1)) == []
    assert Signal.objects.filter(kind="stop.lifted", key="session:s-1").count() == 1
    for row, at in ((first, NOW), (second, NOW + timedelta(hours=2))):
        with pytest.raises(AlreadyLifted):
            lift(cast, row, at)
    assert [one.id for one in guard_rules.stops(cast.acme.id)] == [second.id, first.id]


def test_said_again_it_replaces_what_was_said(cast: Cast) -> None:
    first = stop(cast, until=NOW + timedelta(hours=1))
    again = stop(cast, reason="It still loops")
    assert (again.id, again.reason, again.until) == (first.id, "It still loops", None)
    lift(cast, again)
    assert stop(cast).id != first.id


def test_a_breaker_trips_once_while_it_is_open_and_again_when_that_is_over(cast: Cast) -> None:
    first = trip(cast)
    assert first is not None
    assert trip(cast) is None
    assert trip(cast, "s-2") not in (None, first)
    Stop.objects.filter(id=first).update(at=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 1, 1, 1, tzinfo=UTC))
    second = trip(cast)
    assert second not in (None, first)
    over = Stop.objects.get(id=first)
    assert (over.lifted_at, over.lifted_by) == (over.until, "time")
    lift(cast, Stop.objects.get(id=second), datetime.now(UTC))
    assert trip(cast) is not None
    assert Signal.objects.filter(kind="breaker.tripped").count() == 4


def test_a_stop_by_hand_and_a_breakers_stand_beside_each_other(cast: Cast) -> None:
    by_hand = stop(cast)
    assert trip(cast) is not None
    lift(cast, by_hand)
    assert [one.kind for one in guard_rules.stops(cast.acme.id, open_at=NOW)] == ["breaker"]


@pytest.mark.parametrize(
    ("dimension", "subject", "given", "field"),
    [
        ("provider", "openai", {}, "dimension"),
        ("organization", "1", {}, "subject"),
        ("session", "", {}, "subject"),
        ("session", "x" * 201, {}, "subject"),
        ("session", "a\0b", {}, "subject"),
        ("team", "", {}, "subject"),
        ("agent", "0", {}, "subject"),
        ("agent", "7x", {}, "subject"),
        ("agent", "2147483647", {}, "subject"),
        ("session", "s-1", {"reason": "x" * 501}, "reason"),
        ("session", "s-1", {"until": NOW}, "until"),
        ("session", "s-1", {"until": NOW + timedelta(days=400)}, "until"),
    ],
)
def test_a_stop_that_cannot_be_is_refused(
    cast: Cast, dimension: str, subject: str, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(BudgetInvalid) as refused:
        stop(cast, dimension, subject, **given)
    assert refused.value.field == field
    assert not Stop.objects.exists()


def test_one_organization_stops_nobody_of_another(cast: Cast) -> None:
    with pytest.raises(BudgetInvalid):
        stop(cast, "person", str(cast.charlie.id))
    made = stop(cast)
    with pytest.raises(NotFound):
        lift_stop(organization_id=cast.globex.id, stop_id=made.id, by=actor(cast.charlie_login), at=NOW)
    assert not guard_rules.stops(cast.globex.id).exists()


def test_there_are_only_so_many_at_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "MOST_OPEN", 1)
    first = stop(cast)
    stop(cast, reason="Again")
    with pytest.raises(TooManyStops):
        stop(cast, subject="s-2")
    lift(cast, first)
    stop(cast, subject="s-2", at=NOW + timedelta(minutes=2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "whim"},
        {"dimension": "planet"},
        {"subject": ""},
        {"dimension": "organization"},
        {"reason": "x" * 501},
        {"until": NOW - timedelta(days=1)},
    ],
)
def test_the_database_refuses_what_is_no_stop(cast: Cast, wrong: dict[str, Any]) -> None:
    made = stop(cast)
    with pytest.raises(IntegrityError), transaction.atomic():
        Stop.objects.filter(id=made.id).update(**wrong)
