"""Fiscal calendars: how an organization cuts a year into twelve periods. Plain dates; every range is half-open.

Two kinds. `months`: calendar months, the year starting with any of them. `445`: quarters of 4, 4 and 5 weeks, the
year starting on the Monday nearest the first day of its month; a year of 53 weeks has the extra week at its very end.

A year is named for the calendar year it ends in, as finance does: the year from July 2025 to June 2026 is FY2026. A
4-4-5 year has the name of the calendar-month year it stands for, wherever the nearest Monday falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from finops.core.periods import DayRange, months_on

MONTHS: Final = "months"
RETAIL_445: Final = "445"
PERIODS: Final = 12
_WEEK: Final = timedelta(weeks=1)
# Weeks after the year's start at which each period starts; the last one ends where the next year starts.
_STARTS_445: Final = (0, 4, 8, 13, 17, 21, 26, 30, 34, 39, 43, 47)


@dataclass(frozen=True, slots=True)
class FiscalPeriod:
    """One of a fiscal year's twelve periods; `number` is 1 to 12."""

    year: int
    number: int
    days: DayRange

    @property
    def quarter(self) -> int:
        return (self.number + 2) // 3

    @property
    def label(self) -> str:
        return f"FY{self.year} P{self.number:02d}"


@dataclass(frozen=True, slots=True)
class FiscalCalendar:
    """A kind and the month (1 to 12) the year starts in. Raises ValueError for another kind or month.

    Answers for dates from year 2 to 9997; a date beyond cannot have a whole fiscal year around it (ValueError).
    """

    kind: str = MONTHS
    start_month: int = 1

    def __post_init__(self) -> None:
        if self.kind not in (MONTHS, RETAIL_445):
            raise ValueError(f"no such fiscal calendar: {self.kind}")
        if not 1 <= self.start_month <= PERIODS:
            raise ValueError(f"no such month: {self.start_month}")

    def year(self, year: int) -> DayRange:
        """The days of a fiscal year."""
        return DayRange(self._start(year), self._start(year + 1))

    def year_of(self, day: date) -> int:
        """The fiscal year a day is in."""
        # The nearest Monday is at most three days off, so the answer is the calendar's or one of its neighbours'.
        guess = day.year + (1 if self.start_month > 1 and day.month >= self.start_month else 0)
        if day < self._start(guess):
            return guess - 1
        return guess + 1 if day >= self._start(guess + 1) else guess

    def periods(self, year: int) -> tuple[FiscalPeriod, ...]:
        """The twelve periods of a fiscal year, in order; they tile it."""
        edges = [self._edge(year, index) for index in range(PERIODS)] + [self._start(year + 1)]
        return tuple(
            FiscalPeriod(year, index + 1, DayRange(edges[index], edges[index + 1])) for index in range(PERIODS)
        )

    def period_of(self, day: date) -> FiscalPeriod:
        """The period a day is in."""
        return next(period for period in self.periods(self.year_of(day)) if day in period.days)

    def quarter(self, year: int, number: int) -> DayRange:
        """A quarter (1 to 4) of a fiscal year: three periods. Raises ValueError for another number."""
        if not 1 <= number <= 4:
            raise ValueError(f"no such quarter: {number}")
        first, _, last = self.periods(year)[3 * number - 3 : 3 * number]
        return DayRange(first.days.start, last.days.end)

    def quarter_of(self, day: date) -> DayRange:
        """The quarter a day is in."""
        period = self.period_of(day)
        return self.quarter(period.year, period.quarter)

    def _edge(self, year: int, index: int) -> date:
        if self.kind == RETAIL_445:
            return self._start(year) + _STARTS_445[index] * _WEEK
        return months_on(self._nominal(year), index)

    def _start(self, year: int) -> date:
        nominal = self._nominal(year)
        return nearest_monday(nominal) if self.kind == RETAIL_445 else nominal

    def _nominal(self, year: int) -> date:
        if not 2 <= year <= 9998:
            raise ValueError(f"fiscal year {year} is out of range")
        return date(year if self.start_month == 1 else year - 1, self.start_month, 1)


def nearest_monday(day: date) -> date:
    """The Monday at most three days away; there is exactly one."""
    return day - timedelta(days=(day.weekday() + 3) % 7 - 3)
