"""Spend that is not as usual: too high, too low, or climbing for weeks. Pure.

What a spender usually spends is a level by weekday (`seasons`), as it was before the days that are judged. A day, three
days and a week are each held against it, as differences of square roots: in them a busy and a quiet spender scatter
alike. A difference is counted in deviations of the spender's own differences of the last eight weeks, by their median
and how far they usually are from it, so that one incident before does not hide the next. Climbing is a week held
against the level of four weeks ago. Today, while it lasts, is held against as much of a usual day as its hours make.

What is told passes the noise filter as well: an amount, a share of what was expected, and days of history. What came at
the same place of the month before is not told again (month ends), and less is told of one day only when it is next to
nothing: a public holiday is no incident.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np

from finops.alerts.rules.forecasting import Past, share_of_day
from finops.alerts.rules.seasons import WEEK, Flags, Floats, Seasons, matrix, tamed
from finops.core.money import PICO, from_pico

K = TypeVar("K", bound=Hashable)

# Days that are judged together, and the deviations it takes.
_SPANS: Final = (1, 3, 7)
_DEVIATIONS: Final = (4.5, 4.0, 4.0)
_DEVIATIONS_CLIMBING: Final = 4.5
_CLIMBED: Final = 1.6
_CLIMBING_DAYS: Final = 28
# The level of usual days moves at this pace of `seasons`: a new level is the usual one after about ten days.
_PACE: Final = 1
_JUDGED_BY: Final = 56
# In shares of the root of what is expected: nobody is believed to be steadier than this, and of whom no difference is
# known to scatter less than that; it counts as if four differences had shown it.
_STEADIEST: Final = 0.06
_UNKNOWN: Final = 0.3
_DOUBTED: Final = 4.0
# A day is part of what is told when it is off by as much, the same way.
_PART_OF_IT: Final = 1.5
_BACK_MOST: Final = 28
_NORMAL: Final = 1.4826
_OFTEN: Final = 1.645
# Of a day alone less is told from this share on; of more days from half.
_NEXT_TO_NOTHING: Final = 0.05
_FALLEN: Final = 0.5
_ROWS_AT_ONCE: Final = 1_000
_LEAST: Final = 1e-300
_AHEAD: Final = np.arange(WEEK)


class Direction(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"
    CLIMBING = "climbing"


@dataclass(frozen=True, slots=True)
class Noise:
    """What is too small to be told: less than `amount` picodollars off, less than `share` of what was expected off, or
    of a spender with fewer than `days` of history. `strictness` times as many deviations are needed: above one less is
    told and less of it wrongly, below one more.
    """

    amount: int = 10 * PICO
    share: float = 0.3
    days: int = 14
    strictness: float = 1.0


NOISE: Final = Noise()


@dataclass(frozen=True, slots=True)
class Finding(Generic[K]):
    """One spender whose spend is not as usual. `expected` and `seen` are picodollars of the last `days` until `until`,
    which is today where `partial`; `since` is the day it began. `deviations` has the sign of the difference.
    """

    key: K
    direction: Direction
    since: date
    until: date
    days: int
    partial: bool
    expected: int
    seen: int
    deviations: float
    words: str


class _Judged(NamedTuple):
    """One way of looking, for a block of rows: over `days`, what was seen, what was expected, and how far apart."""

    days: int
    seen: Floats
    expected: Floats
    deviations: Floats
    needed: float
    climbing: bool = False
    partial: bool = False


def find_anomalies(
    pasts: Mapping[K, Past],
    *,
    today: date,
    noise: Noise = NOISE,
    passed: timedelta = timedelta(0),
    currency: str = "USD",
) -> list[Finding[K]]:
    """At most one finding a spender, the largest difference in money first; `pasts` end with the day before `today`.

    `passed` is how much of today is over; with nothing of it over, only whole days are judged. `currency` is for the
    words. Spenders do not change each other's findings.
    """
    keys = [key for key, past in pasts.items() if len(past.daily) >= noise.days]
    found: list[Finding[K]] = []
    for first in range(0, len(keys), _ROWS_AT_ONCE):
        block = keys[first : first + _ROWS_AT_ONCE]
        found += _block(block, [pasts[key] for key in block], today, passed, noise, currency)
    return sorted(found, key=lambda one: (-abs(one.seen - one.expected), repr(one.key)))


def _block(
    keys: Sequence[K], pasts: Sequence[Past], today: date, passed: timedelta, noise: Noise, currency: str
) -> list[Finding[K]]:
    history = matrix(past.daily for past in pasts)
    usual = _Usual(history, (today - timedelta(days=history.shape[1])).weekday())
    ways = [usual.judged(days, needed) for days, needed in zip(_SPANS, _DEVIATIONS, strict=True)]
    ways += [usual.climbing()]
    if passed:
        seen = np.array([float(past.today) for past in pasts])
        ways.append(usual.judged_today(seen, share_of_day(pasts, passed)))
    found: list[Finding[K]] = []
    for row, key in enumerate(keys):
        told = [way for way in ways if _tells(way, row, noise) and not _as_last_month(usual, way, row, today)]
        if told:
            best = max(told, key=lambda way: float(abs(way.deviations[row])) / way.needed)
            found.append(_finding(key, usual, best, row, today, currency))
    return found


def _tells(way: _Judged, row: int, noise: Noise) -> bool:
    seen, expected, deviations = float(way.seen[row]), float(way.expected[row]), float(way.deviations[row])
    if abs(deviations) < way.needed * noise.strictness or abs(seen - expected) < max(
        noise.amount, noise.share * expected
    ):
        return False
    if seen > expected:
        return not way.climbing or seen >= _CLIMBED * expected
    return not way.climbing and not way.partial and seen <= (_NEXT_TO_NOTHING if way.days == 1 else _FALLEN) * expected


class _Usual:
    """What rows usually spend, day by day, and how far they usually are from it."""

    def __init__(self, history: Floats, first_weekday: int) -> None:
        begun = ~np.isnan(history)
        self.spent = np.where(begun, np.maximum(history, 0.0), 0.0)
        self.rows, self.length = self.spent.shape
        calm = tamed(self.spent)
        seasons = Seasons(self.rows)
        # told[t] is the week from day t on, as it was expected on the morning of day t.
        told: list[Floats] = []
        for day in range(self.length + 1):
            told.append(seasons.levels[_PACE][:, None] * seasons.weekdays[:, (first_weekday + day + _AHEAD) % WEEK])
            if day < self.length:
                seasons.learn((first_weekday + day) % WEEK, calm[:, day], begun[:, day])
        self.told = np.stack(told)
        self._old = np.cumsum(begun, axis=1)

    def expected(self, day: int, days: int) -> Floats:
        """Of `days` from a day on, as it was expected on its morning."""
        return np.asarray(self.told[day][:, :days].sum(axis=1))

    def judged(self, days: int, needed: float) -> _Judged:
        """The last days, held against what was expected before they began."""
        first = max(0, self.length - days)
        seen, expected = self.spent[:, first:].sum(axis=1), self.expected(first, days)
        middle, spread = self.scatter(days, expected)
        return _Judged(days, seen, expected, (np.sqrt(seen) - np.sqrt(expected) - middle) / spread, needed)

    def climbing(self) -> _Judged:
        """The last week, held against what was expected of a week four weeks ago."""
        first = max(0, self.length - _CLIMBING_DAYS - WEEK)
        seen, expected = self.spent[:, -WEEK:].sum(axis=1), self.expected(first, WEEK)
        _, spread = self.scatter(WEEK, expected)
        # Of so young a spender nobody knows what was usual four weeks ago.
        old = self._old[:, first] >= 2 * WEEK
        off = np.where(old, np.sqrt(seen) - np.sqrt(expected), 0.0)
        return _Judged(WEEK, seen, expected, off / spread, _DEVIATIONS_CLIMBING, climbing=True)

    def judged_today(self, seen: Floats, share: Floats) -> _Judged:
        """Today until now, by the scatter of whole days: of fewer hours it takes more."""
        whole = self.expected(self.length, 1)
        middle, spread = self.scatter(1, whole)
        off = np.sqrt(seen) - np.sqrt(whole * share) - np.maximum(middle, 0.0)
        return _Judged(1, seen, whole * share, off / spread, _DEVIATIONS[0], partial=True)

    def scatter(self, days: int, expected: Floats) -> tuple[Floats, Floats]:
        """The median difference of so many days, and how far from it they usually are: by the median, or by the tenth
        that is furthest where that is more. The last week is left out: it is what is judged.
        """
        last = self.length - WEEK - days
        starts = [day for day in range(last - _JUDGED_BY, last + 1) if day >= WEEK]
        if starts:
            off = np.stack([self._off(day, days) for day in starts], axis=1)
            known = np.stack([self._old[:, day - 1] >= WEEK for day in starts], axis=1)
        else:
            off, known = np.zeros((self.rows, 1)), np.zeros((self.rows, 1), dtype=np.bool_)
        middle = _quantile(off, known, 0.5)
        far = np.abs(off - middle[:, None])
        own = np.maximum(_NORMAL * _quantile(far, known, 0.5), _quantile(far, known, 0.9) / _OFTEN)
        doubt = _UNKNOWN * _DOUBTED / (_DOUBTED + known.sum(axis=1))
        least = (_STEADIEST + doubt) * np.sqrt(expected)
        return middle, np.asarray(np.maximum(np.maximum(own, least), _LEAST))

    def began(self, row: int, higher: bool) -> int:
        """How many of the last days in a row were off this way, each by what was expected on its morning."""
        _, spread = self.scatter(1, self.expected(self.length, 1))
        sign = 1.0 if higher else -1.0
        for back in range(min(_BACK_MOST, self.length)):
            if sign * self._off(self.length - 1 - back, 1)[row] < _PART_OF_IT * spread[row]:
                return back
        return int(min(_BACK_MOST, self.length))

    def _off(self, day: int, days: int) -> Floats:
        seen = self.spent[:, day : day + days].sum(axis=1)
        return np.asarray(np.sqrt(seen) - np.sqrt(self.expected(day, days)))


def _quantile(values: Floats, known: Flags, part: float) -> Floats:
    """Of the known values of each row; nothing where there are none."""
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    count = known.sum(axis=1)
    place = np.minimum((count * part).astype(int), np.maximum(count - 1, 0))
    return np.asarray(np.where(count > 0, np.take_along_axis(ordered, place[:, None], axis=1)[:, 0], 0.0))


def _as_last_month(usual: _Usual, way: _Judged, row: int, today: date) -> bool:
    """Whether about as much came at the same place of the month before, counted from its beginning or its end."""
    if way.seen[row] < way.expected[row] or way.climbing or way.days > 3:
        return False
    last = today if way.partial else today - timedelta(days=1)
    before = last.replace(day=1) - timedelta(days=1)
    to_end = (_next_month(last) - last).days
    same = {before.replace(day=min(last.day, before.day)), before + timedelta(days=1 - to_end)}
    for day in same:
        for shift in (-1, 0, 1):
            end = usual.length - (today - day).days + shift + 1
            if way.days <= end <= usual.length - WEEK:
                seen = usual.spent[row, end - way.days : end].sum()
                if seen >= 0.7 * way.seen[row]:
                    return True
    return False


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _finding(key: K, usual: _Usual, way: _Judged, row: int, today: date, currency: str) -> Finding[K]:
    seen, expected = round(float(way.seen[row])), round(float(way.expected[row]))
    until = today if way.partial else today - timedelta(days=1)
    direction = Direction.CLIMBING if way.climbing else Direction.HIGHER if seen > expected else Direction.LOWER
    since = until - timedelta(days=_CLIMBING_DAYS)
    if not way.climbing:
        run = usual.began(row, higher=seen > expected)
        since = until - timedelta(days=run if way.partial else max(0, run - 1))
    deviations = round(float(way.deviations[row]), 1)
    when = (
        "today so far"
        if way.partial
        else f"on {until:%-d %B}"
        if way.days == 1
        else f"in the {way.days} days to {until:%-d %B}"
    )
    usually = "four weeks ago" if way.climbing else "by weekday" if not way.partial else "by this hour"
    words = (
        f"{_money(seen)} {currency} {when}, where {_money(expected)} were expected {usually}:"
        f" {abs(deviations):.1f} of its usual deviations {'above' if seen > expected else 'below'},"
        f" since {since:%-d %B}."
    )
    return Finding(key, direction, since, until, way.days, way.partial, expected, seen, deviations, words)


def _money(pico: int) -> str:
    return f"{from_pico(pico):,.2f}"
