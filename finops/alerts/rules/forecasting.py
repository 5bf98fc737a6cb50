"""What a period will have cost when it is over, with an interval, and when a limit is reached. Pure.

A day to come is a level times its weekday times growth. Six candidates (three paces of the level, each with growth and
without) are tried on the days that passed, and weighed by how well they told the weeks of the last eight. The interval
is made of the same trials: what the mixture missed a day and a week by, carried on to the length of what is left, and
widened or narrowed to what would have held in four of five trials.

Amounts go in and come out as integers of picodollars; between them are floats, because these are statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

import numpy as np

from finops.alerts.rules.seasons import PACES, WEEK, Flags, Floats, Seasons, matrix, tamed, weekly_growth

# The share of outcomes the interval is to hold.
COVERAGE: Final = 0.8
EVEN_HOURS: Final = (1.0,) * 24
METHOD: Final = (
    "Level by weekday from the last {days} days; no single day counts for more than others make believable."
    " Candidates are weighed by how well they told the weeks before; the interval holds four of five such trials."
)
METHOD_NEW: Final = "Fewer than {days} days of history: the usual day so far, with the error that new spenders have."
_YOUNG: Final = 7
_ROWS_AT_ONCE: Final = 1_000
_TRIED: Final = 56
# Trials are of sums over so many days; the longer two say how wide the interval must be.
_SPANS: Final = (1, 7, 14)
_HALF_LIFE_DAYS: Final = 14.0
_SHARPNESS: Final = 4.0
_TRIALS_DOUBTED: Final = 3.0
# Growth tells less of each day further away.
_GROWTH_KEPT: Final = 0.93
_LAG_MOST: Final = 10.0
# The last days of a month may be days of their own; by the level of this pace.
_CLOSING_DAYS: Final = 2
_CLOSINGS_LEAST: Final = 2
_CLEARLY: Final = 1.5
_USUAL_PACE: Final = 1
# What is believed of a spender of whom little is known, as if so many trials had shown it: how far a day and a week
# are missed, in shares of themselves, and how many times that four of five outcomes stay within, below and above.
_ERRORS_DOUBTED: Final = 4.0
_USUAL_ERROR: Final = (0.6, 0.4)
_QUANTILES_DOUBTED: Final = 12.0
_USUAL_BELOW: Final = 1.3
_USUAL_ABOVE: Final = 1.8
_LEAST: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Past:
    """What one spender spent, in picodollars: each UTC day from its first to yesterday, and since midnight today.
    `hours` says how its days fall on their UTC hours, in any unit.
    """

    daily: Sequence[int]
    today: int = 0
    hours: Sequence[float] = EVEN_HOURS


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What the period comes to at its end, `spent` included; picodollars. `low` and `high` are to hold COVERAGE of
    outcomes. `error` is what such forecasts missed a week by, as a share of it; None where none could be tried.

    `course` is spend up to each of `times`, by (low, point, high), for drawing and for crossings.
    """

    spent: int
    point: int
    low: int
    high: int
    until: datetime
    method: str
    error: float | None
    times: tuple[datetime, ...]
    course: Floats


class Crossing(NamedTuple):
    """When a limit is reached at this rate; None is not before the end. `earliest` and `latest` by the interval."""

    at: datetime | None
    earliest: datetime | None
    latest: datetime | None


class _Ahead(NamedTuple):
    """What is left of a period: the share of each day by (row, day), when each ends, and by row how much of today is
    over.
    """

    shares: Floats
    times: tuple[datetime, ...]
    passed: Floats


class _Fit(NamedTuple):
    """Of a block of rows: days to come by (row, day); what a day and a week are missed by; how many times that most
    outcomes stay within; and the week's error as a share, where it was tried.
    """

    path: Floats
    errors: Floats
    below: Floats
    above: Floats
    missed: Floats
    tried: Flags


def forecast(past: Past, *, spent: int, now: datetime, until: datetime) -> Forecast:
    """One spender's; see `forecasts`."""
    return forecasts([past], spent=[spent], now=now, until=until)[0]


def forecasts(pasts: Sequence[Past], *, spent: Sequence[int], now: datetime, until: datetime) -> list[Forecast]:
    """For each past, what its period comes to at `until`: `spent` of it by `now`, the rest forecast. Spenders do not
    change each other's forecasts. Raises ValueError when the period is over or the lists differ in length.
    """
    if until <= now:
        raise ValueError("the period is over")
    if len(pasts) != len(spent):
        raise ValueError("one amount spent for each past")
    found: list[Forecast] = []
    for first in range(0, len(pasts), _ROWS_AT_ONCE):
        block = slice(first, first + _ROWS_AT_ONCE)
        found += _block(pasts[block], spent[block], now.astimezone(UTC), until.astimezone(UTC))
    return found


