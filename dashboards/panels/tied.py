"""What was billed beside what was seen: a chart by day, and addresses of the charges that are behind a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from dashboards.access import Here
from dashboards.charts.as_plotly import as_plotly
from dashboards.charts.as_svg import as_svg
from dashboards.charts.spec import OTHER, ChartSpec, Series
from dashboards.panels.bar import address
from dashboards.panels.trend import Trend, bucket_name, bucket_start, buckets
from dashboards.periods import NamedPeriod
from dashboards.scope import Scope
from dashboards.templatetags.figures import money, percent, places_of, share
from dashboards.templatetags.figures import tied as rounded
from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.ledger.types import UNATTRIBUTED
from finops.orgs.rules import Permission
from finops.reconciliation.counting import Counting
from finops.reconciliation.models import ReconciledDay
from finops.reconciliation.types import Compared, Total

NOTHING: Final = Decimal(0)
# Categories of what nobody saw: a line below zero is a credit.
_UNSEEN: Final = ("Usage", "Credit")
# Owners that a state says nothing of: with them none at all is said.
_NOR: Final = ("agent", "customer", "key")


@dataclass(frozen=True, slots=True)
class Shown:
    """What was seen, corrected and not seen, rounded so that they add up to the bill as it is shown; and what of the
    last is nobody's, within it.
    """

    seen: Decimal
    corrected: Decimal
    unseen: Decimal
    unattributed: Decimal


def shown(one: Total | ReconciledDay) -> Shown:
    places = places_of(one.currency)
    seen, corrected, unseen = rounded([one.seen, one.billed - one.seen - one.unseen, one.unseen], places)
    nobodys, _ = rounded([one.unattributed, unseen - one.unattributed], places)
    return Shown(seen, corrected, unseen, nobodys)


def chart(rows: Iterable[Compared], currency: str, scope: Scope) -> Trend:
    """Bars as high as the bill, by what of it was seen. No question: `rows` are of days in any currency."""
    rows = [row for row in rows if row.currency == currency]
    days = [row.day for row in rows]
    starts = buckets(DayRange(min(days), _after(max(days))), scope.grain)
    stack: dict[date, list[Decimal]] = {start: [NOTHING] * 4 for start in starts}
    for row in rows:
        column = stack[bucket_start(row.day, scope.grain)]
        for place, amount in enumerate(_parts(row)):
            column[place] += amount
    parts = [tuple(stack[start][place] for start in starts) for place in range(4)]
    names = ("Seen", "More than calls stood at", "Not seen, an owner is known", "Nobody’s")
    series = [
        Series(name, slot, values)
        for name, slot, values in zip(names, (1, 4, 2, OTHER), parts, strict=True)
        if any(values) or name == "Seen"
    ]
    spec = ChartSpec(
        key=f"tied-{currency.lower()}",
        caption=_caption(rows, currency, scope.period),
        currency=currency,
        buckets=tuple(starts),
        bucket_names=tuple(bucket_name(start, scope.grain) for start in starts),
        series=tuple(series),
    )
    return Trend(spec, as_svg(spec), {**as_plotly(spec), "element": f"chart-{spec.key}"})


def _after(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)


def _parts(row: Compared) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """They sum to the bill. Where calls stood at more than was billed for them, what was billed is what was seen."""
    more = max(row.corrected, NOTHING)
    return row.billed - row.unseen - more, more, row.unseen - row.unattributed, row.unattributed


def _caption(rows: list[Compared], currency: str, period: NamedPeriod) -> str:
    billed, unseen, nobodys = (
        sum((getattr(row, name) for row in rows), NOTHING) for name in ("billed", "unseen", "unattributed")
    )
    if not billed:
        return f"Nothing was billed in {period.dates}."
    said = f"{money(billed, currency)} was billed for days of {period.dates}."
    if not unseen:
        return f"{said} Calls of all of it were seen."
    part = percent(share(unseen, billed))
    whose = f", of it {money(nobodys, currency)} that is nobody’s" if nobodys else ""
    return f"{said} Nobody saw the calls of {money(unseen, currency)} ({part}){whose}."


@dataclass(frozen=True, slots=True)
class Lines:
    """Addresses of the charges that stand for what nobody saw."""

    base: str
    scope: Scope
    categories: frozenset[int]
    unattributed: frozenset[int]
    providers: Mapping[str, int]

    def unseen(self, counting: Counting, day: date | None = None) -> str:
        return self._address(counting, day, {})

    def nobodys(self, counting: Counting, day: date | None = None) -> str:
        nobody = {name: frozenset({0}) for name in _NOR} | {"state": self.unattributed}
        return self._address(counting, day, nobody)

    def _address(self, counting: Counting, day: date | None, more: Mapping[str, frozenset[int]]) -> str:
        term = self.providers.get(counting.provider)
        if not (self.base and term and self.categories and all(more.values())):
            return ""
        sources = frozenset(rule.source_id for rule in counting.rules)
        filters = {"provider": frozenset({term}), "source": sources, "category": self.categories}
        scope = self.scope.with_(group=(), compare=True, grain_given=False, filters={**filters, **more})
        query = scope.query()
        if day is not None:
            query = f"period={day}..{day}&{query.partition('&')[2]}"
        return f"{self.base}?{query}"


def lines(here: Here, scope: Scope, providers: Iterable[str]) -> Lines:
    """Three questions, whatever is to be linked."""
    may = here.caller.can(Permission.CHARGES_READ) and here.caller.sees_people
    return Lines(
        base=address(here, "charges") if may else "",
        scope=scope,
        categories=frozenset(ledger.term_ids(here.id, "category", _UNSEEN).values()),
        unattributed=frozenset(ledger.term_ids(here.id, "state", [UNATTRIBUTED]).values()),
        providers=ledger.term_ids(here.id, "provider", providers),
    )
