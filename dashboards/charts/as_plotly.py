"""Charts and plots as plain dicts for the vendored Plotly. The one place where Decimal becomes float, last of all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dashboards.charts.plot import Axis, Curve, Look, PlotSpec
from dashboards.charts.spec import ChartSpec
from dashboards.templatetags.figures import money


def as_plotly(spec: ChartSpec) -> dict[str, Any]:
    """`traces` in Plotly's words, but for colours: those are tokens the browser resolves (`slot`), theme by theme."""
    last = len(spec.buckets) - 1
    traces = [
        {
            "type": "bar",
            "name": one.name,
            "slot": one.slot,
            "href": one.href,
            "x": list(spec.bucket_names),
            "y": [float(value) for value in one.values],
            "text": [money(value, spec.currency) for value in one.values],
            "hatched": [spec.incomplete and index == last for index in range(len(spec.buckets))],
        }
        for one in spec.series
    ]
    return {"key": spec.key, "currency": spec.currency, "traces": traces}


def as_float(amount: Decimal) -> float:
    """Money as a place along an axis."""
    return float(amount)


def plotted(spec: PlotSpec) -> dict[str, Any]:
    """The same of a plot."""
    return {
        "key": spec.key,
        "element": spec.element,
        "across": _axis(spec.across),
        "up": _axis(spec.up),
        "traces": [_curve(one) for one in spec.curves],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "title": axis.title, "span": list(axis.span), "prefix": axis.prefix, "suffix": axis.suffix,
        "names": list(axis.names),
    }  # fmt: skip


def _curve(one: Curve) -> dict[str, Any]:
    """A band is a closed line, filled."""
    xs, ys = list(one.xs), list(one.ys)
    if one.look is Look.BAND:
        xs, ys = xs + xs[::-1], ys + list(one.lows)[::-1]
    return {
        "look": one.look.value,
        "name": one.name,
        "slot": one.slot,
        "x": xs,
        "y": ys,
        "text": list(one.texts),
        "labels": list(one.labels),
        "above": [high - value for high, value in zip(one.highs, one.ys, strict=False)],
        "below": [value - low for low, value in zip(one.lows, one.ys, strict=False)],
    }
