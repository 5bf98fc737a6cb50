"""Periods as pages name them: with a label for a person, their dates in words, and pickers of them.

What can be named is the ledger's grammar (`finops.ledger.rules.periods`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from finops.core.errors import FinopsError
from finops.core.fiscal import PERIODS, FiscalCalendar
from finops.core.periods import DayRange, months_on
from finops.ledger.rules import periods as grammar
from finops.ledger.rules.periods import AskedPeriod

# Token and name of the periods that move with the day.
MOVING: Final = (
    ("mtd", "This month so far"),
    ("last-7d", "Last 7 days"),
    ("last-30d", "Last 30 days"),
    ("last-90d", "Last 90 days"),
    ("ytd", "This year so far"),
)


class PeriodUnclear(FinopsError):
    code = "dashboards.period_unclear"
    status = 400


@dataclass(frozen=True, slots=True)
class NamedPeriod:
    """A period with its token in the address, its name for a person, its days, and the days it is compared with."""

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
    try:
        asked = grammar.named(named.strip() or grammar.DEFAULT, today=today, calendar=calendar or FiscalCalendar())
    except grammar.PeriodUnclear as error:
        raise PeriodUnclear(error.message, field=error.field) from None
    return NamedPeriod(
        asked.word, _label(asked), asked.days, asked.previous, asked.earlier, asked.later, open=asked.open
    )


def _label(asked: AskedPeriod) -> str:
    word, start = asked.word, asked.days.start
    if word in dict(MOVING):
        return dict(MOVING)[word]
    if word.startswith("last-"):
        return f"Last {asked.days.days} days" if asked.days.days > 1 else "Today"
    if word.startswith("FY"):
        return word.replace("-", " ")
    if ".." in word:
        return span(asked.days)
    if "-Q" in word:
        return f"{word[5:]} {start.year}"
    return f"{start:%B %Y}" if "-" in word else word


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
    months = [months_on(today, -back) for back in range(count)]
    return [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months]


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
