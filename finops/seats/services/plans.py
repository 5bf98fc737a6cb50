"""Plans: begun, changed from a day on, corrected where they were entered wrong, withdrawn where they never were.

Each says from which day on the books are to be made anew. What follows of that is made by `booking`; which calls are
paid for is looked at by a job of the corridor's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound
from finops.core.periods import DayRange
from finops.ingest.services import COVER, open_rework
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.orgs.models import Person
from finops.orgs.services.checks import SlugTaken
from finops.seats import rules, selectors
from finops.seats.models import SeatBooks, SeatCover, SeatHolder, SeatPlan
from finops.seats.rules import PlanInvalid
from finops.seats.types import HolderName, PlanDraft
from finops.sources.kinds import SEATS
from finops.sources.models import Source
from finops.sources.services import add_source

# What lies farther back is made by a job, which shows how far it is.
LONG: Final = timedelta(days=31)
_FIELDS: Final = tuple(one.name for one in fields(PlanDraft) if one.name not in {"holders", "covers"})
_SLUGS: Final = ("seats", "capstan-seats", "capstan-seat-plans")


class NameTaken(FinopsError):
    """Two plans of one name on one day are most often one that was entered twice."""

    code = "seats.name_taken"
    status = 409


@transaction.atomic
def begin(*, organization_id: int, draft: PlanDraft, by: Actor, at: datetime) -> SeatPlan:
    """Raises PlanInvalid and NameTaken."""
    books = _locked_books(organization_id, by, at)
    made = rules.checked(draft, today=at.date())
    row = _add(organization_id, made, None, by, at)
    _note("seat_plan.begun", row, by, at, {"after": _told(made)})
    _follow(books, None, made, by, at)
    return selectors.plan(organization_id, row.id)


@transaction.atomic
def change(
    *, organization_id: int, plan_id: int, since: date, changes: Mapping[str, Any], by: Actor, at: datetime
) -> SeatPlan:
    """End a plan, and begin another from that day on, which is as the first but for `changes`. Gives the other one.

    Terms go on as they were, unless their length or the anchor changes. Raises NotFound, PlanInvalid and NameTaken.
    """
    books = _locked_books(organization_id, by, at)
    row = _locked(organization_id, plan_id)
    before = selectors.drafted(row)
    if not before.start < since or (before.end is not None and since >= before.end):
        until = "" if before.end is None else f", and before {before.end}"
        raise PlanInvalid(f"it changes on a day after {before.start}{until}; else correct it", field="since")
    rules.refuse_broken_term(selectors.contract(row), since)
    anchored = {"anchor": since} if "term_months" in changes and "anchor" not in changes else {}
    after = rules.checked(_changed(before, {**changes, **anchored, "start": since}), today=at.date())
    ended = replace(before, end=since)
    if replace(after, start=before.start, end=None) == replace(_sorted(before), end=None):
        raise PlanInvalid("nothing would change on that day", field="since")
    row.end = since
    row.save(update_fields=["end"])
    other = _add(organization_id, after, row, by, at)
    _note("seat_plan.ended", row, by, at, {"before": _told(before), "after": _told(ended)})
    _note("seat_plan.begun", other, by, at, {"after": _told(after), "follows": row.id})
    _follow(books, before, ended, by, at)
    _follow(books, None, after, by, at)
    return selectors.plan(organization_id, other.id)


@transaction.atomic
def correct(*, organization_id: int, plan_id: int, changes: Mapping[str, Any], by: Actor, at: datetime) -> SeatPlan:
    """Say a plan as it should have been entered, or when it ends; what is not told stays. Its charges are revised or
    taken back, from the first day on that this is about. Raises NotFound, PlanInvalid, NameTaken.
    """
    books = _locked_books(organization_id, by, at)
    row = _locked(organization_id, plan_id)
    before = selectors.drafted(row)
    made = _changed(before, changes)
    if "start" in changes and "anchor" not in changes and before.anchor == before.start:
        made = replace(made, anchor=None)
    # Its beginning was near enough when it was entered.
    after = rules.checked(made, today=row.made_at.date() if made.start == before.start else at.date())
    if after == _sorted(before):
        return selectors.plan(organization_id, plan_id)
    _refuse_name(organization_id, after, but=row.id)
    for name in _FIELDS:
        setattr(row, name, getattr(after, name))
    row.save()
    _set_holders(row, after.holders)
    _set_covers(row, after.covers, before.covers)
    _note("seat_plan.corrected", row, by, at, {"before": _told(before), "after": _told(after)})
    _follow(books, before, after, by, at)
    return selectors.plan(organization_id, plan_id)


@transaction.atomic
def withdraw(*, organization_id: int, plan_id: int, by: Actor, at: datetime) -> None:
    """The plan never was: all its charges are taken back. The one it was changed from goes on in its place, until
    this one's end. Raises NotFound and NameTaken.
    """
    books = _locked_books(organization_id, by, at)
    row = _locked(organization_id, plan_id)
    before = selectors.drafted(row)
    row.withdrawn_at = at
    row.save(update_fields=["withdrawn_at"])
    _note("seat_plan.withdrawn", row, by, at, {"before": _told(before)})
    _follow(books, before, None, by, at)
    if row.follows_id is not None:
        _go_on(books, row, row.follows_id, by, at)


def forget_holder(person: Person, names: Sequence[tuple[str, str]]) -> None:
    """Take the names of an erased person out of plans. The seats stay theirs, by what they are called now."""
    # Before the holders, as whoever changes a plan does.
    _lock_books(person.organization_id)
    gone = {(kind, value.lower()) for kind, value in names}
    rows = SeatHolder.objects.select_for_update().filter(
        organization_id=person.organization_id, kind__in={kind for kind, _ in gone}
    )
    touched = [row for row in rows.order_by("id") if (row.kind, row.value.lower()) in gone]
    for row in touched:
        row.value, row.person = f"{rules.ERASED}{row.id}", person
        row.save(update_fields=["value", "person"])
    if touched:
        SeatBooks.objects.filter(organization_id=person.organization_id).update(stamp=uuid.uuid4())


def _go_on(books: SeatBooks, row: SeatPlan, followed_id: int, by: Actor, at: datetime) -> None:
    """What a plan was changed into never was, so there was no change. Raises NameTaken."""
    rows = SeatPlan.objects.select_for_update().filter(organization_id=row.organization_id, withdrawn_at__isnull=True)
    first = rows.filter(id=followed_id, end=row.start).first()
    if first is None:
        return
    before = selectors.drafted(first)
    after = replace(before, end=row.end)
    _refuse_name(row.organization_id, after, but=first.id)
    first.end = row.end
    first.save(update_fields=["end"])
    # What came of the change has this one to go back to.
    SeatPlan.objects.filter(organization_id=row.organization_id, follows=row).update(follows=first)
    _note("seat_plan.corrected", first, by, at, {"before": _told(before), "after": _told(after)})
    _follow(books, before, after, by, at)


def _changed(before: PlanDraft, changes: Mapping[str, Any]) -> PlanDraft:
    return replace(before, **changes)


def _sorted(draft: PlanDraft) -> PlanDraft:
    holders = tuple(sorted(draft.holders, key=lambda one: (one.kind, one.value.lower())))
    return replace(draft, holders=holders)


def _add(organization_id: int, made: PlanDraft, follows: SeatPlan | None, by: Actor, at: datetime) -> SeatPlan:
    _refuse_name(organization_id, made, but=0)
    if SeatPlan.objects.filter(organization_id=organization_id, withdrawn_at__isnull=True).count() >= rules.MOST_PLANS:
        raise PlanInvalid(f"an organization has {rules.MOST_PLANS} plans at most: withdraw one, or correct one")
    row = SeatPlan.objects.create(
        organization_id=organization_id,
        **{name: getattr(made, name) for name in _FIELDS},
        follows=follows,
        made_at=at,
        made_by=by.reference,
    )
    _set_holders(row, made.holders, () if follows is None else follows.holders.all())
    inherited = () if follows is None else tuple(follows.covers.values_list("source__slug", flat=True))
    _set_covers(row, made.covers, inherited)
    return row


def _refuse_name(organization_id: int, made: PlanDraft, *, but: int) -> None:
    """Raises NameTaken."""
    same = SeatPlan.objects.filter(organization_id=organization_id, name__iexact=made.name, withdrawn_at__isnull=True)
    for row in same.exclude(id=but):
        if (row.end is None or made.start < row.end) and (made.end is None or row.start < made.end):
            raise NameTaken(f"There is a plan {row.name!r} on these days already (number {row.id}).", field="name")


def _set_holders(row: SeatPlan, told: Iterable[HolderName], before: Iterable[SeatHolder] = ()) -> None:
    """Who stays keeps their row, whose id is part of the ids of their charges. An erased one of the plan `before` is
    the same person here. Raises PlanInvalid for the name of an erased one who is neither.
    """
    erased = {(one.kind, one.value.lower()): one.person_id for one in before if one.person_id}
    there = {(one.kind, one.value.lower()): one for one in row.holders.all()}
    wanted = {(kind, value.lower()): (kind, value) for kind, value in told}
    for name in wanted:
        if name[1].startswith(rules.ERASED) and name not in there and name not in erased:
            raise PlanInvalid(f"nobody of this plan is called {name[1][:80]!r}", field="holders")
    SeatHolder.objects.filter(id__in=[one.id for name, one in there.items() if name not in wanted]).delete()
    SeatHolder.objects.bulk_create(
        SeatHolder(organization_id=row.organization_id, plan=row, kind=kind, value=value, person_id=erased.get(name))
        for name, (kind, value) in wanted.items()
        if name not in there
    )


def _set_covers(row: SeatPlan, told: Sequence[str], before: Sequence[str]) -> None:
    """Raises PlanInvalid for a source there is not, or whose rows are no calls of a seat."""
    found = {one.slug: one for one in selectors.coverable(row.organization_id, kept=before).filter(slug__in=told)}
    for slug in told:
        if slug not in found:
            raise PlanInvalid(f"there is no source {slug[:80]!r} whose calls a seat may pay for", field="covers")
    row.covers.exclude(source__in=found.values()).delete()
    there = set(row.covers.values_list("source_id", flat=True))
    SeatCover.objects.bulk_create(
        SeatCover(organization_id=row.organization_id, plan=row, source=found[slug])
        for slug in told
        if found[slug].id not in there
    )


def _locked(organization_id: int, plan_id: int) -> SeatPlan:
    rows = SeatPlan.objects.select_for_update().filter(organization_id=organization_id, withdrawn_at__isnull=True)
    row = rows.filter(id=plan_id).first()
    if row is None:
        raise NotFound("There is no such seat plan.")
    return row


def _locked_books(organization_id: int, by: Actor, at: datetime) -> SeatBooks:
    """One change of plans at a time. Made with the first, and with them the source of their charges."""
    found = _lock_books(organization_id)
    if found is not None:
        return found
    source = _add_source(organization_id, by, at)
    today = at.date()
    return SeatBooks.objects.create(
        organization_id=organization_id, source=source, made_until=today + timedelta(days=1), told_until=date.min
    )


def _lock_books(organization_id: int) -> SeatBooks | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"seat-plans:{organization_id}"])
    return SeatBooks.objects.select_for_update().filter(organization_id=organization_id).first()


def _add_source(organization_id: int, by: Actor, at: datetime) -> Source:
    for slug in _SLUGS:
        try:
            return add_source(
                organization_id=organization_id, slug=slug, name="Seat plans", kind=SEATS,
                level=Source.Level.BILLED, revises=True, by=by, at=at,
            )  # fmt: skip
        except SlugTaken:
            if slug == _SLUGS[-1]:
                raise
    raise AssertionError("there is a slug to try")


def _follow(books: SeatBooks, before: PlanDraft | None, after: PlanDraft | None, by: Actor, at: datetime) -> None:
    """Have the books made anew from the first day that a change is about, and calls looked at that it may cover."""
    today = at.date()
    first = rules.first_day(before, after)
    books.stamp, books.problem = uuid.uuid4(), ""
    if first is not None and first < books.made_until:
        books.made_until = first
    books.save()
    if first is not None and today - first > LONG:
        _open_job(books, first, by, at)
    days = rules.covered_days(before, after)
    if days is None or days[0] > today:
        return
    last = today if days[1] is None else min(today, days[1] - timedelta(days=1))
    slugs = {slug for one in (before, after) if one is not None for slug in one.covers}
    ids = Source.objects.filter(organization_id=books.organization_id, slug__in=slugs).values_list("id", flat=True)
    if days[0] <= last:
        # A call may be a day ahead of our clock.
        period = DayRange(days[0], last + timedelta(days=2))
        open_rework(
            organization_id=books.organization_id, kind=COVER, period=period, filters={"source": sorted(ids)},
            by=by, at=at,
        )  # fmt: skip


def _open_job(books: SeatBooks, first: date, by: Actor, at: datetime) -> None:
    """One that waits already makes these days too."""
    newest = selectors.job(books.organization_id)
    if newest is None or newest.state != Job.State.QUEUED:
        total = (at.date() - first).days + 1
        jobs.open_job(
            organization_id=books.organization_id, kind=selectors.BOOK, parameters={"since": first.isoformat()},
            total=total, by=by, at=at,
        )  # fmt: skip


def _told(draft: PlanDraft) -> dict[str, Any]:
    """For the trail, which names nobody."""
    said = {name: getattr(draft, name) for name in _FIELDS}
    told = {name: value if isinstance(value, int | bool | None) else str(value) for name, value in said.items()}
    return told | {"holders": len(draft.holders), "covers": list(draft.covers)}


def _note(verb: str, row: SeatPlan, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    audit.record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="seat_plan",
        subject_id=row.id,
        subject_label=row.name,
        details=details,
        by=by,
        at=at,
    )
