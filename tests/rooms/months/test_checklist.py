"""What Finance is told of October before it is closed: bills, seats and jobs that are not done with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from finops.jobs.models import Job
from finops.months.checklist import checklist
from finops.months.types import Check, Item
from finops.reconciliation.models import CountingRule
from finops.seats.models import SeatBooks
from tests.factories.ledger import Book, event
from tests.factories.months import NOVEMBER, OCTOBER
from tests.factories.seats import BOB, Seats
from tests.factories.statements import MIDNIGHT, Stated

NONE_OPEN = 0


def item(book: Book, check: Check, *, at: datetime | None = None) -> Item:
    return next(one for one in checklist(book.organization.id, OCTOBER, at=at or book.now()) if one.check is check)


def test_seats_that_are_not_booked_to_the_months_end_are_open(book: Book) -> None:
    assert item(book, Check.SEATS).count == NONE_OPEN
    seats = Seats(book)
    seats.begin(currency="EUR")
    seats.booked()
    # There is no rate: nothing is booked of all the month.
    source = SeatBooks.objects.get().source.slug
    assert item(book, Check.SEATS) == Item(Check.SEATS, 31, about=(source,))
    SeatBooks.objects.update(made_until=date(2026, 10, 30))
    assert item(book, Check.SEATS).count == 2
    # What keeps November's days is none of October's.
    SeatBooks.objects.update(made_until=NOVEMBER)
    assert item(book, Check.SEATS).count == NONE_OPEN


@pytest.mark.parametrize("kind", ["rerate", "reattribute", "allocate", "cover", "import", "backfill", "seats"])
def test_a_job_that_books_is_open_until_it_is_done(book: Book, kind: str) -> None:
    def job(state: str, **given: Any) -> Job:
        asked: dict[str, Any] = {"parameters": {"month": "2026-10"}, "requested_at": book.now(), "requested_by": "x"}
        return Job.objects.create(organization=book.organization, kind=kind, state=state, **asked | given)

    for state in ("queued", "running"):
        moving = job(state)
        assert item(book, Check.JOBS) == Item(Check.JOBS, 1, about=(kind,))
        moving.delete()
    job("failed")
    job("stopped", done=3, requested_at=datetime(2026, 9, 30, tzinfo=UTC))
    job("done", done=3)
    # Those booked nothing, or nothing of October, or all.
    assert item(book, Check.JOBS).count == NONE_OPEN
    job("stopped", done=3)
    job("failed", done=2)
    assert item(book, Check.JOBS).count == 2
    job("done", done=9, parameters={"month": "2026-09"})
    assert item(book, Check.JOBS).count == 2
    job("done", done=9)
    assert item(book, Check.JOBS).count == NONE_OPEN


def test_the_months_last_days_wait_for_their_bill_until_they_are_over(book: Book) -> None:
    stated = Stated(book)
    last = datetime(2026, 10, 31, tzinfo=UTC)
    stated.billed("5")
    stated.reconciled()
    book.take(event("a", occurred_at=last + timedelta(hours=9)))
    soon = last + timedelta(days=1, hours=3)
    # A bill of that day may be there and grow still.
    for _ in range(2):
        assert item(book, Check.BILLS, at=soon) == Item(Check.BILLS, 1, about=("openai",))
        stated.billed("1", occurred_at=last)
    assert item(book, Check.BILLS, at=soon + timedelta(days=1)).count == NONE_OPEN


def test_no_bill_is_waited_for_where_seats_pay_for_all_calls(book: Book) -> None:
    stated = Stated(book)
    stated.billed("5", occurred_at=MIDNIGHT - timedelta(days=9))
    stated.reconciled()
    day = CountingRule.objects.get().since
    seats = Seats(book)
    by_bob = {"identities": ((BOB.kind, "Bob@acme.example"),)}
    calls = [event(name, **by_bob) for name in ("a", "b")]
    assert day <= calls[0].occurred_at.date() < NOVEMBER
    book.source("tools")
    book.take(*calls, source="tools")
    assert item(book, Check.BILLS).count == 1
    # Calls from before the plan are looked at again; what they were booked as first is reversed.
    seats.begin(provider="openai", covers=("tools",))
    seats.booked()
    assert item(book, Check.BILLS).count == NONE_OPEN
    book.take(event("c"), source="tools")
    assert item(book, Check.BILLS).count == 1