def crossing(found: Forecast, limit: int) -> Crossing:
    """When the limit is reached at this rate."""
    low, point, high = (_reached(found, row, limit) for row in range(3))
    return Crossing(at=point, earliest=high, latest=low)


def share_of_day(pasts: Sequence[Past], since_midnight: timedelta) -> Floats:
    """What part of a day's spend falls before a time of the day, by past; of hours without any, even ones."""
    hours = np.array([past.hours for past in pasts], dtype=np.float64).reshape(len(pasts), len(EVEN_HOURS))
    total = hours.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, hours / np.where(total > 0, total, 1.0), 1 / len(EVEN_HOURS))
    whole, rest = divmod(since_midnight, timedelta(hours=1))
    part = shares[:, whole] * (rest / timedelta(hours=1)) if whole < len(EVEN_HOURS) else 0.0
    return np.asarray(np.minimum(1.0, shares[:, :whole].sum(axis=1) + part))


def _reached(found: Forecast, row: int, limit: int) -> datetime | None:
    if found.spent >= limit:
        return found.times[0]
    course = found.course[row]
    place = max(1, int(np.searchsorted(course, limit)))
    if place >= len(course):
        return None
    before, after = course[place - 1], course[place]
    part = (limit - before) / (after - before) if after > before else 1.0
    start = found.times[place - 1]
    return start + (found.times[place] - start) * min(1.0, max(0.0, float(part)))


def _ahead(pasts: Sequence[Past], now: datetime, until: datetime) -> _Ahead:
    """Days are cut where the period ends; a cut day counts by what its hours are of a day."""
    midnight = datetime.combine(now.date(), time(0), tzinfo=UTC)
    passed = share_of_day(pasts, now - midnight)
    shares: list[Floats] = []
    times = [now]
    while times[-1] < until:
        end = min(midnight + timedelta(days=1), until)
        before = np.zeros(len(pasts)) if shares else passed
        shares.append(np.maximum(0.0, share_of_day(pasts, end - midnight) - before))
        times.append(end)
        midnight += timedelta(days=1)
    return _Ahead(np.stack(shares, axis=1), tuple(times), passed)


def _block(pasts: Sequence[Past], spent: Sequence[int], now: datetime, until: datetime) -> list[Forecast]:
    ahead = _ahead(pasts, now, until)
    history = matrix(past.daily for past in pasts)
    fit = _fitted(history, now.date(), len(ahead.times) - 1)
    path = fit.path * ahead.shares
    today = np.array([float(max(0, past.today)) for past in pasts])
    # The more of today is over, the more it says itself what the rest of it will be.
    path[:, 0] = ahead.shares[:, 0] * (today + (1 - ahead.passed) * fit.path[:, 0])
    gone = np.cumsum(path, axis=1)
    length = np.cumsum(ahead.shares, axis=1)
    spread = _carried(fit.errors, length)
    low = np.maximum(0.0, gone - fit.below[:, None] * spread)
    high = gone + fit.above[:, None] * spread
    base = np.array([float(amount) for amount in spent])[:, None]
    courses = np.stack([_rising(base, low), _rising(base, gone), _rising(base, high)], axis=1)
    known = (~np.isnan(history)).sum(axis=1)
    return [
        Forecast(
            spent=spent[row],
            point=spent[row] + round(gone[row, -1]),
            low=spent[row] + round(low[row, -1]),
            high=spent[row] + round(high[row, -1]),
            until=until,
            method=(METHOD if known[row] >= _YOUNG else METHOD_NEW).format(
                days=int(known[row]) if known[row] >= _YOUNG else _YOUNG
            ),
            error=float(fit.missed[row]) if fit.tried[row] else None,
            times=ahead.times,
            course=courses[row],
        )
        for row in range(len(pasts))
    ]


def _rising(base: Floats, gone: Floats) -> Floats:
    """Spend up to each time, now included; it never falls."""
    return np.asarray(base + np.maximum.accumulate(np.concatenate([np.zeros_like(base), gone], axis=1), axis=1))


