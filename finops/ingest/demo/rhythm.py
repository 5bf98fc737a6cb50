"""When things happen: working weeks, office hours by time zone, growth, and one model giving way to another. Pure."""

from __future__ import annotations

import math
from bisect import bisect
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from finops.core.periods import day_start
from finops.ingest.demo.company import OFFICES

DAYS: Final = 90
SATURDAY: Final = 5
FRIDAY: Final = 4
_HOUR_S: Final = 3600

# Weights of the 24 local hours.
OFFICE: Final = (0, 0, 0, 0, 0, 0, 1, 3, 8, 13, 15, 14, 8, 11, 15, 15, 13, 9, 5, 3, 2, 2, 1, 0)
EVENING: Final = (2, 1, 1, 1, 1, 1, 2, 3, 5, 8, 9, 8, 6, 8, 9, 9, 8, 7, 6, 6, 5, 4, 4, 3)
WAKING: Final = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 13, 12, 12, 13, 13, 12, 11, 10, 9, 9, 8, 6, 4)
NIGHT: Final = (4, 12, 16, 14, 9, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2)
Hours = tuple[int, ...]


class Span(NamedTuple):
    """The demo's time: whole days from `first`, and the hours of the last day up to `until`."""

    first: date
    until: datetime

    @property
    def began(self) -> datetime:
        return day_start(self.first)

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.until.date() - self.first).days + 1)]

    def from_end(self, days: int) -> date:
        return self.until.date() - timedelta(days=days)


def span(until: datetime) -> Span:
    """Ninety days up to yesterday, and today until then."""
    return Span(until.date() - timedelta(days=DAYS), until)


class Migration(NamedTuple):
    """An older model gives way to a newer one: on day `middle` half of the calls have moved, in `pace` days most."""

    old: str
    new: str
    middle: int
    pace: float

    def pick(self, number: int, dice: Random) -> str:
        moved = 1 / (1 + math.exp((self.middle - number) / self.pace))
        return self.new if dice.random() < moved else self.old


class Pace(NamedTuple):
    """How a kind of work goes over the weeks: growth a week, and what a weekend day is to a working day."""

    growth: float
    weekend: float

    def on(self, day: date, number: int) -> float:
        """The day's weight. August ends in holidays, Fridays are short, and no two days are quite alike."""
        dice = Random(f"{day} of the demo")  # noqa: S311 - the same days every time
        week = self.weekend if day.weekday() >= SATURDAY else 0.88 if day.weekday() == FRIDAY else 1.0
        summer = 0.86 if (day.month, day.day) < (9, 4) and day.month >= 7 else 1.0
        growth: float = (1 + self.growth) ** (number / 7)
        return growth * week * summer * dice.uniform(0.93, 1.07)


def counts_by_day(days: list[date], pace: Pace, total: float) -> list[float]:
    """`total` spread over the days by their weights."""
    weights = [pace.on(day, number) for number, day in enumerate(days)]
    whole = sum(weights)
    return [total * weight / whole for weight in weights]


def whole(expected: float, dice: Random) -> int:
    """A whole number that is `expected` on average."""
    return math.floor(expected + dice.random())


def moment(office: str, day: date, hours: Hours, dice: Random) -> datetime:
    """An instant of the local day in UTC, at an hour drawn by weight. An office of '' is at UTC."""
    cumulative = _cumulative(hours)
    hour = bisect(cumulative, dice.random() * cumulative[-1])
    return midnight(office, day) + timedelta(seconds=hour * _HOUR_S + dice.randrange(_HOUR_S))


@lru_cache(maxsize=64)
def _cumulative(hours: Hours) -> list[int]:
    return list(accumulate(hours))


@lru_cache(maxsize=4096)
def midnight(office: str, day: date) -> datetime:
    zone = ZoneInfo(OFFICES[office][0]) if office else UTC
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
