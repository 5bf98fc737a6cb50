"""The periods a person can name in an address: a month, a quarter, the last days, or two dates. Pure; `today` is given.

Dates a person writes are both included (`2026-10-01..2026-10-15` is fifteen days); inside, periods are half-open.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from finops.core.errors import FinopsError
from finops.core.fiscal import PERIODS, FiscalCalendar
from finops.core.periods import DayRange, next_month

EARLIEST: Final = date(2015, 1, 1)
LATEST: Final = date(2100, 1, 1)
LONGEST_DAYS: Final = 3660
DEFAULT: Final = "mtd"
# Token and name of the periods that move with the day.
MOVING: Final = (
    ("mtd", "This month so far"),
    ("last-7d", "Last 7 days"),
    ("last-30d", "Last 30 days"),
    ("last-90d", "Last 90 days"),
    ("ytd", "This year so far"),
)
_LAST: Final = re.compile(r"last-(7|14|30|60|90|180|365)d")
_MONTH: Final = re.compile(r"([0-9]{4})-([0-9]{2})")
_QUARTER: Final = re.compile(r"([0-9]{4})-[Qq]([1-4])")
_YEAR: Final = re.compile(r"[0-9]{4}")
_FISCAL: Final = re.compile(r"FY([0-9]{4})(?:-(?:P([0-9]{2})|Q([1-4])))?")
_CUSTOM: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.\.([0-9]{4}-[0-9]{2}-[0-9]{2})")


class PeriodUnclear(FinopsError):
    code = "dashboards.period_unclear"
    status = 400


@dataclass(frozen=True, slots=True)
class NamedPeriod:
    """A period with its token in the address, its name for a person, its days, and the days it is compared with.

    An open period (today is in it) is compared with as many days of the one before as have begun, so that half a
    month is never held against a whole one.
    """

    token: str
    label: str
    days: DayRange
    previous: DayRange
    earlier: str
    later: str
    open: bool

    @property
    def first(self) -> date:
        return self.days.start

    @property
    def last(self) -> date:
        """The last day, included."""
        return self.days.end - timedelta(days=1)

    @property
    def dates(self) -> str:
        return span(self.days)

    @property
    def previous_dates(self) -> str:
        return span(self.previous)


def parse(named: str, *, today: date, calendar: FiscalCalendar | None = None) -> NamedPeriod:
    """The period of a token of the address. Raises PeriodUnclear with what would have been understood."""
    word = named.strip() or DEFAULT
    tomorrow = today + timedelta(days=1)
    if word == "mtd":
        month = today.replace(day=1)
        return _moving(
            word, "This month so far", DayRange(month, tomorrow), _to_date(month, _back(month, 1), tomorrow), month
        )
    if word == "ytd":
        year = date(today.year, 1, 1)
        before = DayRange(date(today.year - 1, 1, 1), min(_year_ago(today) + timedelta(days=1), year))
        return NamedPeriod(
            word, "This year so far", DayRange(year, tomorrow), before, str(today.year - 1), "", open=True
        )
    if match := _LAST.fullmatch(word):
        count = int(match[1])
        days = DayRange(tomorrow - timedelta(days=count), tomorrow)
        return NamedPeriod(word, f"Last {count} days", days, days.previous(), _token(days.previous()), "", open=True)
    if match := _CUSTOM.fullmatch(word):
        return _custom(word, match[1], match[2], today)
    if match := _FISCAL.fullmatch(word):
        return _fiscal(match, today, calendar or FiscalCalendar())
    return _calendar(word, today)


def _calendar(token: str, today: date) -> NamedPeriod:
    if match := _MONTH.fullmatch(token):
        step, number, unit = 1, int(match[2]), 12
        if not 1 <= number <= unit:
            raise PeriodUnclear(f"There is no month {number} in {token!r}.", field="period")
    elif match := _QUARTER.fullmatch(token):
        step, number, unit = 3, int(match[2]), 4
    elif _YEAR.fullmatch(token):
        step, number = 12, 1
    else:
        raise PeriodUnclear(
            f"The period {token[:40]!r} is not understood. Write 2026-10, 2026-Q4, 2026, mtd, ytd, last-30d or "
            "2026-10-01..2026-10-15.",
            field="period",
        )
    year = int(token[:4])
    if not EARLIEST.year <= year < LATEST.year:
        raise PeriodUnclear(f"The year must lie between {EARLIEST.year} and {LATEST.year - 1}.", field="period")
    start = date(year, (number - 1) * step + 1, 1)
    days = DayRange(start, _forward(start, step))
    before = _back(start, step)
    is_open = today in days
    previous = DayRange(before, start)
    if is_open:
        previous = _to_date(start, before, today + timedelta(days=1))
    return NamedPeriod(
        _calendar_token(start, step),
        _calendar_label(start, step),
        days,
        previous,
        _calendar_token(before, step),
        _calendar_token(days.end, step),
        open=is_open,
    )


def _custom(token: str, first: str, last: str, today: date) -> NamedPeriod:
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise PeriodUnclear(f"{token[:40]!r} holds a date that does not exist.", field="period") from None
    if end <= start:
        raise PeriodUnclear("The period ends before it starts.", field="period")
    if start < EARLIEST or end > LATEST or (end - start).days > LONGEST_DAYS:
        raise PeriodUnclear(
            f"Choose dates from {EARLIEST} on, at most {LONGEST_DAYS // 366} years in one period.", field="period"
        )
    days = DayRange(start, end)
    after = DayRange(end, end + timedelta(days=days.days))
    return NamedPeriod(
        token, span(days), days, days.previous(), _token(days.previous()), _token(after), open=today in days
    )


def _fiscal(match: re.Match[str], today: date, calendar: FiscalCalendar) -> NamedPeriod:
    """A fiscal year, one of its quarters or one of its twelve periods, by the organization's own calendar."""
    year, period, quarter = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if not EARLIEST.year <= year < LATEST.year or period > PERIODS or match[2] == "00":
        raise PeriodUnclear(f"There is no fiscal period {match[0]!r}.", field="period")
    if period:
        many, number, letter = PERIODS, period, "P"
    else:
        many, number, letter = (4, quarter, "Q") if quarter else (1, 1, "")

    def days_of(index: int) -> DayRange:
        at, place = divmod(index, many)
        if letter == "P":
            return calendar.periods(at)[place].days
        return calendar.quarter(at, place + 1) if letter else calendar.year(at)

    def word(index: int) -> str:
        at, place = divmod(index, many)
        suffix = f"-P{place + 1:02d}" if letter == "P" else f"-Q{place + 1}" if letter else ""
        return f"FY{at}{suffix}"

    here = year * many + number - 1
    days, before = days_of(here), days_of(here - 1)
    is_open = today in days
    previous = _to_date(days.start, before.start, today + timedelta(days=1)) if is_open else before
    return NamedPeriod(
        match[0], match[0].replace("-", " "), days, previous, word(here - 1), word(here + 1), open=is_open
    )


