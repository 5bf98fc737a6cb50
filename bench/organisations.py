"""Spend of invented organizations by the hour, as eleven kinds of spenders make it. Seeded; nothing of it is measured.

What is in every one: the hours and weekdays of its kind, a level that wanders (a random walk in logarithms, drawn back
to where it was), noise from day to day, and two public holidays a quarter. What only its kind has is named in KINDS.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FIRST_DAY: Final = date(2026, 1, 5)  # a Monday
KINDS: Final = {
    "office": "a team that works on weekdays",
    "service": "a product used around the clock, a little less at weekends",
    "batch": "a job of one night a week beside a small daily one",
    "person": "somebody who uses it on some days, much on few",
    "growing": "2 to 9 % more every week, by weekdays",
    "shrinking": "3 to 10 % less every week",
    "shifting": "another level, a third to three times as much, once or twice",
    "new": "nothing until some day, then a service that settles within a week",
    "spiky": "a service with a day of 5 to 20 times as much now and then",
    "agent": "runs that differ widely from day to day, weekends too",
    "closing": "a team with twice to five times as much on the last two days of a month",
}
_OFFICE: Final = np.array([1.0, 1.1, 1.1, 1.05, 0.85, 0.06, 0.04])
_SERVICE: Final = np.array([1.0, 1.02, 1.03, 1.02, 1.0, 0.8, 0.75])
_EVEN: Final = np.ones(7)


@dataclass(frozen=True, slots=True)
class Organisation:
    """`hourly` is dollars by (series, day, hour); a series before it began is nothing. `kinds` names each."""

    hourly: Floats
    kinds: tuple[str, ...]

    @property
    def daily(self) -> Floats:
        return np.asarray(self.hourly.sum(axis=2))


def organisation(seed: int, *, series: int, days: int) -> Organisation:
    """`series` spenders, of each kind as many, over `days` from FIRST_DAY."""
    rng = np.random.default_rng(seed)
    kinds = tuple(list(KINDS)[n % len(KINDS)] for n in range(series))
    holidays = rng.choice(days, size=max(1, days // 45), replace=False)
    daily = np.stack([_daily(rng, kind, days, holidays) for kind in kinds])
    return Organisation(_by_hour(rng, daily, kinds), kinds)


def _daily(rng: np.random.Generator, kind: str, days: int, holidays: NDArray[np.int64]) -> Floats:
    day = np.arange(days)
    size = float(rng.lognormal(3.0, 1.3))
    weekdays = {"service": _SERVICE, "new": _SERVICE, "spiky": _SERVICE, "agent": _EVEN, "shrinking": _SERVICE}
    shape = weekdays.get(kind, _OFFICE) * rng.lognormal(0, 0.08, 7)
    base = size * shape[day % 7] * np.exp(_wander(rng, days, float(rng.uniform(0.02, 0.08))))
    noise = float(rng.uniform(0.08, 0.35))
    if kind in ("office", "closing", "growing"):
        base[holidays] *= 0.1
    if kind == "batch":
        base = size * 0.1 * np.ones(days) + size * 5 * (day % 7 == rng.integers(7))
    elif kind == "person":
        base = base * (rng.random(days) < rng.uniform(0.3, 0.9))
        noise = float(rng.uniform(0.6, 1.1))
    elif kind == "growing":
        base = base * np.exp(np.log1p(rng.uniform(0.03, 0.15)) * day / 7 * 0.6)
    elif kind == "shrinking":
        base = base * np.exp(-np.log1p(rng.uniform(0.03, 0.1)) * day / 7)
    elif kind == "shifting":
        for at in rng.integers(20, days, size=rng.integers(1, 3)):
            base[at:] *= np.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 1.1))
    elif kind == "new":
        began = int(rng.integers(days // 4, max(days // 4 + 1, days - 5)))
        base = base * np.clip((day - began + 1) / 5, 0, 1)
    elif kind == "spiky":
        base = base * np.where(rng.random(days) < 0.02, rng.uniform(5, 20, days), 1)
    elif kind == "agent":
        noise = float(rng.uniform(0.7, 1.2))
    elif kind == "closing":
        dates = np.datetime64(FIRST_DAY) + day
        last = (dates + 2).astype("datetime64[M]") != dates.astype("datetime64[M]")
        base = base * np.where(last, rng.uniform(2, 5), 1)
    return np.asarray(base * rng.lognormal(-(noise**2) / 2, noise, days))


def _wander(rng: np.random.Generator, days: int, step: float) -> Floats:
    found = np.zeros(days)
    for day in range(1, days):
        found[day] = 0.985 * found[day - 1] + rng.normal(0, step)
    return found


def _by_hour(rng: np.random.Generator, daily: Floats, kinds: tuple[str, ...]) -> Floats:
    """Each day's spend over its hours: office hours, the night, or all around the clock, uneven as calls are."""
    hour = np.arange(24)
    office = np.exp(-(((hour - 13.5) / 3.6) ** 2)) + 0.01
    round_the_clock = 1 + 0.4 * np.sin((hour - 9) * np.pi / 12)
    night = np.where((hour >= 1) & (hour < 4), 1.0, 0.02)
    shapes = {"batch": night, "service": round_the_clock, "new": round_the_clock, "spiky": round_the_clock}
    weight = np.stack([shapes.get(kind, office) for kind in kinds])[:, None, :]
    weight = weight * rng.lognormal(0, 0.5, (*daily.shape, 24))
    return np.asarray(daily[:, :, None] * weight / weight.sum(axis=2, keepdims=True))
