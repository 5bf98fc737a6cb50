"""Counters and histograms as one process keeps them: plain numbers in dictionaries, a fraction of a microsecond each.

They are told to whoever shows them as plain values; nothing here knows how.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

Labels = tuple[str, ...]
# Samples of a process by the name of their family: labels, and a number (or a histogram's counts and its sum).
Told = dict[str, list[tuple[Labels, list[float]]]]

# Of one family in one process. Whatever is beyond is counted together: strangers' words fill no memory here or there.
MOST_LABELLED: Final = 500
OTHER: Final = "other"


class Counter:
    """Used by the event loop alone."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[Labels, int] = {}

    def add(self, labels: Labels, amount: int = 1) -> None:
        values = self._values
        if labels not in values and len(values) >= MOST_LABELLED:
            labels = (OTHER,) * len(labels)
        values[labels] = values.get(labels, 0) + amount

    def told(self, scale: float = 1.0) -> list[tuple[Labels, list[float]]]:
        return [(labels, [value * scale]) for labels, value in self._values.items()]


class Histogram:
    """As `Counter`, of seconds; a value of a bound is below it."""

    __slots__ = ("_bounds", "_values")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        # Counts between bounds, and the sum of all values at the end.
        self._values: dict[Labels, list[float]] = {}

    def observe(self, labels: Labels, value: float) -> None:
        found = self._values.get(labels)
        if found is None:
            if len(self._values) >= MOST_LABELLED:
                labels = (OTHER,) * len(labels)
            found = self._values.setdefault(labels, [0.0] * (len(self._bounds) + 2))
        found[bisect_left(self._bounds, value)] += 1
        found[-1] += value

    def told(self) -> list[tuple[Labels, list[float]]]:
        return [(labels, list(values)) for labels, values in self._values.items()]
