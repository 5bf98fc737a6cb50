"""What a chart says, free of any drawing library: a sentence, buckets along the bottom, and a stack of series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

SLOTS: Final = 8
OTHER: Final = 0


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the stack. `slot` is 1-8, or 0 for "everything else"; `values` has one amount per bucket."""

    name: str
    slot: int
    values: tuple[Decimal, ...]
    href: str = ""


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """A stacked bar chart over time. `caption` states the finding in a sentence; `incomplete` marks the last bucket as
    still open (drawn hatched)."""

    key: str
    caption: str
    currency: str
    buckets: tuple[date, ...]
    bucket_names: tuple[str, ...]
    series: tuple[Series, ...]
    incomplete: bool = False

    @property
    def totals(self) -> tuple[Decimal, ...]:
        return tuple(sum(column, Decimal(0)) for column in zip(*(one.values for one in self.series), strict=True))

    @property
    def rows(self) -> list[tuple[str, list[Decimal], Decimal]]:
        """The same figures as a table: bucket, one amount per series, total."""
        return [
            (name, [one.values[index] for one in self.series], self.totals[index])
            for index, name in enumerate(self.bucket_names)
        ]

    @property
    def anything(self) -> bool:
        return any(value for one in self.series for value in one.values)


def slots(ids: Sequence[int]) -> dict[int, int]:
    """A colour for each id: its own slot (id modulo eight) where free, else the next free one, the largest first.

    So a team keeps its colour from page to page and month to month unless a larger one stands on it.
    """
    taken: dict[int, int] = {}
    used: set[int] = set()
    for one in ids[:SLOTS]:
        slot = next(slot for slot in _from(one % SLOTS) if slot not in used)
        used.add(slot)
        taken[one] = slot
    return taken


def _from(first: int) -> Iterable[int]:
    return ((first + step) % SLOTS + 1 for step in range(SLOTS))
