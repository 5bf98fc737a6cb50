"""The periods a question can name, and the days each is compared with. Pure; `today` is given.

Inside, periods are half-open; two dates written as one word are both included (`2026-10-01..2026-10-15`).
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from finops.core.errors import FinopsError
from finops.core.fiscal import PERIODS, FiscalCalendar
from finops.core.periods import DayRange, month_start, months_on

EARLIEST: Final = date(2015, 1, 1)
LATEST: Final = date(2100, 1, 1)
LONGEST_DAYS: Final = 3_660
DEFAULT: Final = "mtd"
UNDERSTOOD: Final = (
    "2026-10, 2026-Q4, 2026, FY2026, FY2026-Q1, FY2026-P03, mtd, ytd, last-30d or 2026-10-01..2026-10-15"
)
_LAST: Final = re.compile(r"last-([1-9][0-9]{0,3})d")
_CALENDAR: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})|-[Qq]([1-4]))?")
_FISCAL: Final = re.compile(r"FY([0-9]{4})(?:-P([0-9]{2})|-Q([1-4]))?")
_DATES: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.\.([0-9]{4}-[0-9]{2}-[0-9]{2})")
_DAY: Final = timedelta(days=1)


class PeriodUnclear(FinopsError):
    code = "ledger.period_unclear"
    status = 400


@dataclass(frozen=True, slots=True)
class AskedPeriod:
    """The days asked about, and those they are compared with. `word` names them: read again, it is this period.

    An open period (today is in it) is compared with as many days of the one before as have begun of it, so that half
    a month is never held against a whole one. `earlier` and `later` name its neighbours, '' for none.
    """

    word: str
    days: DayRange
    previous: DayRange
    earlier: str
    later: str
    open: bool


def named(word: str, *, today: date, calendar: FiscalCalendar) -> AskedPeriod:
    """A period by its name. Raises PeriodUnclear with what would have been understood."""
    if word in ("mtd", "ytd"):
        return _so_far(word, today)
    if match := _LAST.fullmatch(word):
        count = int(match[1])
        if count > LONGEST_DAYS:
            raise PeriodUnclear(f"A period has at most {LONGEST_DAYS} days.", field="period")
        days = DayRange(today + _DAY - timedelta(days=count), today + _DAY)
        return AskedPeriod(word, days, days.previous(), _dates_word(days.previous()), "", open=True)
    if match := _DATES.fullmatch(word):
        return _dates(match, today)
    if match := _FISCAL.fullmatch(word):
        return _fiscal(match, today, calendar)
    if match := _CALENDAR.fullmatch(word):
        return _calendar(match, today)
    raise PeriodUnclear(f"This period is not understood. Write {UNDERSTOOD}.", field="period")


def between(start: date, end: date, *, today: date) -> AskedPeriod:
    """`[start, end)`, compared with as many days before it. Raises PeriodUnclear."""
    days = bounded(start, end)
    later = DayRange(end, end + timedelta(days=days.days))
    before = days.previous()
    return AskedPeriod(_dates_word(days), days, before, _dates_word(before), _dates_word(later), open=today in days)


def bounded(start: date, end: date) -> DayRange:
    """`[start, end)` where a period may lie. Raises PeriodUnclear naming `from` or `to`."""
    if end <= start:
        raise PeriodUnclear("A period ends after it starts.", field="to")
    if start < EARLIEST:
        raise PeriodUnclear(f"A period starts on {EARLIEST} or later.", field="from")
    if end > LATEST or (end - start).days > LONGEST_DAYS:
        raise PeriodUnclear(f"A period ends before {LATEST}, and has at most {LONGEST_DAYS} days.", field="to")
    return DayRange(start, end)


def _so_far(word: str, today: date) -> AskedPeriod:
    if word == "mtd":
        start = month_start(today)
        before = months_on(start, -1)
        previous = _as_far(start, before, today)
        earlier = _calendar_word(before, 1)
    else:
        start, before = date(today.year, 1, 1), date(today.year - 1, 1, 1)
        # To the same date, not the same number of days: one of the two years may have a 29th of February.
        month_days = monthrange(before.year, today.month)[1]
        previous = DayRange(before, date(before.year, today.month, min(today.day, month_days)) + _DAY)
        earlier = _calendar_word(before, 12)
    return AskedPeriod(word, DayRange(start, today + _DAY), previous, earlier, "", open=True)


def _dates(match: re.Match[str], today: date) -> AskedPeriod:
    try:
        return between(date.fromisoformat(match[1]), date.fromisoformat(match[2]) + _DAY, today=today)
    except PeriodUnclear as error:
        raise PeriodUnclear(error.message, field="period") from None
    except (ValueError, OverflowError):
        raise PeriodUnclear(f"{match[0]} holds a date that does not exist.", field="period") from None


def _calendar(match: re.Match[str], today: date) -> AskedPeriod:
    year, month, quarter = _year(match[1]), int(match[2] or 1), int(match[3] or 1)
    if not 1 <= month <= 12:
        raise PeriodUnclear(f"There is no month {match[2]}.", field="period")
    step = 1 if match[2] else 3 if match[3] else 12
    start = date(year, month if match[2] else 3 * quarter - 2, 1)
    days, before = DayRange(start, months_on(start, step)), months_on(start, -step)
    return _whole(
        _calendar_word(start, step),
        days,
        DayRange(before, start),
        today,
        earlier=_calendar_word(before, step),
        later=_calendar_word(days.end, step),
    )


def _fiscal(match: re.Match[str], today: date, calendar: FiscalCalendar) -> AskedPeriod:
    """A fiscal year, one of its quarters or one of its twelve periods, by the organization's own calendar."""
    year, number, quarter = _year(match[1]), int(match[2] or 0), int(match[3] or 0)
    if match[2] and not 1 <= number <= PERIODS:
        raise PeriodUnclear(f"A fiscal year has the periods P01 to P{PERIODS}.", field="period")
    # Parts of a year, counted on from year to year: the one before is one less.
    parts = PERIODS if number else 4 if quarter else 1
    here = year * parts + max(number, quarter, 1) - 1

    def days_of(index: int) -> DayRange:
        at, part = divmod(index, parts)
        if number:
            return calendar.periods(at)[part].days
        return calendar.quarter(at, part + 1) if quarter else calendar.year(at)

    def word_of(index: int) -> str:
        at, part = divmod(index, parts)
        suffix = f"-P{part + 1:02d}" if number else f"-Q{part + 1}" if quarter else ""
        return f"FY{at}{suffix}" if EARLIEST.year <= at < LATEST.year else ""

    return _whole(match[0], days_of(here), days_of(here - 1), today, earlier=word_of(here - 1), later=word_of(here + 1))


def _year(digits: str) -> int:
    if not EARLIEST.year <= int(digits) < LATEST.year:
        raise PeriodUnclear(f"The year is {EARLIEST.year} to {LATEST.year - 1}.", field="period")
    return int(digits)


def _whole(word: str, days: DayRange, before: DayRange, today: date, *, earlier: str, later: str) -> AskedPeriod:
    is_open = today in days
    previous = _as_far(days.start, before.start, today) if is_open else before
    return AskedPeriod(word, days, previous, earlier, later, open=is_open)


def _as_far(start: date, before: date, today: date) -> DayRange:
    """As many days from `before` as have begun from `start`, never past it."""
    return DayRange(before, min(before + (today + _DAY - start), start))


def _calendar_word(start: date, step: int) -> str:
    if not EARLIEST.year <= start.year < LATEST.year:
        return ""
    if step == 1:
        return f"{start:%Y-%m}"
    return f"{start.year}-Q{(start.month + 2) // 3}" if step == 3 else str(start.year)


def _dates_word(days: DayRange) -> str:
    return f"{days.start}..{days.end - _DAY}" if days.start >= EARLIEST and days.end <= LATEST else ""
