"""Which cube answers a question, and which blocks of days make up a period."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

from finops.core.periods import EPOCH, DayRange, day_number
from finops.ledger.types import DIMENSIONS

# Numbers are stored in rows: never change or reuse one. 0 is the total, 1-27 one dimension each, 40 on named pairs.
SINGLES: Final = {index + 1: (name,) for index, name in enumerate(DIMENSIONS)}
PAIRS: Final = {
    40: ("team", "model"),
    41: ("team", "person"),
    42: ("team", "project"),
    43: ("project", "agent"),
    44: ("project", "model"),
    45: ("person", "model"),
    46: ("agent", "model"),
    47: ("customer", "model"),
    48: ("key", "model"),
    49: ("provider", "model"),
    50: ("source", "model"),
    51: ("state", "model"),
    52: ("state", "source"),
    53: ("customer", "project"),
}
CUBES: Final[dict[int, tuple[str, ...]]] = {0: (), **SINGLES, **PAIRS}
_BY_DIMENSIONS: Final = {frozenset(dimensions): number for number, dimensions in CUBES.items()}

# Blocks are 4^level days: 1, 4, 16, 64, 256. Five levels bound any period of years to about two dozen blocks, at 1.4
# times the rows of days alone; powers of two would be fewer blocks still, at twice the rows.
LEVELS: Final = (0, 1, 2, 3, 4)
LEVEL_SHIFT: Final = 2
# Blocks of more than a day are made once their days are settled; usage that comes later still is added to them. The
# newest days change with every fold, so they are kept as days alone until this many have passed.
UNSETTLED_DAYS: Final = 2

# Hourly spend is kept over what burn rates are asked of, and for as long.
HOURLY: Final = ("team", "person", "project", "agent", "customer", "key", "source", "provider")
HOURLY_DAYS: Final = 35


class Run(NamedTuple):
    """Consecutive blocks of one level, `[first, last]`."""

    level: int
    first: int
    last: int


def cube_for(dimensions: Iterable[str]) -> int | None:
    """The narrow cube that holds exactly these dimensions, or None when only the wide cube does."""
    return _BY_DIMENSIONS.get(frozenset(dimensions))


def settled_day(newest: int) -> int:
    """The day number before which days are settled, when `newest` is the newest with spend: a four-day boundary."""
    return (newest - UNSETTLED_DAYS + 1) >> LEVEL_SHIFT << LEVEL_SHIFT


def finished(level: int, settled_before: int, settled: int) -> range:
    """Blocks of a level that become whole when the settled days grow from one day number to another."""
    shift = LEVEL_SHIFT * level
    return range(settled_before >> shift, settled >> shift)


def runs(period: DayRange, settled: date) -> list[Run]:
    """The fewest aligned blocks that tile the period exactly, as runs of one level; days alone from `settled` on."""
    low, high = day_number(period.start), day_number(period.end)
    edge = min(max(low, day_number(settled)), high)
    found = _tiles(low, edge)
    if edge < high:
        found.append(Run(0, edge, high - 1))
    return found


def _tiles(low: int, high: int) -> list[Run]:
    """Climbs from days to the largest block from both ends, as one reads a segment tree bottom-up."""
    found: list[Run] = []
    step = 1 << LEVEL_SHIFT
    for level in LEVELS:
        if low >= high:
            break
        upward, downward = -(-low // step), high // step
        if level == LEVELS[-1] or upward >= downward:
            found.append(Run(level, low, high - 1))
            break
        if low < upward * step:
            found.append(Run(level, low, upward * step - 1))
        if downward * step < high:
            found.append(Run(level, downward * step, high - 1))
        low, high = upward, downward
    return found


def run_days(run: Run) -> DayRange:
    """The days a run covers."""
    size = 1 << (LEVEL_SHIFT * run.level)
    return DayRange(EPOCH + timedelta(days=run.first * size), EPOCH + timedelta(days=(run.last + 1) * size))
