"""Seats as what they are: purchases. What a plan costs by day or month, what its pool includes, what goes over. Pure.

A seat is paid for whether or not it is used, so its price is a Purchase and never the sum of its tokens. What those
would have cost at list price is worth knowing and is no money: a covered call costs 0 and keeps its counts, and the
ledger keeps the list price of those beside it. What goes over the pool is Usage.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from finops.connectors.foreign import key_of, tags_of
from finops.connectors.types import NO_COUNTS, Dimensions, GivenCost, UsageEvent
from finops.core.money import allocate, to_ledger, to_pico
from finops.core.periods import DayRange, day_start, month_start, months

# The tag of a call that a seat pays for, and its word.
BILLING: Final = "billing"
SUBSCRIPTION: Final = "subscription"
# The tag of a call that a plan of the organization's own pays for: which one. No source may say it.
PAID_BY: Final = "capstan.seat_plan"
LONGEST_TERM: Final = 60
_MOST_SEATS: Final = 10**6
# Stands among identities for whoever a source named outright.
_NAMED: Final = "person"


class Holder(NamedTuple):
    """Who has a seat, by a name that tools know them by: an identity's kind and value.

    `key` stands for the holder in the ids of charges, the name itself where it is ''. `person` is the slug of somebody
    who was erased, and whose seat it still is.
    """

    kind: str
    value: str
    key: str = ""
    person: str = ""

    @property
    def names(self) -> tuple[str, str]:
        """As it is compared: identities have no case."""
        return (_NAMED, self.person) if self.person else (self.kind, self.value.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlan:
    """A plan as a contract describes it. `price` and `included` are of one seat and one term, in `currency`.

    A term is `term_months` long and begins on the day of `anchor`; the plan is held `[start, end)`, to None for good. A
    term that is held in part is paid by the day where `prorated`, else whole. `holders` are who has a seat by name; the
    other seats are nobody's. A plan whose seats or price change is another plan from that day on. `key` stands for the
    plan in the ids of charges, its name where it is ''. Raises ValueError for what no plan is.
    """

    name: str
    provider: str
    price: Decimal
    currency: str
    seats: int
    start: date
    end: date | None = None
    anchor: date | None = None
    term_months: int = 1
    prorated: bool = True
    included: Decimal = Decimal(0)
    holders: tuple[Holder, ...] = ()
    account: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if not self.name or not 0 <= self.seats <= _MOST_SEATS or len(self.holders) > self.seats:
            raise ValueError("a plan has a name, and not more holders than seats")
        # Somebody who was erased may have had a seat by each of two names: their keys still tell these apart.
        if len({holder.key or holder.names for holder in self.holders}) != len(self.holders):
            raise ValueError("nobody holds two seats of a plan")
        if self.price < 0 or self.included < 0 or not 1 <= self.term_months <= LONGEST_TERM:
            raise ValueError(f"a price is not below 0, and a term is 1 to {LONGEST_TERM} months")
        if len(self.currency) != 3 or not self.currency.isascii() or not self.currency.isupper():
            raise ValueError(f"{self.currency!r} is no currency, like USD")
        if (self.end is not None and self.end < self.start) or (self.anchor or self.start) > self.start:
            raise ValueError("a plan ends after it starts, and its first term begins by then")


def charges(plan: SeatPlan, period: DayRange, *, by: Literal["day", "month"] = "day") -> list[UsageEvent]:
    """A purchase for each day or calendar month of the period and each holder, and one for the seats of nobody.

    A term's price is split over its days with the largest remainder, so that its charges sum to it. What a day or month
    costs does not depend on the period that is asked for: months that are touched are told whole.
    """
    if by == "month":
        touched = months(period)
        if not touched:
            return []
        period = DayRange(touched[0], _later(touched[-1], 1))
    found: dict[date, int] = {}
    for day, pico in _days(plan, period):
        key = month_start(day) if by == "month" else day
        found[key] = found.get(key, 0) + pico
    free = plan.seats - len(plan.holders)
    made = []
    for day, pico in found.items():
        first = max(day, plan.start)
        if free:
            made.append(_purchase(plan, day, first, by, pico * free, None, free))
        made += [_purchase(plan, day, first, by, pico, holder, 1) for holder in plan.holders]
    return made


def cost_pico(plan: SeatPlan, period: DayRange) -> int:
    """What all seats cost in a period, in picodollars of the plan's currency: what its charges by day sum to."""
    return plan.seats * sum(pico for _, pico in _days(plan, period))


def next_term(plan: SeatPlan, day: date) -> date:
    """The first day of a term of the plan that is not before `day`."""
    anchor = plan.anchor or plan.start
    number = _term_of(anchor, day, plan.term_months)
    begins = _later(anchor, number * plan.term_months)
    return begins if begins >= day else _later(anchor, (number + 1) * plan.term_months)


