"""A ChartSpec as the plain dict the vendored Plotly draws. The one place where Decimal becomes float, last of all."""

from __future__ import annotations

from typing import Any

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
