"""A month as its page shows it: what is open with a way to it, who is charged what, and what came since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from dashboards.access import Here
from dashboards.panels.bar import address
from dashboards.templatetags.figures import places_of, tied
from finops.core.periods import month_start
from finops.ledger import selectors as ledger
from finops.ledger.types import UNATTRIBUTED, UNPRICED
from finops.months import rules, selectors
from finops.months.models import Closing
from finops.months.types import Change, Check, Item, Month, State, Sum
from finops.orgs.rules import Permission

# Owners that are listed; of the others the sum is.
MOST_ROWS: Final = 50
STATES: Final = {
    State.RUNNING: ("Running", "info"),
    State.OVER: ("Open", "warn"),
    State.CLOSED: ("Closed", "good"),
}
OWNERS: Final = {"team": "Team", "project": "Project", "person": "Person"}
# What each check is called, and what is counted.
CHECKS: Final = {
    Check.BILLS: ("Days with calls and no bill yet", "day"),
    Check.UNTIED: ("Days to be compared with their bill again", "day"),
    Check.CURRENCIES: ("Days whose calls and bill are in different currencies", "day"),
    Check.FEEDS: ("Sources not read to the end of the month", "source"),
    Check.SEATS: ("Days whose seats are not booked", "day"),
    Check.QUARANTINE: ("Records held since the month began", "record"),
    Check.UNPRICED: ("Calls without a price", "call"),
    Check.UNATTRIBUTED: ("Spend that belongs to nobody", "call"),
    Check.JOBS: ("Jobs that change what is booked", "job"),
}
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Checked:
    """A line of the checklist."""

    label: str
    item: Item
    counted: str
    href: str


@dataclass(frozen=True, slots=True)
class Row:
    """An amount that is charged, rounded so that a table adds up; `exact` is in its title."""

    name: str
    charges: int
    calls: int
    amount: Decimal
    exact: Decimal
    href: str = ""
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The parts of what was spent, rounded so that they add up to it as shown. What statements say is rounded as on
    the statement.
    """

    stated: Decimal
    later: Decimal
    late: Decimal


def shown(one: Month, currency: str) -> Shown:
    unit = Decimal(1).scaleb(-places_of(currency))
    spent, stated, later = (amount.quantize(unit) for amount in (one.spent, one.stated, one.later))
    return Shown(stated, later, spent - stated - later if one.state is State.CLOSED else _NOTHING)


def month_name(month: date) -> str:
    return f"{month:%B %Y}"


def checked(here: Here, month: date, items: Iterable[Item]) -> list[Checked]:
    """Two questions: which words the states are."""
    terms = ledger.term_ids(here.id, "state", [UNATTRIBUTED, UNPRICED])
    period = rules.written(month)
    found = []
    for item in items:
        label, unit = CHECKS[item.check]
        counted = f"{item.count:,} {unit}{'' if item.count == 1 else 's'}" if item.count else ""
        href = _where(here, item.check, period, terms) if item.count else ""
        found.append(Checked(label, item, counted, href))
    return found


def _where(here: Here, check: Check, period: str, terms: Mapping[str, int]) -> str:
    """The page on which it is put right."""
    states = {Check.UNATTRIBUTED: UNATTRIBUTED, Check.UNPRICED: UNPRICED}
    if check in states:
        return f"{address(here, 'charges')}?{urlencode({'period': period, 'state': terms[states[check]]})}"
    if check in {Check.BILLS, Check.UNTIED, Check.CURRENCIES}:
        return f"{address(here, 'reconciliation')}?period={period}"
    if check is Check.SEATS:
        return address(here, "seats") if here.caller.can(Permission.PRICING_READ) else ""
    if check is Check.JOBS:
        return address(here, "jobs") if here.caller.can(Permission.JOBS_RUN) else ""
    if not here.caller.can(Permission.QUARANTINE_MANAGE):
        return ""
    return address(here, "sources") + ("#quarantine" if check is Check.QUARANTINE else "#sources")