def included_pico(plan: SeatPlan) -> int:
    """What all seats together include in one term, in picodollars of the plan's currency: the pool."""
    return to_pico(to_ledger(plan.included)) * plan.seats


def over(pool_pico: int, used_pico: int, cost_pico: int) -> tuple[int, int]:
    """How much of a call's value the pool still covers, and what goes over: (covered, overage), which sum to the value.

    `used_pico` is what the term's calls before it were worth. The pool's last cent is spendable.
    """
    covered = min(cost_pico, max(0, pool_pico - used_pico))
    return covered, cost_pico - covered


def covered(event: UsageEvent) -> UsageEvent:
    """A call that a seat pays for: it costs nothing, and its counts stay, for what they would have cost to be known."""
    tags = dict(event.tags) | {BILLING: SUBSCRIPTION}
    currency = "USD" if event.cost is None else event.cost.currency
    return replace(event, cost=GivenCost(0, currency), tags=tags_of(tags))


@dataclass(frozen=True, slots=True)
class Cover:
    """Whose calls a plan pays for: its holders' at its provider, from these sources, on `[start, end)`."""

    plan: str
    provider: str
    sources: frozenset[int]
    start: date
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """All that an organization's plans pay for, by the holder. False where there is nothing."""

    covers: dict[tuple[str, str], tuple[Cover, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.covers)

    def plan_of(self, event: UsageEvent, source_id: int, provider: str) -> str:
        """The name of the plan that pays for a call, '' where none does. `provider` as the house calls it.

        It follows from what the call says alone, so that it is the same whenever the call comes, and in whatever order.
        """
        if event.category != "Usage":
            return ""
        named = [(kind, value.lower()) for kind, value in event.identities]
        if event.dimensions.person:
            named.append((_NAMED, event.dimensions.person))
        day = event.occurred_at.date()
        for name in named:
            for cover in self.covers.get(name, ()):
                if (
                    source_id in cover.sources
                    and provider == cover.provider
                    and cover.start <= day
                    and (cover.end is None or day < cover.end)
                ):
                    return cover.plan
        return ""


def coverage_of(plans: Iterable[tuple[SeatPlan, frozenset[int]]]) -> Coverage:
    """What plans, each with the sources it covers, pay for. Of two for the same call it is the first."""
    found: dict[tuple[str, str], tuple[Cover, ...]] = {}
    for plan, sources in plans:
        if sources:
            cover = Cover(plan.name, plan.provider, sources, plan.start, plan.end)
            for names in {holder.names for holder in plan.holders}:
                found[names] = (*found.get(names, ()), cover)
    return Coverage(found)


def _days(plan: SeatPlan, period: DayRange) -> Iterator[tuple[date, int]]:
    """Days of the period on which the plan is held, and what one seat costs on each, in picodollars."""
    price = to_pico(to_ledger(plan.price))
    anchor = plan.anchor or plan.start
    first = max(period.start, plan.start)
    last = period.end if plan.end is None else min(period.end, plan.end)
    number = _term_of(anchor, first, plan.term_months)
    while first < last:
        term = DayRange(_later(anchor, number * plan.term_months), _later(anchor, (number + 1) * plan.term_months))
        held = DayRange(max(term.start, plan.start), term.end if plan.end is None else min(term.end, plan.end))
        paid = term if plan.prorated else held
        shares = allocate(price, dict.fromkeys(_each(paid), 1))
        for day in _each(DayRange(first, min(last, term.end))):
            yield day, shares[day]
        first = min(last, term.end)
        number += 1


def _term_of(anchor: date, day: date, length: int) -> int:
    """The number of the term a day is in, from 0."""
    number = ((day.year - anchor.year) * 12 + day.month - anchor.month) // length
    while number > 0 and _later(anchor, number * length) > day:
        number -= 1
    return max(0, number)


def _later(day: date, count: int) -> date:
    """The same day some months later, or the last of that month where it has no such day."""
    index = day.year * 12 + day.month - 1 + count
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _each(days: DayRange) -> Iterator[date]:
    for number in range(days.days):
        yield days.start + timedelta(days=number)


def _purchase(
    plan: SeatPlan, day: date, first: date, by: str, pico: int, holder: Holder | None, seats: int
) -> UsageEvent:
    whose: tuple[str, ...] = ()
    if holder is not None:
        whose = (holder.key,) if holder.key else (holder.kind, holder.value)
    erased = holder is not None and holder.person
    return UsageEvent(
        external_id=key_of(["seats", plan.key or plan.name, by, day.isoformat(), *whose]),
        occurred_at=day_start(first),
        provider=plan.provider,
        model="",
        counts=NO_COUNTS,
        provider_account=plan.account,
        category="Purchase",
        evidence="billed",
        dimensions=Dimensions(person=holder.person) if holder is not None else Dimensions(),
        identities=() if holder is None or erased else ((holder.kind, holder.value),),
        tags=tags_of({"plan": plan.name, "seats": str(seats)}),
        cost=GivenCost(pico, plan.currency),
    )
