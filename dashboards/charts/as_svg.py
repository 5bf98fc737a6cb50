"""Charts and plots as our own SVG: what a page without JavaScript, and paper, shows. Colours are classes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from dashboards.charts.plot import Curve, Look, PlotSpec, Range
from dashboards.charts.spec import ChartSpec

WIDTH: Final = 1000
HEIGHT: Final = 260


@dataclass(frozen=True, slots=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    slot: int
    title: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Bars and grid lines in a box of WIDTH by HEIGHT; the bottom is zero."""

    bars: tuple[Bar, ...]
    lines: tuple[str, ...]
    width: int = WIDTH
    height: int = HEIGHT


def as_svg(spec: ChartSpec) -> Drawing:
    """Stacks what is above zero; what is below (credits) is left to the table, where it reads better."""
    tallest = max((sum((max(v, Decimal(0)) for v in c), Decimal(0)) for c in _columns(spec)), default=Decimal(0))
    lines = tuple(f"{HEIGHT * step / 4:.1f}" for step in range(5))
    if tallest <= 0:
        return Drawing((), lines)
    pitch = Decimal(WIDTH) / len(spec.buckets)
    bars = []
    for index, column in enumerate(_columns(spec)):
        top = Decimal(HEIGHT)
        for one, value in zip(spec.series, column, strict=True):
            tall = max(value, Decimal(0)) / tallest * HEIGHT
            if tall < Decimal("0.05"):
                continue
            top -= tall
            left, wide = pitch * index + pitch / 8, pitch * 3 / 4
            title = f"{spec.bucket_names[index]}, {one.name}"
            bars.append(Bar(f"{left:.2f}", f"{top:.2f}", f"{wide:.2f}", f"{tall:.2f}", one.slot, title))
    return Drawing(tuple(bars), lines)


@dataclass(frozen=True, slots=True)
class Stroke:
    """A path of a plot; `look` and `slot` name its classes."""

    path: str
    look: str
    slot: int
    title: str


@dataclass(frozen=True, slots=True)
class Sketch:
    """A plot in a box of WIDTH by HEIGHT."""

    strokes: tuple[Stroke, ...]
    lines: tuple[str, ...]
    width: int = WIDTH
    height: int = HEIGHT


def sketched(spec: PlotSpec) -> Sketch:
    """What lies beyond the axes is cut off by the box."""
    strokes = tuple(_stroke(one, spec) for one in spec.curves if one.xs)
    return Sketch(strokes, tuple(f"{HEIGHT * step / 4:.1f}" for step in range(5)))


def _stroke(one: Curve, spec: PlotSpec) -> Stroke:
    def at(x: float, y: float) -> str:
        return f"{_along(x, spec.across.span) * WIDTH:.1f},{(1 - _along(y, spec.up.span)) * HEIGHT:.1f}"

    points = [at(x, y) for x, y in zip(one.xs, one.ys, strict=True)]
    if one.look is Look.BAND:
        back = [at(x, y) for x, y in zip(one.xs, one.lows, strict=True)]
        path = f"M{' L'.join(points + back[::-1])} Z"
    elif one.look in (Look.DOTS, Look.SPANS):
        # A line of no length with a round end is a dot, however the box is stretched.
        path = " ".join(f"M{point} L{point}" for point in points)
        bars = zip(one.xs, one.lows, one.highs, strict=False) if one.look is Look.SPANS else ()
        path += "".join(f" M{at(x, low)} L{at(x, high)}" for x, low, high in bars)
    else:
        path = f"M{' L'.join(points)}"
    return Stroke(path, one.look.value, one.slot, one.name)


def _along(value: float, span: Range) -> float:
    """0 to 1 within the span; a little beyond at most, for a path is no longer than it has to be."""
    return min(max((value - span[0]) / (span[1] - span[0]), -1.0), 2.0)


def spark(values: tuple[Decimal, ...]) -> str:
    """A path through the values in a box of 100 by 24; '' when there are fewer than two."""
    if len(values) < 2:
        return ""
    low, high = min((*values, Decimal(0))), max(values)
    tall = high - low or Decimal(1)
    points = [
        f"{Decimal(100) * index / (len(values) - 1):.1f},{23 - 22 * (value - low) / tall:.1f}"
        for index, value in enumerate(values)
    ]
    return "M" + " L".join(points)


def _columns(spec: ChartSpec) -> list[tuple[Decimal, ...]]:
    return list(zip(*(one.values for one in spec.series), strict=True))
