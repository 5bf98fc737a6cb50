"""Reads of plans, of what they cover, and of how far the books say what they do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from datetime import date
from threading import Lock
from typing import Final
from uuid import UUID

from django.db.models import Case, Q, QuerySet, Value, When

from finops.connectors.seats import Coverage, coverage_of
from finops.connectors.seats import SeatPlan as Contract
from finops.core.errors import NotFound
from finops.jobs.models import Job
from finops.seats.models import SeatBooks, SeatPlan
from finops.seats.rules import holder_of
from finops.seats.types import HolderName, PlanDraft
from finops.sources.kinds import GATEWAY, SEATS
from finops.sources.models import Source

# The kind of a job that makes days which are not as the plans say.
BOOK: Final = "seats"
# Coverage of the organizations this process served last.
_KEPT: Final = 64
_kept: OrderedDict[int, tuple[UUID, Coverage]] = OrderedDict()
_lock = Lock()


def plans(organization_id: int, *, withdrawn: bool = False) -> QuerySet[SeatPlan]:
    """With their holders and the sources they cover. Oldest first."""
    rows = SeatPlan.objects.filter(organization_id=organization_id).order_by("id")
    rows = rows.prefetch_related("holders__person", "covers__source")
    return rows if withdrawn else rows.filter(withdrawn_at__isnull=True)


def newest(organization_id: int, today: date, most: int) -> QuerySet[SeatPlan]:
    """So many at most: those that are over last, and of each the newest first."""
    over = Case(When(end__lte=today, then=Value(1)), default=Value(0))
    return plans(organization_id).order_by(over, "-id")[:most]


def coverable(organization_id: int, *, kept: Collection[str] = ()) -> QuerySet[Source]:
    """Sources whose calls a seat may pay for: not those of our own gateways, which are paid for by the call, and none
    whose rows are no calls. `kept` are slugs of those a plan covers already, which it does when they are archived too.
    """
    rows = Source.objects.filter(Q(archived_at__isnull=True) | Q(slug__in=kept), organization_id=organization_id)
    return rows.filter(states="").exclude(kind__in=("gateway", SEATS)).exclude(slug=GATEWAY).order_by("slug")


def plan(organization_id: int, plan_id: int) -> SeatPlan:
    """Raises NotFound, also for one that was withdrawn."""
    found = plans(organization_id).filter(id=plan_id).first()
    if found is None:
        raise NotFound("There is no such seat plan.")
    return found


def began(organization_id: int) -> dict[int, date]:
    """Since when each plan is held, and what it was changed from before it."""
    rows = SeatPlan.objects.filter(organization_id=organization_id, withdrawn_at__isnull=True).order_by("id")
    found: dict[int, date] = {}
    # What a plan follows is older.
    for plan_id, follows, start in rows.values_list("id", "follows_id", "start"):
        found[plan_id] = min(start, found.get(follows, start))
    return found


def drafted(row: SeatPlan) -> PlanDraft:
    """A plan as somebody would describe it. An erased holder's name is what the house calls them now."""
    return PlanDraft(
        name=row.name,
        provider=row.provider,
        price=row.price,
        currency=row.currency,
        seats=row.seats,
        start=row.start,
        end=row.end,
        anchor=row.anchor,
        term_months=row.term_months,
        prorated=row.prorated,
        included=row.included,
        account=row.account,
        holders=tuple(HolderName(one.kind, one.value) for one in row.holders.all()),
        covers=tuple(sorted(one.source.slug for one in row.covers.all())),
    )


def contract(row: SeatPlan) -> Contract:
    """A plan as its charges are worked out from. The key of each is the row's, so that a correction is a revision."""
    holders = sorted(row.holders.all(), key=lambda one: one.id)
    return Contract(
        name=row.name,
        provider=row.provider,
        price=row.price,
        currency=row.currency,
        seats=row.seats,
        start=row.start,
        end=row.end,
        anchor=row.anchor,
        term_months=row.term_months,
        prorated=row.prorated,
        included=row.included or row.price * 0,
        holders=tuple(holder_of(one.id, one.kind, one.value, one.person.slug if one.person else "") for one in holders),
        account=row.account,
        key=f"plan-{row.id}",
    )


def load_coverage(organization_id: int) -> Coverage:
    """What the organization's plans pay for; the same object in a process for as long as no plan changes."""
    # Before the rows: newer rows under an older stamp only cost another load.
    stamp = SeatBooks.objects.filter(organization_id=organization_id).values_list("stamp", flat=True).first()
    if stamp is None:
        return _NOTHING
    with _lock:
        kept = _kept.get(organization_id)
        if kept is not None and kept[0] == stamp:
            _kept.move_to_end(organization_id)
            return kept[1]
    rows = plans(organization_id).filter(covers__isnull=False).distinct()
    made = coverage_of((contract(row), frozenset(one.source_id for one in row.covers.all())) for row in rows)
    with _lock:
        _kept[organization_id] = (stamp, made)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made


_NOTHING: Final = Coverage()


def books(organization_id: int) -> SeatBooks | None:
    """None where there never was a plan."""
    return SeatBooks.objects.filter(organization_id=organization_id).first()


def behind(today: date) -> list[int]:
    """Organizations whose charges are to be made up to today, and that no job makes; at most a thousand."""
    rows = SeatBooks.objects.filter(made_until__lte=today).order_by("made_until", "organization_id")
    return list(rows.values_list("organization_id", flat=True)[:1_000])


def job(organization_id: int) -> Job | None:
    """The newest that makes days of this organization, if it is not done: then days are made by it alone."""
    newest = Job.objects.filter(organization_id=organization_id, kind=BOOK).order_by("-id").first()
    return None if newest is None or newest.state == Job.State.DONE else newest
