"""Periods are half-open, `[start, end)`. Ledger time is UTC; a day here is a UTC day unless a zone is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DayRange:
    """Whole UTC days, `[start, end)`. Raises ValueError when it ends before it starts."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"period ends {self.end} before it starts {self.start}")

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def previous(self) -> DayRange:
        """The period of the same length that ends where this one starts."""
        return DayRange(self.start - timedelta(days=self.days), self.start)

    def instants(self) -> tuple[datetime, datetime]:
        """The same period as UTC instants."""
        return day_start(self.start), day_start(self.end)

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end


def day_start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def month_start(day: date) -> date:
    return day.replace(day=1)


def next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def months_on(month: date, count: int) -> date:
    """The first day of the month `count` months on, back when negative."""
    index = month.year * 12 + month.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)


def months(period: DayRange) -> list[date]:
    """First days of the calendar months the period touches, in order; none for a period of no days."""
    found: list[date] = []
    if not period.days:
        return found
    month = month_start(period.start)
    while month < period.end:
        found.append(month)
        month = next_month(month)
    return found
