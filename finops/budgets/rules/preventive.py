"""When to block a key whose spend is only reported afterwards: before the cap is passed, and not long before.

What was reported is behind by the source's delay, and a block holds only some time after it is decided. What is spent
in between is bounded from how the account spent until then (`bound`): the largest of what its recent rates, its growth,
the same hours of the day before and its earlier peaks lead to, and some noise on top, scaled by how far that very bound
was from the truth in the account's own past. Statistics are floats; money is integer picodollars before and after.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import Final, NamedTuple

# How often the bound holds, over burns with steps that nobody could foresee (`bench preventive`; docs/benchmarks.md).
CONFIDENCE: Final = 0.9
# Of noise alone it would hold 99 times of a hundred.
_Z: Final = 2.33
# Pieces of a source's delay that spend is summed in, and how many delays back are looked at.
PIECES: Final = 12
DELAYS_BACK: Final = 30
# A bound that always was far too high, or too low, is scaled by no more than this.
_LEAST_SCALE: Final = 0.7
_MOST_SCALE: Final = 2.0
_OVER_WORST: Final = 1.1
# Places of the past, a third of a window apart, that one step is seen from.
_ONE_SURPRISE: Final = 4
# With fewer windows to look back on, the bound is taken as it is.
_WINDOWS: Final = 6
# An earlier peak counts half as much after so many windows.
_HALF_LIFE: Final = 10
# Of the limit, kept back always: nobody can know of a call that has never been.
RESERVE: Final = 0.01
# What must be left, in windows of spend at its bound, before a key goes on again.
_WINDOWS_LEFT: Final = 1.2
_DAY: Final = timedelta(days=1)
_OUT_OF_SIGHT_S: Final = 366 * 86_400


class Verdict(StrEnum):
    BLOCK = "block"
    KEEP = "keep"
    UNBLOCK = "unblock"


class Reported(NamedTuple):
    """Spend in pieces of equal `width`, oldest first, in picodollars. Up to `until`, the end of the last, the source
    has reported all.
    """

    amounts: tuple[int, ...]
    width: timedelta
    until: datetime


class Pause(NamedTuple):
    """A time in which the keys were blocked, `[start, end)`; no end is still."""

    start: datetime
    end: datetime | None


class Bound(NamedTuple):
    """What is spent in a window, in picodollars: what is likely, and what it hardly passes."""

    likely: int
    most: int


class Feed(NamedTuple):
    """What one source reported of an account. `delay` is how late it reports, `lead` how long from now until a block
    that is decided at the next look holds.
    """

    reported: Reported
    delay: timedelta
    lead: timedelta


class Situation(NamedTuple):
    """An account at a moment: its limit, and all that is known to be spent."""

    now: datetime
    limit_pico: int
    spent_pico: int
    feeds: tuple[Feed, ...]
    pauses: tuple[Pause, ...] = ()

    @property
    def blocked(self) -> bool:
        return any(one.end is None for one in self.pauses)


class Decision(NamedTuple):
    """What to do. `likely_pico` and `most_pico` are the spend until a block would hold, what is reported included; of
    what is blocked, the spend until it was. `crosses_at` is when the limit is passed at the likely rate, None where
    that is not in sight.
    """

    verdict: Verdict
    likely_pico: int
    most_pico: int
    crosses_at: datetime | None


def decide(at: Situation) -> Decision:
    """Whether the account's keys are to be blocked, go on, or stay as they are."""
    likely, most, ahead, rate_s = at.spent_pico, at.spent_pico, 0, 0.0
    for feed in at.feeds:
        history = _without(feed.reported, at.pauses)
        unseen = max(at.now - feed.reported.until, timedelta(0)) - _paused(at.pauses, feed.reported.until, at.now)
        if not at.blocked:
            unseen += feed.lead
        found = bound(history, unseen)
        likely, most = likely + found.likely, most + found.most
        if at.blocked:
            ahead += bound(history, feed.delay + feed.lead).most
        elif found.likely:
            rate_s += found.likely / unseen.total_seconds()
    reserve = round(at.limit_pico * RESERVE)
    if at.blocked:
        room = most + round(_WINDOWS_LEFT * ahead) + reserve < at.limit_pico
        return Decision(Verdict.UNBLOCK if room else Verdict.KEEP, likely, most, None)
    verdict = Verdict.BLOCK if most + reserve >= at.limit_pico else Verdict.KEEP
    return Decision(verdict, likely, most, _crossing(at, likely, rate_s))


def bound(history: Reported, window: timedelta) -> Bound:
    """What is spent in a window that begins where the history ends."""
    pieces = window / history.width
    if pieces <= 0 or not any(history.amounts):
        return Bound(0, 0)
    length = max(1, math.ceil(pieces))
    sums = _Sums(history.amounts, length, whole_day=round(_DAY / history.width))
    end = len(history.amounts)
    # The bound is of whole pieces; a shorter window has its share.
    part = min(pieces / length, 1.0)
    most = sums.raw(end) * _scale(sums, end, length)
    likely = sums.likely(end)
    return Bound(round(min(likely, most) * part), round(most * part))


