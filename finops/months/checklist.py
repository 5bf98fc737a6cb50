"""What is open of a month: what somebody who closes it should have looked at first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from django.db.models import Exists, OuterRef, Q

from finops.core.periods import DayRange, day_start
from finops.ingest import imports
from finops.ingest.models import QuarantinedRecord
from finops.ingest.selectors import quarantine
from finops.ingest.services import ALLOCATE, COVER, REATTRIBUTE, RERATE
from finops.jobs.models import Job
from finops.jobs.selectors import jobs
from finops.ledger import selectors as ledger
from finops.ledger.types import UNATTRIBUTED, UNPRICED, SpendQuestion
from finops.months.rules import days_of
from finops.months.types import Check, Item
from finops.polling.models import PolledFeed
from finops.polling.selectors import BACKFILL
from finops.reconciliation import selectors as reconciliation
from finops.reconciliation.models import ReconciledDay
from finops.seats import selectors as seats

# Jobs that change what is booked.
_BOOKING: Final = (RERATE, REATTRIBUTE, ALLOCATE, COVER, imports.KIND, BACKFILL, seats.BOOK)
_MOST_NAMED: Final = 20


def checklist(organization_id: int, month: date, *, at: datetime) -> list[Item]:
    """Every check, in a fixed order, whether something is open or not. Questions grow with counting rules, of which
    there is one a provider, and with nothing else.
    """
    days = days_of(month)
    return [
        *_bills(organization_id, days, at),
        _feeds(organization_id, days),
        _seats(organization_id, days),
        _quarantined(organization_id, days),
        *_states(organization_id, days),
        _jobs(organization_id, days),
    ]


def _bills(organization_id: int, days: DayRange, at: datetime) -> Iterator[Item]:
    """Days whose bill is not there or may grow still, is not yet compared as it is told now, or is in another currency
    than the calls.
    """
    waiting = reconciliation.waiting_days(organization_id, days, at=at, not_over=True)
    yield _item(Check.BILLS, sum(map(len, waiting.values())), waiting)
    untied = {}
    for one in reconciliation.countings(organization_id):
        changed = reconciliation.changed(one, since=days.start, at=at, not_come=True)
        untied[one.provider] = sum(day < days.end for day, _ in changed)
    yield _item(Check.UNTIED, sum(untied.values()), [name for name, number in untied.items() if number])
    apart = reconciliation.days(organization_id, period=days).filter(state=ReconciledDay.State.CURRENCIES)
    providers = list(apart.values_list("provider", flat=True))
    yield _item(Check.CURRENCIES, len(providers), set(providers))


def _feeds(organization_id: int, days: DayRange) -> Item:
    """Feeds that were not read to the month's end, whatever keeps them: refused, limited, paused or slow."""
    behind = PolledFeed.objects.filter(
        organization_id=organization_id,
        account__disconnected_at__isnull=True,
        source__archived_at__isnull=True,
        watermark__lt=day_start(days.end),
    )
    slugs = list(behind.order_by("source__slug").values_list("source__slug", flat=True))
    return _item(Check.FEEDS, len(slugs), slugs)


def _seats(organization_id: int, days: DayRange) -> Item:
    """Days that the books do not say yet what plans of seats come to, whatever keeps them. A problem is about the days
    from there on, so that one of a later day is none of this month's.
    """
    books = seats.books(organization_id)
    left = 0 if books is None else (days.end - max(books.made_until, days.start)).days
    return _item(Check.SEATS, max(left, 0), [books.source.slug] if books is not None and left > 0 else [])


def _quarantined(organization_id: int, days: DayRange) -> Item:
    """Records that were held since the month began. When what they tell of happened is often what could not be read,
    so that all of them may be of it.
    """
    held = quarantine(organization_id, state=QuarantinedRecord.State.HELD).filter(
        received_at__gte=day_start(days.start)
    )
    slugs = held.order_by("source__slug").values_list("source__slug", flat=True).distinct()
    return _item(Check.QUARANTINE, held.count(), slugs[:_MOST_NAMED])


def _states(organization_id: int, days: DayRange) -> Iterator[Item]:
    terms = ledger.term_ids(organization_id, "state", [UNPRICED, UNATTRIBUTED])
    rows = ledger.spend(SpendQuestion(organization_id, days, ("state",)))
    for check, word in ((Check.UNPRICED, UNPRICED), (Check.UNATTRIBUTED, UNATTRIBUTED)):
        of_state = [row for row in rows if word in terms and row.values[0] == terms[word]]
        amount = sum((row.reporting_cost for row in of_state), Decimal(0))
        calls = sum(row.calls for row in of_state)
        # What nobody saw costs something and is no call: one line at the least.
        yield Item(check, max(calls, 1 if amount else 0), amount if check is Check.UNATTRIBUTED else None)


def _jobs(organization_id: int, days: DayRange) -> Item:
    """Jobs under way, and those that ended half-way since the month began and that nobody did again to the end."""
    again = Job.objects.filter(
        organization_id=organization_id, kind=OuterRef("kind"), parameters=OuterRef("parameters"),
        state=Job.State.DONE, id__gt=OuterRef("id"),
    )  # fmt: skip
    half_done = Q(
        ~Exists(again),
        state__in=(Job.State.STOPPED, Job.State.FAILED),
        done__gt=0,
        requested_at__gte=day_start(days.start),
    )
    moving = Q(state__in=(Job.State.QUEUED, Job.State.RUNNING))
    kinds = list(jobs(organization_id).filter(moving | half_done, kind__in=_BOOKING).values_list("kind", flat=True))
    return _item(Check.JOBS, len(kinds), set(kinds))


def _item(check: Check, count: int, about: Iterable[str]) -> Item:
    return Item(check, count, about=tuple(sorted(about)[:_MOST_NAMED]))
