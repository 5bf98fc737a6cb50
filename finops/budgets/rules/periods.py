"""Periods of a budget: calendar periods of its time zone, as UTC instants. They tile time, through every clock change.

A local day begins at its first midnight, or where clocks skip midnight at the instant they do.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from finops.budgets.types import Period, Terms, Window
from finops.core.periods import months_on

_MONTHS: Final = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}
_zone = lru_cache(maxsize=600)(ZoneInfo)


def window(terms: Terms, at: datetime) -> Window | None:
    """The budget's period that holds an instant; None before the budget starts and after it ends.

    The first begins when the budget does, be it mid-period, and the last ends with it.
    """
    if at < terms.starts_at or (terms.ends_at is not None and at >= terms.ends_at):
        return None
    if terms.period in (Period.TOTAL, Period.SESSION):
        return Window(terms.starts_at, terms.ends_at)
    start, end = _calendar(terms.period, terms.zone, at)
    return Window(max(start, terms.starts_at), end if terms.ends_at is None else min(end, terms.ends_at))


def before(terms: Terms, this: Window) -> Window | None:
    """The period that came before, None for the first."""
    return window(terms, this.start - timedelta(microseconds=1))


def _calendar(period: Period, zone: str, at: datetime) -> tuple[datetime, datetime]:
    tz = _zone(zone)
    first = _first_day(period, at.astimezone(tz).date())
    start, end = _midnight(first, tz), _midnight(_next(period, first), tz)
    # Around a clock change at midnight the wall's date and the day that began may differ by the hour that is repeated.
    while at < start:
        first = _first_day(period, first - timedelta(days=1))
        start, end = _midnight(first, tz), start
    while at >= end:
        first = _next(period, first)
        start, end = end, _midnight(_next(period, first), tz)
    return start, end


def _first_day(period: Period, day: date) -> date:
    if period is Period.DAY:
        return day
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    months = _MONTHS[period]
    return day.replace(month=(day.month - 1) // months * months + 1, day=1)


def _next(period: Period, first: date) -> date:
    if period in _MONTHS:
        return months_on(first, _MONTHS[period])
    return first + timedelta(days=1 if period is Period.DAY else 7)


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), tzinfo=tz).astimezone(UTC)
