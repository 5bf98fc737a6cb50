"""What a plot of two measures says, free of any drawing library: a sentence, curves over two axes, and a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

Range: TypeAlias = tuple[float, float]
# Of what an axis spans, left free at both ends.
_AIR: Final = 0.06


class Look(StrEnum):
    """How a curve is drawn. BAND is what lies between `ys` and `lows`; SPANS are dots with a bar from `lows` to
    `highs`; THRESHOLD is a line that others are held against.
    """

    LINE = "line"
    THRESHOLD = "threshold"
    BAND = "band"
    DOTS = "dots"
    SPANS = "spans"


@dataclass(frozen=True, slots=True)
class Curve:
    """`slot` is a colour of the series, 0 for what is beside the point. `texts` are shown on hovering, `labels` always;
    both are empty or one for each point.
    """

    name: str
    slot: int
    look: Look
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """`prefix` and `suffix` stand at its figures; `names` replace them where what is along it has names."""

    title: str
    span: Range
    prefix: str = ""
    suffix: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlotSpec:
    """`caption` states the finding in a sentence; `head` and `rows` are the same figures as a table, dressed."""

    key: str
    caption: str
    across: Axis
    up: Axis
    curves: tuple[Curve, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def element(self) -> str:
        return f"plot-{self.key}"


def spanning(values: Iterable[float], *, least: float | None = None, most: float | None = None) -> Range:
    """From the smallest to the largest with some air; `least` and `most` are where the measure itself ends."""
    found = list(values) or [0.0]
    low, high = min(found), max(found)
    air = (high - low) * _AIR or abs(high) * _AIR or 1.0
    low, high = low - air, high + air
    if least is not None:
        low = max(low, least)
    if most is not None:
        high = min(high, most)
    return (low, high) if high > low else (low, low + 1.0)
