"""What a spender usually spends: a level that follows the days, and what weekdays are of it. Pure.

Many spenders at once, as rows of a matrix of days; the statistics are floats, amounts go in and come out as integers in
the modules above. Every row is reckoned by itself: no other row changes its result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WEEK: Final = 7
# How far back days say anything of today.
DAYS_MOST: Final = 91
# A level each: nearly all days count the same, or hardly more than the last few.
PACES: Final = (0.03, 0.1, 0.3)
# One day counts for no more than the second-dearest of four weeks, unless a few ordinary days are more than that.
_TAMED_DAYS: Final = 28
_ORDINARY_DAYS: Final = 2.5
# A weekday is believed to differ as if so many weeks had shown that it does not: the more, the more the same weekday
# scatters for what weekdays differ by.
_WEEKS_DOUBTED: Final = (0.2, 30.0)
# How much of what is known of weekdays is kept from one day to the next.
_KEPT: Final = 0.98
# The pace by which a day is held against its time when weekdays are learnt.
_PACE_OF_WEEKDAYS: Final = 1
_LEAST: Final = 1e-300


def matrix(rows: Iterable[Sequence[float]]) -> Floats:
    """Rows of days that end alike, as one matrix; NaN where a row had not begun, and the last DAYS_MOST days alone."""
    kept = [row[-DAYS_MOST:] for row in rows]
    found = np.full((len(kept), max([1, *map(len, kept)])), np.nan)
    for place, row in enumerate(kept):
        if row:
            found[place, -len(row) :] = row
    return found


def tamed(spent: Floats) -> Floats:
    """Days (nothing where they had not begun) with no one of them larger than others make believable: those before it,
    and for days of some weeks ago also those that came after.
    """
    before = _believable(spent)
    after = _believable(spent[:, ::-1])[:, ::-1]
    after[:, max(0, spent.shape[1] - _TAMED_DAYS // 2) :] = np.inf
    return np.asarray(np.minimum(spent, np.minimum(before, after)))


def _believable(spent: Floats) -> Floats:
    """The most that each day may count for, by itself and the four weeks before it."""
    padded = np.concatenate([np.zeros((len(spent), _TAMED_DAYS - 1)), spent], axis=1)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, _TAMED_DAYS, axis=1), axis=2)
    positive = (windows > 0).sum(axis=2)
    middle = np.minimum(_TAMED_DAYS - 1, _TAMED_DAYS - (positive + 1) // 2)
    ordinary = np.take_along_axis(windows, middle[:, :, None], axis=2)[:, :, 0]
    return np.asarray(np.maximum(windows[:, :, -2], _ORDINARY_DAYS * ordinary))


class Seasons:
    """What is known of rows after some days; `learn` takes the next day. Weekdays are numbers from 0 to 6.

    `levels` is what an average day comes to, by pace; `weekdays` what each weekday is of it, 1 on average.
    """

    def __init__(self, rows: int) -> None:
        self._paces = np.array(PACES)[:, None]
        self._spent = np.zeros((len(PACES), rows))
        self._shares = np.zeros((len(PACES), rows))
        self._seen = np.zeros((rows, WEEK))
        self._squares = np.zeros((rows, WEEK))
        self._times = np.zeros((rows, WEEK))
        self.weekdays = np.ones((rows, WEEK))

    @property
    def levels(self) -> Floats:
        """By (pace, row). Sums over sums: a weekday on which nothing is spent divides nothing."""
        return np.asarray(self._spent / np.maximum(self._shares, _LEAST))

    def learn(self, weekday: int, spent: Floats, begun: Flags) -> None:
        """One day: what was spent, and which rows had begun."""
        pace = np.where(begun, self._paces, 0.0)
        self._spent = (1 - pace) * self._spent + pace * spent
        self._shares = (1 - pace) * self._shares + pace * self.weekdays[:, weekday]
        level = self.levels[_PACE_OF_WEEKDAYS]
        times = np.where(level > 0, np.minimum(spent / np.maximum(level, _LEAST), WEEK), 1.0)
        kept = np.where(begun, _KEPT, 1.0)[:, None]
        for known in (self._seen, self._squares, self._times):
            known *= kept
        self._seen[:, weekday] += np.where(begun, times, 0.0)
        self._squares[:, weekday] += np.where(begun, times**2, 0.0)
        self._times[:, weekday] += begun
        self.weekdays = self._learnt()

    def _learnt(self) -> Floats:
        times = self._times.sum(axis=1, keepdims=True)
        usual = np.where(times > 0, self._seen.sum(axis=1, keepdims=True) / np.maximum(times, _LEAST), 1.0)
        each = self._seen / np.maximum(self._times, _LEAST)
        known = np.maximum(times, _LEAST)
        within = np.maximum(0.0, (self._squares - self._times * each**2).sum(axis=1, keepdims=True)) / known
        between = (self._times * (each - usual) ** 2).sum(axis=1, keepdims=True) / known - within * WEEK / known
        doubted = np.clip(within / np.maximum(between, 1e-9), *_WEEKS_DOUBTED)
        found = (self._seen + doubted * usual) / (self._times + doubted)
        mean = found.mean(axis=1, keepdims=True)
        return np.asarray(np.where(mean > 0, found / np.maximum(mean, _LEAST), 1.0))


def weekly_growth(spent: Floats, begun: Flags, *, weeks: int = 9, least: int = 3, most: float = 0.28) -> Floats:
    """Growth a week in logarithms, by row: the mean over whole weeks since the row began, drawn to nothing by its own
    uncertainty. Nothing where fewer than `least` weeks can be held against the one before.
    """
    rows, days = spent.shape
    count = min(weeks, days // WEEK)
    if count <= least:
        return np.zeros(rows)
    summed = spent[:, days - count * WEEK :].reshape(rows, count, WEEK).sum(axis=2)
    there: Flags = np.logical_and(summed > 0, begun[:, days - count * WEEK :].reshape(rows, count, WEEK).all(axis=2))
    fits = there[:, :-1] & there[:, 1:]
    ratio = np.where(fits, summed[:, 1:], 1.0) / np.where(fits, summed[:, :-1], 1.0)
    steps = np.where(fits, np.clip(np.log(ratio), -1, 1), 0.0)
    times = fits.sum(axis=1)
    mean = steps.sum(axis=1) / np.maximum(times, 1)
    spread = np.where(fits, (steps - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(times - 1, 1)
    believed = np.maximum(0.0, 1 - 0.5 * spread / np.maximum(times, 1) / np.maximum(mean**2, 1e-12))
    return np.asarray(np.where(times >= least, np.clip(mean * believed, -most, most), 0.0))
