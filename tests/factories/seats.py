"""Plans of seats to tell stories with, and what of them stands in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from finops.connectors.seats import Holder, SeatPlan, charges
from finops.core.money import to_pico
from finops.core.periods import DayRange
from finops.ingest.services import COVER, run_rework
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.orgs.models import Organization
from finops.seats import models, services
from finops.seats.types import HolderName, PlanDraft
from tests.factories.ledger import Book, rows
from tests.factories.orgs import HOUSE

BOB = HolderName("email", "bob@acme.example")
DANA = HolderName("email", "dana@acme.example")
# (day, plan, holder's name or '') to picodollars.
Standing = dict[tuple[date, str, str], int]

_STANDING = """
SELECT (c.occurred_at AT TIME ZONE 'UTC')::date, c.tags ->> 'plan', coalesce(o.body -> 'identities' -> 0 ->> 1, ''),
    sum(c.effective_cost)
FROM ledger_charge AS c
LEFT JOIN ledger_interned AS o ON o.id = c.origin_id
WHERE c.organization_id = %s AND c.source_id = %s
GROUP BY 1, 2, 3 HAVING sum(c.effective_cost) <> 0
"""


def draft(**given: Any) -> PlanDraft:
    """Three seats at 30 dollars a month from 1 October, for Bob and Dana, and one that is nobody's."""
    usual: dict[str, Any] = {
        "name": "Claude Team", "provider": "anthropic", "price": Decimal(30), "currency": "USD", "seats": 3,
        "start": date(2026, 10, 1), "holders": (BOB, DANA),
    }  # fmt: skip
    return PlanDraft(**usual | given)


@dataclass
class Seats:
    """Plans of a book's organization; its days are made, and jobs worked, when somebody says so."""

    book: Book

    @property
    def organization(self) -> Organization:
        return self.book.organization

    @property
    def who(self) -> dict[str, Any]:
        return {"organization_id": self.organization.id, "by": HOUSE, "at": self.book.now()}

    def begin(self, made: PlanDraft | None = None, **given: Any) -> models.SeatPlan:
        return services.begin(draft=made or draft(**given), **self.who)

    def change(self, plan: models.SeatPlan, since: date, **changes: Any) -> models.SeatPlan:
        return services.change(plan_id=plan.id, since=since, changes=changes, **self.who)

    def correct(self, plan: models.SeatPlan, **changes: Any) -> models.SeatPlan:
        return services.correct(plan_id=plan.id, changes=changes, **self.who)

    def withdraw(self, plan: models.SeatPlan) -> None:
        services.withdraw(plan_id=plan.id, **self.who)

    def booked(self) -> None:
        """Everything that waits: days, and jobs."""
        for kind, run in (("seats", services.run_job), (COVER, run_rework)):
            for job in Job.objects.filter(organization=self.organization, kind=kind, state="queued").order_by("id"):
                claimed = jobs.claim(job_id=job.id, at=self.book.now())
                if claimed is not None:
                    run(job=claimed, now=self.book.now)
        services.book(organization_id=self.organization.id, now=self.book.now)

    def standing(self) -> Standing:
        source = models.SeatBooks.objects.get(organization=self.organization).source_id
        found = rows(_STANDING, self.organization.id, source)
        return {(day, plan, holder): to_pico(cost) for day, plan, holder, cost in found}


def worked_out(plans: Iterable[PlanDraft], until: date) -> Standing:
    """What plans come to up to a day, from what was agreed alone."""
    found: Standing = {}
    for one in plans:
        contract = SeatPlan(
            name=one.name, provider=one.provider, price=one.price, currency=one.currency, seats=one.seats,
            start=one.start, end=one.end, anchor=one.anchor, term_months=one.term_months, prorated=one.prorated,
            holders=tuple(Holder(kind, value) for kind, value in one.holders),
        )  # fmt: skip
        for event in charges(contract, DayRange(date(2019, 1, 1), until)):
            holder = event.identities[0][1] if event.identities else ""
            key = (event.occurred_at.date(), one.name, holder)
            found[key] = found.get(key, 0) + (event.cost.pico if event.cost else 0)
    return {key: pico for key, pico in found.items() if pico}


def by_holder(standing: Mapping[tuple[date, str, str], int]) -> dict[str, Decimal]:
    found: dict[str, int] = {}
    for (_, _, holder), pico in standing.items():
        found[holder] = found.get(holder, 0) + pico
    return {holder: Decimal(pico).scaleb(-12).normalize() for holder, pico in found.items()}
