"""Calls that a plan pays for: they cost nothing, and what they would have cost stands beside."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops.connectors.types import Dimensions, GivenCost, UsageEvent
from finops.core.periods import DayRange
from finops.ingest.services import REATTRIBUTE, RERATE, erase_person, open_rework, run_rework
from finops.ingest.types import Status
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger.selectors import used
from finops.orgs.services import add_identity
from finops.seats.rules import PlanInvalid
from finops.seats.types import HolderName
from finops.sources.services import add_source
from tests.factories.ledger import AT, Book, event, rows
from tests.factories.orgs import HOUSE, Cast
from tests.factories.seats import BOB, DANA, Seats

OTEL = "coding-agents"
BY_BOB = (BOB.kind, "Bob@acme.example")
LIST = Decimal("0.0045")


def call(external_id: str, **given: Any) -> UsageEvent:
    """Of claude, 1,000 tokens in and 100 out: 0.0045 dollars at list price."""
    usual = {"provider": "anthropic", "model": "claude", "identities": (BY_BOB,)}
    return event(external_id, **usual | given)


@pytest.fixture
def seats(book: Book) -> Seats:
    made = Seats(book)
    book.source(OTEL)
    return made


def calls(columns: str = "external_id, list_cost, effective_cost, tags ->> 'capstan.seat_plan'") -> list[Any]:
    """As they stand."""
    return rows(
        f"SELECT {columns} FROM ledger_charge AS c WHERE reverses IS NULL AND external_id NOT LIKE 'seats|%%'"
        " AND NOT EXISTS (SELECT FROM ledger_charge AS r WHERE r.reverses = c.id) ORDER BY external_id, occurred_at"
    )


def test_a_covered_call_costs_nothing_and_keeps_its_list_price(seats: Seats) -> None:
    seats.begin(covers=(OTEL,))
    assert seats.book.take(call("a"), call("b", identities=(("email", "carol@acme.example"),)), source=OTEL)
    seats.book.take(call("c"))
    seats.book.take(event("d", identities=(BY_BOB,)), source=OTEL)
    assert calls() == [
        ("a", LIST, 0, "Claude Team"),
        # Of somebody without a seat, from a source it does not cover, at another provider.
        ("b", LIST, LIST, None),
        ("c", LIST, LIST, None),
        ("d", Decimal("0.012"), Decimal("0.012"), None),
    ]
    assert seats.book.disagreements() == []


def test_calls_that_came_before_the_plan_are_looked_at_again(seats: Seats) -> None:
    told = (call("a"), call("b", occurred_at=datetime(2026, 9, 30, 23, 59, tzinfo=UTC)))
    seats.book.take(*told, source=OTEL)
    assert seats.book.total() == 2 * LIST
    plan = seats.begin(covers=(OTEL,), price=Decimal(0))
    seats.booked()
    assert [(name, cost) for name, _, cost, _ in calls()] == [("a", 0), ("b", LIST)]
    # Told again they are what they were told before, whoever pays.
    assert seats.book.take(*told, source=OTEL) == [Status.DUPLICATE] * 2
    seats.correct(plan, start=date(2026, 9, 30))
    seats.booked()
    assert [(name, cost) for name, _, cost, _ in calls()] == [("a", 0), ("b", 0)]
    seats.withdraw(plan)
    seats.booked()
    assert [row[1:] for row in calls()] == [(LIST, LIST, None)] * 2
    assert seats.book.disagreements() == []


@pytest.mark.parametrize("first", ["plan", "calls"])
def test_the_same_stands_in_whatever_order_they_came(seats: Seats, first: str) -> None:
    def tell() -> None:
        for day in (1, 9, 20):
            seats.book.take(call(f"call-{day}", occurred_at=datetime(2026, 10, day, tzinfo=UTC)), source=OTEL)

    if first == "calls":
        tell()
    plan = seats.begin(covers=(OTEL,), holders=())
    seats.correct(plan, holders=(BOB,))
    seats.booked()
    seats.change(plan, date(2026, 10, 9), holders=(DANA,))
    if first == "plan":
        tell()
    seats.booked()
    assert [(name, cost) for name, _, cost, _ in calls()] == [("call-1", 0), ("call-20", LIST), ("call-9", LIST)]


def test_rating_and_attributing_again_leave_a_covered_call_covered(seats: Seats, cast: Cast) -> None:
    seats.begin(covers=(OTEL,))
    seats.book.take(call("a"), source=OTEL)
    lines = len(seats.book.charges())
    for kind in (RERATE, REATTRIBUTE):
        worked(seats, kind)
    assert len(seats.book.charges()) == lines
    erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=seats.book.now())
    for kind in (RERATE, REATTRIBUTE):
        worked(seats, kind)
    assert calls("effective_cost, person_id") == [(0, cast.bob.id)]


def test_somebody_erased_who_had_two_seats_of_a_plan_is_still_covered(seats: Seats, cast: Cast) -> None:
    login = HolderName("github", "bob-codes")
    add_identity(
        organization_id=cast.acme.id, person_id=cast.bob.id, kind=login.kind, value=login.value, by=HOUSE, at=AT
    )
    seats.begin(covers=(OTEL,), holders=(BOB, login))
    erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=seats.book.now())
    cast.bob.refresh_from_db()
    named = Dimensions(person=cast.bob.slug)
    assert seats.book.take(call("a", identities=(), dimensions=named), source=OTEL) == [Status.CHARGED]
    assert calls("effective_cost, person_id") == [(0, cast.bob.id)]
    seats.booked()
    # A day of each seat, for 32 days, is theirs.
    assert rows("SELECT count(*) FROM ledger_charge WHERE external_id LIKE 'seats|%%' AND person_id > 0") == [(64,)]


def worked(seats: Seats, kind: str) -> None:
    period = DayRange(date(2026, 10, 1), date(2026, 11, 1))
    job = open_rework(kind=kind, period=period, **seats.who)
    claimed = jobs.claim(job_id=job.id, at=seats.book.now())
    assert claimed is not None
    run_rework(job=claimed, now=seats.book.now)


def test_what_a_source_says_of_its_cost_is_the_equivalent_where_no_price_is_known(seats: Seats) -> None:
    plan = seats.begin(covers=(OTEL,), price=Decimal(0))
    seats.book.take(call("a", model="claude-next", cost=GivenCost(10**12, "USD")), call("b", model="new"), source=OTEL)
    assert calls("list_cost, effective_cost") == [(1, 0), (0, 0)]
    seats.withdraw(plan)
    seats.booked()
    assert calls("list_cost, effective_cost") == [(1, 1), (0, 0)]


def test_no_source_says_itself_that_a_plan_pays(seats: Seats) -> None:
    seats.book.take(call("a", tags=(("capstan.seat_plan", "free"), ("repo", "x"))), source=OTEL)
    assert calls("effective_cost, tags") == [(LIST, '{"repo": "x"}')]


def test_no_bill_of_calls_is_shared_by_what_a_seat_pays_for(seats: Seats) -> None:
    seats.begin(covers=(OTEL,))
    seats.book.take(call("a"), call("b", identities=()), source=OTEL)
    found = used(seats.organization.id, provider="anthropic", day=date(2026, 10, 14), but_sources=[])
    assert [(one.calls, one.effective_cost) for one in found] == [(1, LIST)]


def test_only_a_plan_that_covers_has_calls_looked_at(seats: Seats) -> None:
    plan = seats.begin()
    seats.correct(plan, price=Decimal(31))
    seats.change(plan, date(2026, 10, 20), seats=9)
    assert not Job.objects.filter(kind="cover").exists()
    seats.correct(plan, covers=(OTEL,))
    seats.correct(plan, price=Decimal(32))
    [job] = Job.objects.filter(kind="cover")
    assert job.parameters["start"] == "2026-10-01"
    assert job.parameters["end"] == "2026-10-21"
    assert job.parameters["filters"] == {"source": [seats.book.source(OTEL).id]}


@pytest.mark.parametrize("kind", ["gateway", "seats", "states", "archived", "unknown"])
def test_a_source_whose_calls_no_seat_pays_for_is_refused(seats: Seats, kind: str) -> None:
    if kind != "unknown":
        states, of = ("usage", "account") if kind == "states" else ("", "api" if kind == "archived" else kind)
        row = add_source(slug="other", kind=of, states=states, **seats.who)
        if kind == "archived":
            row.archived_at = seats.book.at - timedelta(days=1)
            row.save()
    with pytest.raises(PlanInvalid) as refused:
        seats.begin(covers=("other",))
    assert refused.value.field == "covers"