def _carried(errors: Floats, length: Floats) -> Floats:
    """What a span is missed by, by (row, span): up to a week a power law through what a day and a week are missed by
    (independent days give a half, a level that goes its own way gives one), and of longer ones each week as much again.
    """
    day, week = np.maximum(errors[:, :1], _LEAST), np.maximum(errors[:, 1:], _LEAST)
    power = np.clip(np.log(week / day) / np.log(WEEK), 0.5, 1.0)
    weeks = np.maximum(length, _LEAST) / WEEK
    return np.asarray(errors[:, 1:] * np.minimum(weeks, 1.0) ** power * np.maximum(weeks, 1.0))


def _fitted(history: Floats, today: date, days: int) -> _Fit:
    """Go through the days, telling what comes from the last _TRIED of them on, then weigh who told best."""
    begun = ~np.isnan(history)
    raw = np.where(begun, np.maximum(history, 0.0), 0.0)
    spent = tamed(raw)
    rows, length = spent.shape
    first = today - timedelta(days=length)
    seasons = Seasons(rows)
    told: list[Floats] = []
    usual = np.zeros_like(spent)
    for day in range(length):
        weekday = (first.weekday() + day) % WEEK
        if day >= length - _TRIED:
            told.append(_candidates(seasons, spent[:, :day], begun[:, :day], weekday, max(_SPANS)))
        usual[:, day] = seasons.levels[_USUAL_PACE] * seasons.weekdays[:, weekday]
        seasons.learn(weekday, spent[:, day], begun[:, day])
    final = _candidates(seasons, spent, begun, today.weekday(), max(days, WEEK))
    trials = _Trials(raw, spent, begun, np.cumsum(np.stack(told), axis=3))
    weights = trials.weights()
    path = np.einsum("cr,crd->rd", weights, final)
    fit = trials.judged(weights, path)
    return fit._replace(path=path[:, :days] * _closings(raw, usual, begun, first, days))


def _closings(raw: Floats, usual: Floats, begun: Flags, first: date, days: int) -> Floats:
    """How many times as dear as usual days the last days of a month are, by (row, day to come): what every one of the
    months in the history clearly shows, where there are two; so that one odd day shows nothing.
    """
    length = raw.shape[1]
    last = [day for day in range(length + days) if (first + timedelta(days=day + _CLOSING_DAYS)).day <= _CLOSING_DAYS]
    found = np.ones((len(raw), days))
    ends: dict[tuple[int, int], list[int]] = {}
    for day in last:
        if day < length:
            at = first + timedelta(days=day)
            ends.setdefault((at.year, at.month), []).append(day)
    # What is usual is not known before a week has passed.
    whole = [some for some in ends.values() if len(some) == _CLOSING_DAYS and some[0] >= WEEK]
    if len(whole) < _CLOSINGS_LEAST:
        return found
    expected = np.stack([usual[:, some].sum(axis=1) for some in whole])
    known = np.stack([begun[:, some[0] - WEEK] for some in whole]) & (expected > 0)
    ratio = np.stack([raw[:, some].sum(axis=1) for some in whole]) / np.where(expected > 0, expected, 1.0)
    least = np.where(known, ratio, np.inf).min(axis=0)
    most = np.where(known, ratio, -np.inf).max(axis=0)
    times = np.where(least > _CLEARLY, least, np.where(most < 1 / _CLEARLY, most, 1.0))
    times = np.where(known.sum(axis=0) >= _CLOSINGS_LEAST, times, 1.0)
    for day in last:
        if day >= length:
            found[:, day - length] = times
    return found


def _candidates(seasons: Seasons, spent: Floats, begun: Flags, weekday: int, days: int) -> Floats:
    """Days to come by (candidate, row, day): every pace as it is, and every pace with the growth of the past weeks."""
    ahead = np.arange(1, days + 1)
    flat = seasons.levels[:, :, None] * seasons.weekdays[None][:, :, (weekday + ahead - 1) % WEEK]
    growth = weekly_growth(spent, begun) / WEEK
    # A slow level is of days ago on average; and growth is carried on, less of it each day.
    lag = np.minimum((1 - np.array(PACES)) / np.array(PACES), _LAG_MOST)
    kept = _GROWTH_KEPT * (1 - _GROWTH_KEPT**ahead) / (1 - _GROWTH_KEPT)
    grown = flat * np.exp(growth[None, :, None] * (lag[:, None, None] + kept[None, None, :]))
    return np.concatenate([flat, grown])