class _Sums:
    """Sums over any stretch of a history, and the bound of what follows any place of it."""

    def __init__(self, amounts: Sequence[int], length: int, *, whole_day: int) -> None:
        self._length = length
        self._until = [0.0, *accumulate(float(one) for one in amounts)]
        steps = [float(after - before) for before, after in zip((0, *amounts), amounts, strict=False)]
        # Half the squared step from one piece to the next: the variance around a level that may itself move.
        self._steps = [0.0, *accumulate(step * step / 2 for step in steps)]
        self._day = whole_day
        # The highest window that ended at a place or before it, each counted the less the longer it is over.
        fading: float = 0.5 ** (1 / (length * _HALF_LIFE))
        windows = (self.stretch(place - length, place) for place in range(len(amounts) + 1))
        self._peaks: list[float] = list(accumulate(windows, lambda peak, window: max(peak * fading, window)))

    def stretch(self, start: float, end: int) -> float:
        return self._until[end] - self._until[max(0, round(start))]

    def _rate(self, end: int, length: int) -> float:
        return self.stretch(end - length, end) / length

    def likely(self, end: int) -> float:
        length = self._length
        return max(self._rate(end, length), self._rate(end, max(1, length // 4))) * length

    def raw(self, end: int) -> float:
        """The largest of what several views of the past lead to, with noise on top."""
        views = (self._level(end), self._growth(end), self._day_before(end), self._peaks[end])
        return max(views) + _Z * self._noise(end)

    def _level(self, end: int) -> float:
        length = self._length
        spans = {max(1, length // 6), max(1, length // 3), max(1, length // 2), length, 2 * length}
        return max(self._rate(end, span) for span in spans) * length

    def _growth(self, end: int) -> float:
        """As it grows now goes on: by halves and by quarters of a window, whichever tells of less. A step that is over
        is no growth.
        """
        length = self._length
        half, quarter = max(1, length // 2), max(1, length // 4)
        late, early = self._rate(end, half), self._rate(end - half, half) if end > half else 0.0
        later, earlier = self._rate(end, quarter), self._rate(end - quarter, quarter) if end > quarter else 0.0
        slope = min((late - early) / half, (later - earlier) / quarter)
        return (later + max(0.0, slope) * (length + quarter) / 2) * length if slope > 0 else 0.0

    def _day_before(self, end: int) -> float:
        length = self._length
        then = end - self._day
        if then - length < 0 or then + length > end:
            return 0.0
        before, now = self.stretch(then - length, then), self.stretch(end - length, end)
        ratio = min(2.0, max(0.5, now / before)) if before else 1.0
        return self.stretch(then, then + length) * ratio

    def _noise(self, end: int) -> float:
        length = self._length
        span = min(end, 2 * length)
        variance = (self._steps[end] - self._steps[end - span]) / span if span else 0.0
        return math.sqrt(variance * length)


def _scale(sums: _Sums, end: int, length: int) -> float:
    """How far the bound was from what then was spent, in the account's own past: at its worst but for one surprise, for
    a step that is over does not come again.
    """
    step = max(1, length // 3)
    ratios = []
    for place in range(length, end - length + 1, step):
        raw = sums.raw(place)
        # Before anything was spent nothing could be known.
        if raw > 0:
            ratios.append(sums.stretch(place, place + length) / raw)
    if len(ratios) < _WINDOWS * length / step:
        return 1.0
    ratios.sort()
    return min(_MOST_SCALE, max(_LEAST_SCALE, ratios[-1 - _ONE_SURPRISE] * _OVER_WORST))


def _without(reported: Reported, pauses: Sequence[Pause]) -> Reported:
    """The history as if the time in which keys were blocked had not been: nothing spent then says nothing of after."""
    if not pauses:
        return reported
    start = reported.until - reported.width * len(reported.amounts)
    kept = []
    for place, amount in enumerate(reported.amounts):
        begin = start + reported.width * place
        if _paused(pauses, begin, begin + reported.width) * 2 <= reported.width or amount:
            kept.append(amount)
    return reported._replace(amounts=tuple(kept))


def _paused(pauses: Sequence[Pause], start: datetime, end: datetime) -> timedelta:
    found = timedelta(0)
    for one in pauses:
        found += max(timedelta(0), (end if one.end is None else min(end, one.end)) - max(start, one.start))
    return found


def _crossing(at: Situation, likely: int, rate_s: float) -> datetime | None:
    """At the likely rate; in the past where more is likely spent by now than the limit."""
    if not rate_s:
        return at.now if at.spent_pico >= at.limit_pico else None
    lead = max(feed.lead for feed in at.feeds)
    seconds = (at.limit_pico - likely) / rate_s
    return None if abs(seconds) > _OUT_OF_SIGHT_S else at.now + lead + timedelta(seconds=seconds)