def fiscal_back(today: date, calendar: FiscalCalendar, count: int) -> list[tuple[str, str]]:
    """Tokens and names of the fiscal year, quarter and periods up to today, for a picker; none for a plain calendar."""
    if calendar == FiscalCalendar():
        return []
    now = calendar.period_of(today)
    found = [(f"FY{now.year}", f"FY{now.year}"), (f"FY{now.year}-Q{now.quarter}", f"FY{now.year} Q{now.quarter}")]
    index = now.year * PERIODS + now.number - 1
    for back in range(count):
        year, place = divmod(index - back, PERIODS)
        found.append((f"FY{year}-P{place + 1:02d}", f"FY{year} P{place + 1:02d}"))
    return found


def months_back(today: date, count: int) -> list[tuple[str, str]]:
    """Tokens and names of this month and the ones before it, newest first, for a picker."""
    month, found = today.replace(day=1), []
    for _ in range(count):
        found.append((_calendar_token(month, 1), _calendar_label(month, 1)))
        month = _back(month, 1)
    return found


def span(days: DayRange) -> str:
    """`1–15 Oct 2026`, `28 Sep – 4 Oct 2026`: both days included."""
    first, last = days.start, days.end - timedelta(days=1)
    if days.days <= 1:
        return f"{first.day} {first:%b %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {last:%b %Y}"
    if first.year == last.year:
        return f"{first.day} {first:%b} – {last.day} {last:%b %Y}"
    return f"{first.day} {first:%b %Y} – {last.day} {last:%b %Y}"


def _moving(token: str, label: str, days: DayRange, previous: DayRange, month: date) -> NamedPeriod:
    return NamedPeriod(token, label, days, previous, _calendar_token(_back(month, 1), 1), "", open=True)


def _to_date(start: date, before: date, until: date) -> DayRange:
    """As many days of the period from `before` as have begun of the one from `start`, never past it."""
    return DayRange(before, min(before + (until - start), start))


def _forward(month: date, count: int) -> date:
    for _ in range(count):
        month = next_month(month)
    return month


def _back(month: date, count: int) -> date:
    index = month.year * 12 + month.month - 1 - count
    return date(index // 12, index % 12 + 1, 1)


def _year_ago(day: date) -> date:
    return date(day.year - 1, day.month, min(day.day, monthrange(day.year - 1, day.month)[1]))


def _token(days: DayRange) -> str:
    return f"{days.start}..{days.end - timedelta(days=1)}"


def _calendar_token(start: date, step: int) -> str:
    if step == 1:
        return f"{start:%Y-%m}"
    return f"{start.year}-Q{(start.month + 2) // 3}" if step == 3 else str(start.year)


def _calendar_label(start: date, step: int) -> str:
    if step == 1:
        return f"{start:%B %Y}"
    return f"Q{(start.month + 2) // 3} {start.year}" if step == 3 else str(start.year)