class _Trials:
    """What candidates told at each of the last days, against what came. `told` is sums by (day, candidate, row, span
    of days); a trial counts where the row had begun three days before.
    """

    def __init__(self, raw: Floats, spent: Floats, begun: Flags, told: Floats) -> None:
        self._told = told
        self._length = spent.shape[1]
        self._first = self._length - len(told)
        self._raw, self._spent = (np.pad(np.cumsum(days, axis=1), ((0, 0), (1, 0))) for days in (raw, spent))
        self._counts = np.pad(begun, ((0, 0), (3, 0)))[:, : self._length]

    def weights(self) -> Floats:
        """By (candidate, row); they sum to one for each row."""
        missed = np.zeros(self._told.shape[1:3])
        times = np.zeros(self._told.shape[2])
        for place, told in enumerate(self._told):
            day = self._first + place
            span = min(WEEK, self._length - day)
            weight = self._weight(day) * span / WEEK
            missed += weight * np.abs(told[:, :, span - 1] - self._came(self._spent, day, span))
            times += weight
        relative = missed / np.maximum(missed.mean(axis=0), _LEAST)
        relative = np.where(missed.mean(axis=0) > 0, relative, 1.0)
        relative = (relative * times + _TRIALS_DOUBTED) / (times + _TRIALS_DOUBTED)
        found = relative**-_SHARPNESS
        return np.asarray(found / found.sum(axis=0))

    def judged(self, weights: Floats, path: Floats) -> _Fit:
        """How far the mixture missed."""
        usual = np.stack([path[:, :WEEK].mean(axis=1) * _USUAL_ERROR[0], path[:, :WEEK].sum(axis=1) * _USUAL_ERROR[1]])
        missed, times, came = _ERRORS_DOUBTED * usual, np.full(usual.shape, _ERRORS_DOUBTED), np.zeros(usual.shape[1])
        off: list[tuple[int, Floats, Flags]] = []
        for place, told in enumerate(self._told):
            day = self._first + place
            for kind, span in enumerate(_SPANS):
                if day + span > self._length:
                    continue
                mixed = (weights * told[:, :, span - 1]).sum(axis=0)
                weight = self._weight(day)
                off.append((span, self._came(self._raw, day, span) - mixed, self._counts[:, day]))
                if kind < len(usual):
                    missed[kind] += weight * np.abs(self._came(self._raw, day, span) - mixed)
                    times[kind] += weight
                if span == WEEK:
                    came += weight * self._came(self._raw, day, span)
        errors = (missed / times).T
        below, above = _stays_within(off, errors)
        tried = (times[1] > _ERRORS_DOUBTED) & (came > 0)
        share = (missed[1] - _ERRORS_DOUBTED * usual[1]) / np.where(tried, came, 1.0)
        return _Fit(path, errors, below, above, share, tried)

    def _weight(self, day: int) -> Floats:
        return np.asarray(0.5 ** ((self._length - day) / _HALF_LIFE_DAYS) * self._counts[:, day])

    def _came(self, summed: Floats, day: int, span: int) -> Floats:
        return np.asarray(summed[:, day + span] - summed[:, day])


def _stays_within(off: list[tuple[int, Floats, Flags]], errors: Floats) -> tuple[Floats, Floats]:
    """How many times the usual error four of five outcomes stayed within, below and above, by row. Days that follow
    each other are tried with nearly the same weeks, so a week's trials count as one.
    """
    rows = len(errors)
    usual = np.full(rows, _USUAL_BELOW), np.full(rows, _USUAL_ABOVE)
    kept = [(span, missed, counts) for span, missed, counts in off if span >= WEEK]
    if not kept:
        return usual
    scale = {span: np.maximum(_carried(errors, np.array([[float(span)]]))[:, 0], _LEAST) for span in _SPANS}
    times = np.sort(
        np.stack([np.where(counts, missed / scale[span], np.nan) for span, missed, counts in kept], axis=1), axis=1
    )
    known = (~np.isnan(times)).sum(axis=1)
    tail = (1 - COVERAGE) / 2
    last = np.maximum(known - 1, 0)
    low = np.minimum(np.floor(tail * (known + 1)), last).astype(int)
    high = np.minimum(np.maximum(np.ceil((1 - tail) * (known + 1)) - 1, 0), last).astype(int)
    doubted = _QUANTILES_DOUBTED
    weight = known / len(_SPANS[1:]) / WEEK
    found = []
    for place, sign, otherwise in ((low, -1.0, usual[0]), (high, 1.0, usual[1])):
        at = np.take_along_axis(times, place[:, None], axis=1)[:, 0]
        own = np.where(known > 0, np.maximum(0.0, sign * at), 0.0)
        found.append((weight * own + doubted * otherwise) / (weight + doubted))
    return found[0], found[1]
