"""Charges of seats: days made as the plans say, oldest first, up to today.

A day is made whole: what all plans of the organization say of it is sent through the corridor, and what stands there
and is said no more is taken back. So what stands follows from the plans that there are, whatever they were before. What
is sent again as it was is a duplicate, so whoever is cut off begins again where the books say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import Error, connection

from finops.connectors.seats import SeatPlan as Contract
from finops.connectors.seats import charges
from finops.connectors.types import Received
from finops.core.errors import FinopsError
from finops.core.periods import DayRange, day_start
from finops.ingest.services import take
from finops.ingest.services.withdraw import digest, withdraw
from finops.ingest.types import Outcome, Status
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.seats import selectors
from finops.seats.models import SeatBooks
from finops.seats.rules import days_a_step

# What the corridor calls these records by. None is held: what cannot be booked waits where it is, with the reason.
PARSER: Final = "seats"
# About so many charges are made before it is said how far the books are.
MOST_A_STEP: Final = 4_000
LONGEST_TURN: Final = timedelta(seconds=30)
Clock = Callable[[], datetime]


class NotBookable(FinopsError):
    """A charge of a seat that the corridor would hold, for want of an exchange rate most often."""

    code = "seats.not_bookable"
    status = 409


def book(*, organization_id: int, now: Clock) -> bool:
    """One turn: days made up to today, unless a job makes them or another worker does. True: there is more to do."""
    if selectors.job(organization_id) is not None:
        return False
    began = now()
    with _alone(organization_id) as mine:
        while mine and now() - began < LONGEST_TURN:
            if not _step(organization_id, now()):
                return False
    return mine


def run_job(*, job: Job, now: Clock) -> bool:
    """One turn of a job that makes many days; True where there is more to do at once. Raises JobLost."""
    began = now()
    with _alone(job.organization_id) as mine:
        if not mine:
            jobs.wait(job=job, at=now())
            return False
        while _step(job.organization_id, now()):
            if not jobs.progress(job=job, done=_done(job, now()), total=job.total, at=now()):
                return False
            if now() - began >= LONGEST_TURN:
                return jobs.wait(job=job, at=now())
    books = selectors.books(job.organization_id)
    if books is not None and books.problem:
        jobs.wait(job=job, at=now())
        return False
    if jobs.progress(job=job, done=_done(job, now()), total=job.total, at=now()):
        jobs.finish(job=job, result={"days": job.total}, at=now())
    return False


def _done(job: Job, at: datetime) -> int:
    books = SeatBooks.objects.get(organization_id=job.organization_id)
    left = (at.date() + timedelta(days=1) - books.made_until).days
    return max(job.done, (job.total or 0) - max(left, 0))


class _Changed(Exception):
    """Plans are not what they were when the charges of this batch were made."""


@contextmanager
def _alone(organization_id: int) -> Iterator[bool]:
    """Two at once could book what plans said before. A lock of the session, for words are interned in transactions of
    their own; it goes with the connection.
    """
    name = f"seats:{organization_id}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        (mine,) = cursor.fetchone() or (False,)
    try:
        yield mine
    finally:
        if mine:
            # When the connection is gone, so is the lock, and what ended it is the error to be told.
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def _step(organization_id: int, at: datetime) -> bool:
    """Make the next days. False: the books are as the plans say up to today, or do not go on (`SeatBooks.problem`)."""
    books = selectors.books(organization_id)
    after = at.date() + timedelta(days=1)
    if books is None or books.made_until >= after:
        return False
    contracts = [selectors.contract(row) for row in selectors.plans(organization_id)]
    first = books.made_until
    last = min(after, first + timedelta(days=days_a_step(contracts, MOST_A_STEP)))
    # Before there is a charge: whoever is cut off after it leaves days that are looked at for what is said no more.
    SeatBooks.objects.filter(organization_id=organization_id, told_until__lt=last).update(told_until=last)
    try:
        _make(books, contracts, DayRange(first, last), at)
    except NotBookable as error:
        SeatBooks.objects.filter(organization_id=organization_id, stamp=books.stamp).update(problem=error.message[:500])
        return False
    except _Changed:
        return True
    # Whoever changed a plan meanwhile says from where it begins again.
    SeatBooks.objects.filter(organization_id=organization_id, stamp=books.stamp).update(made_until=last, problem="")
    return True


def _make(books: SeatBooks, contracts: Sequence[Contract], days: DayRange, at: datetime) -> None:
    """Raises NotBookable and _Changed."""
    within = partial(_still, books)
    made = [event for contract in contracts for event in charges(contract, days)]
    take(
        organization_id=books.organization_id,
        source_id=books.source_id,
        parser=PARSER,
        received=[Received(b"", event) for event in made],
        at=at,
        within=within,
    )
    if days.start < books.told_until:
        withdraw(
            organization_id=books.organization_id,
            source_id=books.source_id,
            parser=PARSER,
            since=day_start(days.start),
            until=day_start(days.end),
            told={digest(event.external_id) for event in made},
            at=at,
            within=within,
        )


def _still(books: SeatBooks, _: Sequence[int], outcomes: Sequence[Outcome]) -> None:
    """In the transaction of the batch, which books nothing then. Nobody changes a plan, or is erased, until it is
    committed. Raises NotBookable and _Changed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stamp FROM seats_seatbooks WHERE organization_id = %s FOR SHARE", [books.organization_id]
        )
        if cursor.fetchone() != (books.stamp,):
            raise _Changed
    for outcome in outcomes:
        if outcome.status is Status.QUARANTINED and outcome.problem is not None:
            raise NotBookable(outcome.problem.message, field=outcome.problem.field)
