"""Makes the demo company, from nothing or from where an interrupted run left it. Running it again adds nothing."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from django.db import connection, transaction

from finops.audit import services as audit
from finops.audit.models import AuditEvent
from finops.core.errors import FinopsError
from finops.core.periods import DayRange, months
from finops.ingest.demo import caps
from finops.ingest.demo.booking import Booking
from finops.ingest.demo.company import SLUG, company
from finops.ingest.demo.founding import DEMO, found
from finops.ingest.demo.rhythm import span
from finops.ingest.demo.workers import Share, book_in_processes
from finops.ingest.services import open_allocation, run_allocation
from finops.jobs import services as jobs
from finops.ledger.services import fold_all, rebuild, settle_days
from finops.orgs.models import Organization, VirtualKey
from finops.orgs.services.keys import note_use
from finops.pricing.services import seed_price_book

CHARGES: Final = 250_000
# Below this a second process costs more than it brings, and what runs in a test's transaction must stay in it.
_ALONE_BELOW: Final = 20_000
_BEGUN: Final = "demo.begun"
_COMPLETED: Final = "demo.completed"
_DATABASE: Final = ("NAME", "USER", "PASSWORD", "HOST", "PORT")


class NotTheDemo(FinopsError):
    """An organization of people's own goes by the demo's name."""

    code = "ingest.not_the_demo"
    status = 409


class Step(Protocol):
    def advance(self, done: int, total: int) -> None: ...


class Screen(Protocol):
    """Where progress is shown."""

    def step(self, title: str) -> AbstractContextManager[Step]: ...


class Plan(NamedTuple):
    """What a demo was begun with: its last instant, and about how many charges."""

    until: datetime
    charges: int


class Seeded(NamedTuple):
    """`outcomes` counts the records of this run by what became of them; empty when there was nothing to do."""

    organization: Organization
    plan: Plan
    outcomes: Counter[str]


def is_complete(organization: Organization) -> bool:
    """The demo company is all there. False for one that was interrupted, and for any other organization."""
    return organization.is_demo and _told(organization, _COMPLETED) is not None


def demo() -> Organization | None:
    """The demo company, complete or not. Raises NotTheDemo when its name is taken."""
    organization = Organization.objects.filter(slug=SLUG).first()
    if organization is not None and not organization.is_demo:
        raise NotTheDemo(f"The organization {SLUG!r} here is not the demo; the demo needs a database without it.")
    return organization


def seed(*, plan: Plan, processes: int, screen: Screen, at: datetime) -> Seeded:
    """Make the demo company, or complete one that was interrupted, as it was begun (its own plan then counts).

    Raises NotTheDemo.
    """
    organization = demo()
    if organization is not None and is_complete(organization):
        return Seeded(organization, _plan_of(organization), Counter())
    if organization is None:
        with screen.step("Copying public prices"):
            seed_price_book(by=DEMO, at=at)
        organization = _begin(plan, screen)
    plan = _plan_of(organization)
    with screen.step("Booking its calls") as step:
        outcomes = _book(organization, plan, processes, step)
        Booking(organization.id, until=plan.until, charges=plan.charges).keep_statements()
    with screen.step("Adding up") as step:
        _allocate(organization, plan)
        caps.after_booking(organization.id, at=plan.until)
        _add_up(organization, step)
    _complete(organization, plan, outcomes)
    return Seeded(organization, plan, outcomes)


def _begin(plan: Plan, screen: Screen) -> Organization:
    with screen.step("Founding the demo company") as step, transaction.atomic():
        organization = found(company(), span(plan.until), step.advance)
        details = {"until": plan.until.isoformat(), "charges": plan.charges}
        _note(organization, _BEGUN, plan, details)
    return organization


def _book(organization: Organization, plan: Plan, processes: int, step: Step) -> Counter[str]:
    alone = Booking(organization.id, until=plan.until, charges=plan.charges)
    stretches = alone.stretches
    done = 0

    def say() -> None:
        nonlocal done
        done += 1
        step.advance(done, len(stretches))

    if processes < 2 or plan.charges < _ALONE_BELOW:
        outcomes = alone.book(stretches, say)
        return Counter({status.value: count for status, count in outcomes.items()})
    database = {name: connection.settings_dict[name] for name in _DATABASE}
    shares = [
        Share(database, organization.id, plan.until, plan.charges, stretches[first::processes])
        for first in range(processes)
    ]
    return book_in_processes(shares, say)


def _allocate(organization: Organization, plan: Plan) -> None:
    """Share the platform's cost of each month, as a job like any other."""
    first = span(plan.until).first
    for month in months(DayRange(first, plan.until.date() + timedelta(days=1))):
        opened = open_allocation(organization_id=organization.id, month=month, by=DEMO, at=plan.until)
        job = jobs.claim(job_id=opened.id, at=plan.until)
        if job is not None:
            run_allocation(job=job, now=lambda: plan.until)


def _add_up(organization: Organization, step: Step) -> None:
    """Bring the rollups up to date, and the database's idea of its tables, so that the first page is quick."""
    if connection.in_atomic_block:
        # A test's transaction, which can have no snapshot of its own to rebuild from.
        fold_all()
        settle_days(organization_id=organization.id)
        return
    # Quicker than folding a whole history, which merges every delta into cubes that are there already.
    rebuild(organization_id=organization.id, say=lambda _, done, total: step.advance(done, total))
    with connection.cursor() as cursor:
        # Every question reads the deltas, which are gone but still take their room.
        cursor.execute("VACUUM ledger_rollup_delta, ledger_session_delta")
        cursor.execute("ANALYZE ledger_charge, ledger_charge_key, ledger_term, ledger_interned")


def _complete(organization: Organization, plan: Plan, outcomes: Counter[str]) -> None:
    with transaction.atomic():
        keys = VirtualKey.objects.filter(organization_id=organization.id, revoked_at__isnull=True)
        for key_id, last_used_at in keys.order_by("id").values_list("id", "last_used_at"):
            note_use(key_id=key_id, last_used_at=last_used_at, at=plan.until)
        _note(organization, _COMPLETED, plan, dict(outcomes))


def _note(organization: Organization, verb: str, plan: Plan, details: dict[str, Any]) -> None:
    audit.record(
        organization_id=organization.id,
        verb=verb,
        subject_kind="organization",
        subject_id=organization.id,
        subject_label=organization.name,
        details=details,
        by=DEMO,
        at=plan.until,
    )


def _told(organization: Organization, verb: str) -> dict[str, Any] | None:
    row = AuditEvent.objects.filter(
        organization_id=organization.id, subject_kind="organization", subject_id=str(organization.id), verb=verb
    ).first()
    return row.details if row else None


def _plan_of(organization: Organization) -> Plan:
    begun = _told(organization, _BEGUN)
    if begun is None:
        raise NotTheDemo(f"The organization {SLUG!r} is marked as a demo, but was not begun as this one.")
    return Plan(datetime.fromisoformat(begun["until"]), int(begun["charges"]))
