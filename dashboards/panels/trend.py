"""Spend over time, stacked by one dimension: the eight largest, and everything else as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from dashboards import reading
from dashboards.access import Here
from dashboards.charts.as_plotly import as_plotly
from dashboards.charts.as_svg import Drawing, as_svg
from dashboards.charts.spec import OTHER, SLOTS, ChartSpec, Series, slots
from dashboards.scope import Scope
from dashboards.templatetags.figures import money, percent, share
from finops.core.periods import DayRange, next_month
from finops.ledger.types import OWNERS, Grain


@dataclass(frozen=True, slots=True)
class Trend:
    """A chart with both its clothes: the drawing of the server, and the data for the browser's."""

    spec: ChartSpec
    drawing: Drawing
    data: dict[str, Any]


def trend(here: Here, scope: Scope, dimension: str | None, *, key: str, link: Callable[[Scope], str]) -> Trend:
    """Three questions: the largest groups, those cut by the grain, and the whole cut by the grain; the difference is
    "everything else", so that the stack always adds up to the total."""
    caller, days = here.caller, _until_today(scope, here)
    whole = _by_bucket(reading.lines(here.reader.ask(scope.question(caller, days=days, grain=scope.grain))))
    starts = buckets(days, scope.grain)
    stack: list[Series] = []
    if dimension:
        stack = _stack(here, scope, dimension, days, starts, link)
    rest = tuple(
        whole.get(start, Decimal(0)) - sum((one.values[index] for one in stack), Decimal(0))
        for index, start in enumerate(starts)
    )
    if not stack:
        stack = [Series("Spend", 1, rest)]
    elif any(rest):
        stack.append(Series("Everything else", OTHER, rest))
    spec = ChartSpec(
        key=key,
        caption=_caption(stack, starts, scope, here.currency, dimension),
        currency=here.currency,
        buckets=tuple(starts),
        bucket_names=tuple(bucket_name(start, scope.grain) for start in starts),
        series=tuple(stack),
        incomplete=scope.period.open,
    )
    return Trend(spec, as_svg(spec), {**as_plotly(spec), "element": f"chart-{key}"})


def _stack(
    here: Here, scope: Scope, dimension: str, days: DayRange, starts: list[date], link: Callable[[Scope], str]
) -> list[Series]:
    caller = here.caller
    top = reading.lines(here.reader.ask(scope.question(caller, group_by=(dimension,), days=days, limit=SLOTS)))[:SLOTS]
    ids = [line.values[0] for line in top if line.cost]
    if not ids:
        return []
    cut = here.reader.ask(
        scope.question(caller, group_by=(dimension,), days=days, grain=scope.grain, only={dimension: frozenset(ids)})
    )
    amounts = {(line.values[0], line.bucket): line.cost for line in reading.lines(cut)}
    called = here.reader.names(scope, dimension, ids)
    colours = slots([one for one in ids if one])
    return [
        Series(
            called[one],
            colours.get(one, OTHER),
            tuple(amounts.get((one, start), Decimal(0)) for start in starts),
            link(scope.narrowed_to({dimension: one})),
        )
        for one in ids
    ]


def buckets(days: DayRange, grain: Grain) -> list[date]:
    """First days of the grain's buckets that the period touches, in order."""
    found = []
    at = bucket_start(days.start, grain)
    while at < days.end:
        found.append(at)
        at = next_month(at) if grain is Grain.MONTH else at + timedelta(days=7 if grain is Grain.WEEK else 1)
    return found


def bucket_start(day: date, grain: Grain) -> date:
    if grain is Grain.MONTH:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if grain is Grain.WEEK else day


def bucket_name(start: date, grain: Grain) -> str:
    if grain is Grain.MONTH:
        return f"{start:%b %Y}"
    return f"{start.day} {start:%b %Y}" if grain is Grain.DAY else f"Week of {start.day} {start:%b %Y}"


def _until_today(scope: Scope, here: Here) -> DayRange:
    """Days that have not begun are not drawn: an open month ends today."""
    days, tomorrow = scope.period.days, here.now.date() + timedelta(days=1)
    if days.start < tomorrow < days.end:
        return DayRange(days.start, tomorrow)
    return days


def _by_bucket(lines: list[reading.Line]) -> dict[date, Decimal]:
    return {line.bucket: line.cost for line in lines if line.bucket is not None}


def _caption(stack: list[Series], starts: list[date], scope: Scope, currency: str, dimension: str | None) -> str:
    """The finding in a sentence or two."""
    sums = [sum((one.values[index] for one in stack), Decimal(0)) for index in range(len(starts))]
    whole = sum(sums, Decimal(0))
    if not whole:
        return f"No priced spend in {scope.period.dates}."
    peak = max(range(len(sums)), key=lambda index: (sums[index], -index))
    when = bucket_name(starts[peak], scope.grain).removeprefix("Week of ")
    began = "began on" if scope.grain is Grain.WEEK else "was"
    highest = f"The highest {scope.grain.value} {began} {when}, with {money(sums[peak], currency)}."
    if not dimension:
        return f"{money(whole, currency)} in {scope.period.dates}. {highest}"
    first = stack[0]
    part = sum(first.values, Decimal(0))
    verb = "spent" if dimension in OWNERS else "cost"
    return (
        f"{first.name} {verb} {money(part, currency)}, {percent(share(part, whole))} of {scope.period.dates}. {highest}"
    )
