"""Budgets in words: what they are about, whose an account is, and how full it is. Names are read once per kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from dashboards.access import Here
from finops.budgets.models import Budget
from finops.budgets.rules import window
from finops.budgets.rules.matching import limit_of
from finops.budgets.selectors import AccountRow
from finops.budgets.types import OWNERS, Enforcement, Period, Terms
from finops.core.money import from_pico
from finops.orgs import selectors as orgs
from finops.orgs.rules import PEOPLE_DIMENSIONS

PER: Final = {
    Period.DAY: "a day",
    Period.WEEK: "a week",
    Period.MONTH: "a month",
    Period.QUARTER: "a quarter",
    Period.YEAR: "a year",
    Period.TOTAL: "in total",
    Period.SESSION: "a session",
}
STRENGTHS: Final = {
    Enforcement.ALERT: "Tells somebody when a threshold is passed. Nothing is stopped.",
    Enforcement.DOWNGRADE: "Near the limit, calls go to a cheaper model; at the limit, they are refused. It holds for "
    "calls that are authorised by Capstan first.",
    Enforcement.HARD: "At the limit, calls are refused: those that are authorised by Capstan first, at its gateway or "
    "by a proxy that asks. All others are counted and shown, and their keys can be blocked beforehand.",
}
# A name of nobody, and words of a scope that a list shows before it counts.
_NOBODY: Final = frozenset({"0", "-"})
_NAMED: Final = 4


class Names:
    """Looks up all names a page needs, one question per kind."""

    def __init__(self, here: Here) -> None:
        self._here = here
        self._wanted: dict[str, set[int]] = {}
        self._known: dict[str, dict[int, str]] = {}

    def want(self, kind: str, values: Iterable[str]) -> None:
        if kind in OWNERS:
            self._wanted.setdefault(kind, set()).update(int(value) for value in values if value not in _NOBODY)

    def want_terms(self, terms: Iterable[Terms]) -> None:
        for one in terms:
            for kind, values in one.scope.items():
                self.want(kind, values)

    def want_rows(self, rows: Iterable[AccountRow], terms: dict[int, Terms]) -> None:
        for row in rows:
            self.want(terms[row.budget_id].each, [row.subject])

    def word(self, kind: str, value: str) -> str:
        """What people call it; somebody else is not named to who may not see people."""
        if not kind:
            return "Everybody together"
        if value in _NOBODY:
            return f"No {kind}"
        if kind not in OWNERS:
            return value
        if kind not in self._known:
            self._known[kind] = orgs.owner_names(self._here.id, kind, frozenset(self._wanted.get(kind, ())))
        return self._known[kind].get(int(value), f"#{value}")

    def scope(self, terms: Terms) -> str:
        """`Team Search; model gpt-4o, o3`; the whole organization where nothing narrows it."""
        return "; ".join(self._part(kind, sorted(terms.scope[kind])) for kind in sorted(terms.scope)) or (
            "The whole organization"
        )

    def _part(self, kind: str, values: list[str]) -> str:
        hidden = kind in PEOPLE_DIMENSIONS and not self._here.caller.sees_people
        own = str(self._here.caller.person_id)
        if hidden and values != [own]:
            return f"{len(values)} {'people' if kind == 'person' else 'keys'}"
        said = ", ".join(self.word(kind, value) for value in values[:_NAMED])
        more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
        return f"{kind.capitalize()} {said}{more}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """How full one account is, named. `tone` is '' below every threshold, `warn` past one, `bad` at the limit."""

    row: AccountRow
    name: str
    thresholds: tuple[int, ...]

    @property
    def used(self) -> Decimal:
        """What is spent and in gateways' hands, as a share of the limit; all of it where there is none."""
        taken = self.row.spent + self.row.leased
        return taken / self.row.limit_amount if self.row.limit_amount else Decimal(1 if taken else 0)

    @property
    def passed(self) -> int:
        """The highest threshold that is passed; 0 is none."""
        return max((one for one in self.thresholds if self.used * 100 >= one), default=0)

    @property
    def tone(self) -> str:
        if self.used >= 1:
            return "bad"
        return "warn" if self.passed else ""

    @property
    def over(self) -> bool:
        return self.row.left < 0


def gauge(row: AccountRow, budget: Budget, name: str) -> Gauge:
    return Gauge(row, name, tuple(budget.thresholds))


def untouched(terms: Terms, subject: str, at: datetime) -> AccountRow | None:
    """The account of somebody who has not spent yet; None outside the budget's time."""
    period = window(terms, at)
    if period is None:
        return None
    limit, zero = from_pico(limit_of(terms, subject)), Decimal(0)
    return AccountRow(0, terms.budget_id, subject, period.start, period.end, limit, zero, zero, zero, zero)


def per(budget: Budget) -> str:
    """`$200.00 a week, each person` without the amount."""
    said = PER[Period(budget.period)]
    return f"{said}, each {budget.each}" if budget.each and budget.each != "session" else said
