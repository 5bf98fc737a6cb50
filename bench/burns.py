"""Twenty ways to burn money, seeded: what one account spends in each minute. For tests and `bench preventive`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from finops.budgets.rules.preventive import (
    DELAYS_BACK,
    PIECES,
    Feed,
    Pause,
    Reported,
    Situation,
    Verdict,
    decide,
)
from finops.core.money import PICO

_DAY_H: Final = 24.0
_MINUTE: Final = timedelta(minutes=1)
_EPOCH: Final = datetime(2026, 11, 1, tzinfo=UTC)
# Minutes of a piece of what is reported an hour late.
PIECE: Final = 5


class Burn(NamedTuple):
    """Dollars of each minute, and the limit that they would pass within the last third of the time."""

    name: str
    minutes: tuple[float, ...]
    limit: float


def burns(*, hours: float, seed: int = 1) -> list[Burn]:
    return [_burn(name, shape, hours, random.Random(f"{seed} {name}")) for name, shape in SHAPES.items()]


def _burn(
    name: str, shape: Callable[[float, random.Random], Iterator[float]], hours: float, dice: random.Random
) -> Burn:
    minutes = tuple(amount for amount, _ in zip(shape(hours, dice), range(round(hours * 60)), strict=False))
    # Where it falls, in the middle of a burst or between two, is chance.
    crossing = round(len(minutes) * dice.uniform(0.67, 0.9))
    while not minutes[crossing]:
        crossing -= 1
    return Burn(name, minutes, sum(minutes[: crossing + 1]) - 0.5 * minutes[crossing])


def _by(rate: Callable[[float], float]) -> Iterator[float]:
    """A minute's spend by the rate at its hour."""
    minute = 0
    while True:
        yield max(0.0, rate(minute / 60)) / 60
        minute += 1


def _from(start: float, rate: float) -> Iterator[float]:
    return _by(lambda hour: rate if hour >= start else 0)


def _noisy(base: Iterator[float], dice: random.Random, calls: float) -> Iterator[float]:
    """The same on average, made of about so many calls of uneven cost a minute."""
    for amount in base:
        made = _poisson(dice, calls)
        yield sum(dice.expovariate(1) for _ in range(made)) * amount / calls


def _poisson(dice: random.Random, mean: float) -> int:
    found, left = 0, dice.expovariate(1)
    while left < mean:
        found, left = found + 1, left + dice.expovariate(1)
    return found


def _constant(hours: float, dice: random.Random) -> Iterator[float]:
    return _by(lambda _: 10)


def _uneven(hours: float, dice: random.Random) -> Iterator[float]:
    return _noisy(_by(lambda _: 10), dice, 3)


def _ramp(hours: float, dice: random.Random) -> Iterator[float]:
    return _noisy(_by(lambda hour: 1 + 20 * hour / hours), dice, 5)


def _doubling(hours: float, dice: random.Random) -> Iterator[float]:
    return _noisy(_by(lambda hour: 2 ** (hour / hours * 5)), dice, 5)


def _step(hours: float, dice: random.Random) -> Iterator[float]:
    when = hours * dice.uniform(0.3, 0.5)
    return _noisy(_by(lambda hour: 4 if hour < when else 12), dice, 5)


def _tall_step(hours: float, dice: random.Random) -> Iterator[float]:
    when = hours * dice.uniform(0.5, 0.6)
    return _noisy(_by(lambda hour: 2 if hour < when else 16), dice, 5)


def _bursts(hours: float, dice: random.Random) -> Iterator[float]:
    """Ten minutes of every hour."""
    return _by(lambda hour: 60 if hour % 1 < 1 / 6 else 0)


def _irregular_bursts(hours: float, dice: random.Random) -> Iterator[float]:
    while True:
        yield from (0.0 for _ in range(round(dice.expovariate(1 / 45)) + 1))
        yield from (dice.uniform(0.5, 1.5) for _ in range(round(dice.uniform(5, 30))))


def _diurnal(hours: float, dice: random.Random) -> Iterator[float]:
    return _noisy(_by(lambda hour: 10 * (1.05 - math.cos(hour / _DAY_H * 2 * math.pi))), dice, 5)


def _office(hours: float, dice: random.Random) -> Iterator[float]:
    """Nothing at night, all of it from nine to six."""
    return _noisy(_by(lambda hour: 12 if 9 <= (hour + 6) % _DAY_H < 18 else 0), dice, 5)


def _idle_then_busy(hours: float, dice: random.Random) -> Iterator[float]:
    when = hours * dice.uniform(0.5, 0.6)
    return _noisy(_by(lambda hour: 0.2 if hour < when else 10), dice, 5)


def _decaying(hours: float, dice: random.Random) -> Iterator[float]:
    return _noisy(_by(lambda hour: 20 * 0.5 ** (hour / hours * 4) + 1), dice, 5)


def _three_keys(hours: float, dice: random.Random) -> Iterator[float]:
    """One after the other begins, and one of them bursts."""
    starts = sorted(hours * dice.uniform(0, 0.6) for _ in range(3))
    steady = [_noisy(_from(start, 5), dice, 2) for start in starts[:2]]
    bursting = _by(lambda hour: 30 if hour >= starts[2] and hour % 1.5 < 0.25 else 0)
    while True:
        yield sum(next(one) for one in (*steady, bursting))


def _heavy_tailed(hours: float, dice: random.Random) -> Iterator[float]:
    while True:
        yield sum(min(dice.paretovariate(1.4), 200) for _ in range(_poisson(dice, 1))) / 20