def charged(here: Here, row: Closing, by: str) -> tuple[list[Row], list[Row]]:
    """Who is charged what by a statement: for its own month, and for earlier ones. Both add up as they are shown."""
    own: defaultdict[int, Sum] = defaultdict(Sum)
    earlier: defaultdict[tuple[date, int], Sum] = defaultdict(Sum)
    for one in selectors.statement(row, by=(by,)):
        owner: int = getattr(one, f"{by}_id")
        sum_ = Sum(one.charges, one.calls, one.reporting_cost)
        if one.of_month == row.month:
            own[owner] += sum_
        else:
            earlier[one.of_month, owner] += sum_
    names = ledger.named(here.id, {by: {*own, *(owner for _, owner in earlier)}})[by]
    period = rules.written(row.month)
    of_own = [(names[one].name, total, _spent(here, by, one, period), "") for one, total in _largest(own)]
    of_earlier = [
        (names[one].name, total, _spent(here, by, one, rules.written(month)), month_name(month))
        for (month, one), total in _largest(earlier)
    ]
    return _rows(of_own, row.currency), _rows(of_earlier, row.currency)


def _spent(here: Here, by: str, owner: int, period: str) -> str:
    """The charges of an owner's month, as they are now."""
    if not (here.caller.can(Permission.CHARGES_READ) and here.caller.sees_people):
        return ""
    return f"{address(here, 'charges')}?{urlencode({'period': period, by: owner})}"


def _largest(sums: Mapping[Any, Sum]) -> list[tuple[Any, Sum]]:
    moved = [(key, total) for key, total in sums.items() if total != Sum()]
    return sorted(moved, key=lambda pair: (-abs(pair[1].amount), str(pair[0])))


def _rows(found: Sequence[tuple[str, Sum, str, str]], currency: str, whole: Decimal | None = None) -> list[Row]:
    """The largest, and one row for all others; they add up to `whole` as it is shown elsewhere, where that differs by
    rounding alone. Another difference is one, and is to be seen.
    """
    several = list(found[:MOST_ROWS])
    if rest := found[MOST_ROWS:]:
        several.append((f"{len(rest):,} others", sum((one[1] for one in rest), Sum()), "", ""))
    amounts = tied([total.amount for _, total, _, _ in several], places_of(currency))
    off = whole - sum(amounts) if whole is not None else _NOTHING
    # `whole` is what three rounded figures leave: the last digit, which the largest row bears.
    if amounts and abs(off) <= Decimal(2).scaleb(-places_of(currency)):
        amounts[0] += off
    return [
        Row(name, total.charges, total.calls, amount, total.amount, href, sub)
        for (name, total, href, sub), amount in zip(several, amounts, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Late:
    """Changes that no statement says yet."""

    total: Sum
    moved: Decimal
    by_source: list[Row]
    by_owner: list[Row]

    @property
    def sentence(self) -> str:
        charges = self.total.charges
        return f"{charges:,} charge{'' if charges == 1 else 's'}"


def late(here: Here, changes: Sequence[Change], by: str, whole: Decimal | None = None) -> Late | None:
    """None where nothing changed. Names cost two questions. `whole` is the amount as it is shown already."""
    if not changes:
        return None
    sources = rules.summed_by(changes, lambda one: (month_start(one.day), one.source_id))
    owners = rules.summed_by(changes, lambda one: (month_start(one.day), getattr(one, f"{by}_id")))
    called = ledger.named(here.id, {"source": {one for _, one in sources}, by: {one for _, one in owners}})
    several = len({month_start(one.day) for one in changes}) > 1

    def rows(sums: Mapping[tuple[date, int], Sum], dimension: str) -> list[Row]:
        return _rows(
            [
                (
                    called[dimension][one].name, total, _spent(here, dimension, one, rules.written(month)),
                    month_name(month) if several else "",
                )
                for (month, one), total in sums.items()
            ],
            here.currency,
            whole,
        )  # fmt: skip

    return Late(rules.summed(changes), rules.moved(changes), rows(sources, "source"), rows(owners, by))


@dataclass(frozen=True, slots=True)
class Changed:
    """A closed month that a source changed after it was closed."""

    month: str
    charges: int
    amount: Decimal
    since: Any
    carried_by: str
    href: str


def changed_by_source(here: Here, source_id: int) -> list[Changed]:
    """What a source's page says of closed months, newest first."""
    by_month = rules.summed_by(selectors.late_of_source(here.id, source_id), lambda one: month_start(one.day))
    if not by_month:
        return []
    rows = {row.month: row for row in selectors.closings(here.id)}
    after = month_name(rules.days_of(max(rows)).end)
    return [
        Changed(
            month_name(month), sums.charges, sums.amount, rows[month].closed_at, after, month_address(here, month)
        )
        for month, sums in sorted(by_month.items(), reverse=True)
    ]  # fmt: skip


def month_address(here: Here, month: date) -> str:
    return f"{address(here, 'months')}{rules.written(month)}/"
