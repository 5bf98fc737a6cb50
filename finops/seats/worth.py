"""Whether seats are worth their price: what they cost, what their holders used at list price, and who used nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db.models.functions import Lower

from finops.connectors.seats import cost_pico
from finops.core.money import from_pico
from finops.core.periods import DayRange, month_start
from finops.ledger.selectors import crossed
from finops.ledger.selectors.labels import term_ids
from finops.ledger.types import SpendQuestion, SpendRow
from finops.orgs.models import Identity
from finops.seats import selectors
from finops.seats.models import SeatHolder, SeatPlan
from finops.seats.rules import write_holder

# A holder without a call for so long has a seat for nothing. Of a newer plan nobody can tell.
IDLE_AFTER: Final = timedelta(days=30)
_GROUPS: Final = ("person", "provider", "source")


@dataclass(frozen=True, slots=True)
class Worth:
    """Of one plan. `cost` is of this month up to today; `equivalent` what its holders' calls of this month come to at
    list price, by currency: those it covers, or all at its provider where it covers no source. `calls` are of 30 days.
    """

    plan: SeatPlan
    currency: str
    cost: Decimal
    equivalent: tuple[tuple[str, Decimal], ...]
    calls: int
    idle: tuple[str, ...]
    # Holders whom nobody here is known as: their seats are nobody's, and so are their calls.
    unknown: tuple[str, ...]

    @property
    def unassigned(self) -> int:
        return self.plan.seats - len(self.plan.holders.all())

    @property
    def month_equivalent(self) -> Decimal:
        """In the plan's currency, which is what its cost may be held against."""
        return dict(self.equivalent).get(self.currency, Decimal(0))


def worth_of(organization_id: int, plans: Sequence[SeatPlan], *, today: date) -> list[Worth]:
    """Of plans with their holders, in their order. Four questions, however many plans there are."""
    people = _people(organization_id, [one for plan in plans for one in plan.holders.all()])
    tomorrow = today + timedelta(days=1)
    asked = _Asked(organization_id, {plan.provider for plan in plans}, set(people.values()))
    month = asked.of(DayRange(month_start(today), tomorrow))
    lately = asked.of(DayRange(tomorrow - IDLE_AFTER, tomorrow))
    began = selectors.began(organization_id)
    new = {plan.id for plan in plans if began.get(plan.id, plan.start) > today - IDLE_AFTER}
    return [_worth(plan, people, asked, month, lately, today, new=plan.id in new) for plan in plans]


class _Asked:
    """Questions about calls that these people made at these providers."""

    def __init__(self, organization_id: int, providers: Collection[str], people: Collection[int]) -> None:
        self.organization_id = organization_id
        self.providers = term_ids(organization_id, "provider", providers)
        usage = term_ids(organization_id, "category", ["Usage"]).values()
        self.filters = {
            "person": frozenset(people),
            "provider": frozenset(self.providers.values()),
            "category": frozenset(usage),
        }

    def of(self, days: DayRange) -> list[SpendRow]:
        return crossed(SpendQuestion(self.organization_id, days, _GROUPS, self.filters))


def _people(organization_id: int, holders: Iterable[SeatHolder]) -> dict[int, int]:
    """The person of each holder who is one here, by the holder's id."""
    holders = list(holders)
    wanted = {(one.kind, one.value.lower()) for one in holders}
    rows = Identity.objects.filter(organization_id=organization_id, archived_at__isnull=True)
    rows = rows.annotate(folded=Lower("value")).filter(folded__in={value for _, value in wanted})
    known = {(kind, value): person for kind, value, person in rows.values_list("kind", "folded", "person_id")}
    found = {one.id: one.person_id or known.get((one.kind, one.value.lower()), 0) for one in holders}
    return {holder: person for holder, person in found.items() if person}


def _worth(
    plan: SeatPlan,
    people: Mapping[int, int],
    asked: _Asked,
    month: Sequence[SpendRow],
    lately: Sequence[SpendRow],
    today: date,
    *,
    new: bool,
) -> Worth:
    holders = list(plan.holders.all())
    mine = {people[one.id] for one in holders if one.id in people}
    provider = asked.providers.get(plan.provider)
    sources = {one.source_id for one in plan.covers.all()}

    def of_plan(row: SpendRow) -> bool:
        person, at, source = row.values
        return person in mine and at == provider and (not sources or source in sources)

    equivalent: dict[str, Decimal] = defaultdict(Decimal)
    for row in filter(of_plan, month):
        equivalent[row.currency] += row.list_cost
    calls: dict[int, int] = defaultdict(int)
    for row in filter(of_plan, lately):
        calls[row.values[0]] += row.calls
    named = sorted((write_holder(one.kind, one.value), people.get(one.id, 0)) for one in holders)
    days = DayRange(month_start(today), today + timedelta(days=1))
    return Worth(
        plan=plan,
        currency=plan.currency,
        cost=from_pico(cost_pico(selectors.contract(plan), days)),
        equivalent=tuple(sorted(equivalent.items())),
        calls=sum(calls.values()),
        idle=tuple(name for name, person in named if person and not calls[person] and not new),
        unknown=tuple(name for name, person in named if not person),
    )