def _few_dear(hours: float, dice: random.Random) -> Iterator[float]:
    """A call every quarter of an hour, each a good part of an hour's spend."""
    while True:
        yield dice.uniform(1, 4) if dice.random() < 1 / 15 else 0.0


def _sawtooth(hours: float, dice: random.Random) -> Iterator[float]:
    return _by(lambda hour: 20 * (hour % 3) / 3)


def _batch_job(hours: float, dice: random.Random) -> Iterator[float]:
    """A trickle, and an hour of a batch out of every six."""
    return _noisy(_by(lambda hour: 25 if hour % 6 < 1 else 2), dice, 5)


def _wandering(hours: float, dice: random.Random) -> Iterator[float]:
    level = 0.0
    while True:
        level = max(-1.5, min(1.5, level + dice.gauss(0, 0.05)))
        yield math.exp(level) / 6


def _stop_and_go(hours: float, dice: random.Random) -> Iterator[float]:
    return _noisy(_by(lambda hour: 15 if int(hour / 2) % 2 else 0), dice, 5)


def _runaway(hours: float, dice: random.Random) -> Iterator[float]:
    """Hardly anything, then a loop that doubles every two hours up to forty times as much."""
    when = hours * dice.uniform(0.45, 0.55)
    return _noisy(_by(lambda hour: 0.5 if hour < when else min(20, 0.5 * 2 ** ((hour - when) / 2))), dice, 5)


SHAPES: Final[dict[str, Callable[[float, random.Random], Iterator[float]]]] = {
    "constant": _constant,
    "uneven": _uneven,
    "ramp": _ramp,
    "doubling": _doubling,
    "step": _step,
    "tall step": _tall_step,
    "bursts": _bursts,
    "irregular bursts": _irregular_bursts,
    "diurnal": _diurnal,
    "office hours": _office,
    "idle then busy": _idle_then_busy,
    "decaying": _decaying,
    "three keys": _three_keys,
    "heavy-tailed": _heavy_tailed,
    "few dear calls": _few_dear,
    "sawtooth": _sawtooth,
    "batch job": _batch_job,
    "wandering": _wandering,
    "stop and go": _stop_and_go,
    "runaway": _runaway,
}


# --- Played through the rules -----------------------------------------------------------------------------------------
class Played(NamedTuple):
    """What became of a burn: the share of its limit that was spent at the end, how often its keys were blocked, and of
    the bounds by which that was decided how many held.
    """

    name: str
    share: float
    blocks: int
    bounds: int
    held: int


class _Reports:
    """An account's spend minute by minute, and what is known of it an hour later in pieces of five minutes."""

    def __init__(self, burn: Burn) -> None:
        self._minutes = burn.minutes
        self.until = [0.0]
        self.pieces: list[int] = []

    def minute(self, *, blocked: bool) -> None:
        minute = len(self.until) - 1
        spent = 0.0 if blocked or minute >= len(self._minutes) else self._minutes[minute]
        self.until.append(self.until[-1] + spent)
        if len(self.until) % PIECE == 1:
            self.pieces.append(round((self.until[-1] - self.until[-1 - PIECE]) * PICO))

    def told(self, minute: int, delay: int) -> tuple[int, ...]:
        """The newest pieces that are known, as many as the rules look back."""
        count = PIECES * DELAYS_BACK
        known = self.pieces[: max(0, minute - delay) // PIECE][-count:]
        return (*(0 for _ in range(count - len(known))), *known)


def play(burn: Burn, *, delay: int = 60, look: int = 5, effect: int = 1) -> Played:
    """Minutes throughout: how late usage is reported, how often it is looked at, how long until a block holds.

    Only accounts near their limits are looked at, by the same rule as in the database.
    """
    reports, pauses, changes = _Reports(burn), list[Pause](), list[tuple[int, bool]]()
    limit, blocked, bounds = round(burn.limit * PICO), False, list[tuple[int, float]]()
    for minute in range(1, len(burn.minutes) + 2 * delay):
        while changes and changes[0][0] < minute:
            blocked = changes.pop(0)[1]
        reports.minute(blocked=blocked)
        if minute % look:
            continue
        spent = reports.until[max(0, minute - delay)]
        recent = spent - reports.until[max(0, minute - 3 * delay)]
        if spent < burn.limit / 2 and spent + 15 * recent < burn.limit:
            continue
        until = _EPOCH + _MINUTE * (max(0, minute - delay) // PIECE * PIECE)
        reported = Reported(reports.told(minute, delay), PIECE * _MINUTE, until)
        feed = Feed(reported, delay * _MINUTE, (2 * look + effect) * _MINUTE)
        now = _EPOCH + _MINUTE * minute
        decision = decide(Situation(now, limit, round(spent * PICO), (feed,), tuple(pauses)))
        if not (pauses and pauses[-1].end is None):
            bounds.append((minute + 2 * look + effect, decision.most_pico / PICO))
        holds = now + effect * _MINUTE
        if decision.verdict is Verdict.BLOCK and not (pauses and pauses[-1].end is None):
            pauses.append(Pause(holds, None))
            changes.append((minute + effect, True))
        elif decision.verdict is Verdict.UNBLOCK:
            pauses[-1] = pauses[-1]._replace(end=holds)
            changes.append((minute + effect, False))
    held = sum(reports.until[min(at, len(reports.until) - 1)] <= most * (1 + 1e-9) for at, most in bounds)
    return Played(burn.name, reports.until[-1] / burn.limit, len(pauses), len(bounds), held)
