"""The periods a request can name, and the days each is compared with. Pure; `today` is given."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from finops.core.errors import FinopsError
from finops.core.fiscal import PERIODS, FiscalCalendar
from finops.core.periods import DayRange, month_start

EARLIEST: Final = date(2015, 1, 1)
LATEST: Final = date(2100, 1, 1)
LONGEST_DAYS: Final = 3_660
DEFAULT: Final = "mtd"
UNDERSTOOD: Final = "2026-10, 2026-Q4, 2026, FY2026, FY2026-Q1, FY2026-P03, mtd, ytd or last-30d"
_LAST: Final = re.compile(r"last-([1-9][0-9]{0,3})d")
_CALENDAR: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})|-[Qq]([1-4]))?")
_FISCAL: Final = re.compile(r"FY([0-9]{4})(?:-P([0-9]{2})|-Q([1-4]))?")


class PeriodUnclear(FinopsError):
    code = "ledger.period_unclear"
    status = 400


@dataclass(frozen=True, slots=True)
class AskedPeriod:
    """The days asked about, and those they are compared with.

    A period that is not over is compared with as many days of the one before as have begun of it.
    """

    days: DayRange
    previous: DayRange


def named(word: str, *, today: date, calendar: FiscalCalendar) -> AskedPeriod:
    """A period by its name. Raises PeriodUnclear with what would have been understood."""
    tomorrow = today + timedelta(days=1)
    if word == "mtd":
        start = month_start(today)
        return AskedPeriod(DayRange(start, tomorrow), _so_far(start, _months(start, -1), tomorrow))
    if word == "ytd":
        year = today.year
        last = date(year - 1, today.month, min(today.day, monthrange(year - 1, today.month)[1]))
        return AskedPeriod(
            DayRange(date(year, 1, 1), tomorrow), DayRange(date(year - 1, 1, 1), last + timedelta(days=1))
        )
    if match := _LAST.fullmatch(word):
        count = int(match[1])
        if count > LONGEST_DAYS:
            raise PeriodUnclear(f"A period has at most {LONGEST_DAYS} days.", field="period")
        days = DayRange(tomorrow - timedelta(days=count), tomorrow)
        return AskedPeriod(days, days.previous())
    if match := _FISCAL.fullmatch(word):
        return _fiscal(match, today, calendar)
    if match := _CALENDAR.fullmatch(word):
        return _calendar(match, today)
    raise PeriodUnclear(f"This period is not understood. Write {UNDERSTOOD}; or from and to.", field="period")


def between(start: date, end: date) -> AskedPeriod:
    """`[start, end)`, compared with as many days before it. Raises PeriodUnclear."""
    if end <= start:
        raise PeriodUnclear("to is the day after the last one, so it is later than from.", field="to")
    if start < EARLIEST:
        raise PeriodUnclear(f"from is {EARLIEST} or later.", field="from")
    if end > LATEST or (end - start).days > LONGEST_DAYS:
        raise PeriodUnclear(f"to is {LATEST} at the latest, and at most {LONGEST_DAYS} days after from.", field="to")
    days = DayRange(start, end)
    return AskedPeriod(days, days.previous())


def _calendar(match: re.Match[str], today: date) -> AskedPeriod:
    year, month, quarter = _year(match[1]), int(match[2] or 0), int(match[3] or 0)
    if match[2] and not 1 <= month <= 12:
        raise PeriodUnclear(f"There is no month {match[2]}.", field="period")
    if month:
        step, start = 1, date(year, month, 1)
    elif quarter:
        step, start = 3, date(year, 3 * quarter - 2, 1)
    else:
        step, start = 12, date(year, 1, 1)
    return _whole(DayRange(start, _months(start, step)), _months(start, -step), today)


def _fiscal(match: re.Match[str], today: date, calendar: FiscalCalendar) -> AskedPeriod:
    year, number, quarter = _year(match[1]), int(match[2] or 0), int(match[3] or 0)
    if match[2] and not 1 <= number <= PERIODS:
        raise PeriodUnclear(f"A fiscal year has the periods P01 to P{PERIODS}.", field="period")
    if number:
        days = calendar.periods(year)[number - 1].days
        before = calendar.period_of(days.start - timedelta(days=1)).days
    elif quarter:
        days = calendar.quarter(year, quarter)
        before = calendar.quarter_of(days.start - timedelta(days=1))
    else:
        days, before = calendar.year(year), calendar.year(year - 1)
    return _whole(days, before.start, today)


def _year(digits: str) -> int:
    if not EARLIEST.year <= int(digits) < LATEST.year:
        raise PeriodUnclear(f"The year is {EARLIEST.year} to {LATEST.year - 1}.", field="period")
    return int(digits)


def _whole(days: DayRange, before: date, today: date) -> AskedPeriod:
    if today in days:
        return AskedPeriod(days, _so_far(days.start, before, today + timedelta(days=1)))
    return AskedPeriod(days, DayRange(before, days.start))


def _so_far(start: date, before: date, tomorrow: date) -> DayRange:
    return DayRange(before, min(before + (tomorrow - start), start))


def _months(month: date, count: int) -> date:
    index = month.year * 12 + month.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)
