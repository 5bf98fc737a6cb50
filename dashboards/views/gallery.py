"""The components on one page, each in its states: what a new page is built from."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboards.charts.as_plotly import as_plotly
from dashboards.charts.as_svg import as_svg, spark
from dashboards.charts.plot import Axis, Curve, Look, PlotSpec
from dashboards.charts.spec import ChartSpec, Series
from routing.recommend.types import Said

_DAYS: Final = tuple(date(2026, 10, 1) + timedelta(days=index) for index in range(14))
_ICONS: Final = (
    "overview",
    "spend",
    "charges",
    "unpriced",
    "rules",
    "sources",
    "prices",
    "people",
    "keys",
    "upstreams",
    "connect",
    "jobs",
    "audit",
    "settings",
    "menu",
    "close",
    "chevron",
    "left",
    "right",
    "up",
    "down",
    "sun",
    "moon",
    "system",
    "plus",
    "download",
    "search",
    "info",
    "warning",
    "check",
    "lock",
    "inbox",
    "filter",
    "calendar",
    "keyboard",
    "logout",
    "docs",
    "recommendations",
    "routing",
    "task_types",
    "savings",
    "tiers",
)
_STATES: Final = (
    "attributed",
    "unattributed",
    "unpriced",
    "estimated",
    "settled",
    "partial",
    "queued",
    "running",
    "stopped",
    "done",
    "failed",
    "revoked",
)


_BOUNDS: Final = (
    (Said(0.006, -0.013, 0.028), "good"),
    (Said(-0.025, -0.058, 0.001), ""),
    (Said(-0.089, -0.139, -0.057), "bad"),
)


def _plot() -> PlotSpec:
    """Every look that a curve may have."""
    xs = tuple(range(10, 210, 10))
    means = tuple(2 - 40 / x for x in xs)
    return PlotSpec(
        key="gallery-plot",
        caption="After 200 pairs, the candidate is +1.8 points from the incumbent, between \u22122.2 and +5.8.",
        across=Axis("Pairs", (0, 210)),
        up=Axis("Points", (-20, 20)),
        curves=(
            Curve(
                "Bounds", 1, Look.BAND, xs, tuple(mean + 800 / x for mean, x in zip(means, xs, strict=True)),
                lows=tuple(mean - 800 / x for mean, x in zip(means, xs, strict=True)),
            ),
            Curve("Difference", 1, Look.LINE, xs, means, texts=tuple(f"After {x}" for x in xs)),
            Curve("Margin", 0, Look.THRESHOLD, (0, 210), (-5, -5)),
            Curve("Seen once", 2, Look.DOTS, (60, 120), (12, 9), texts=("a", "b"), labels=("a", "b")),
            Curve("With its interval", 3, Look.SPANS, (180,), (-10,), lows=(-14,), highs=(-7,), texts=("c",)),
        ),
        head=("Pairs", "Points"),
        rows=tuple((str(x), f"{mean:.1f}") for x, mean in zip(xs, means, strict=True)),
    )  # fmt: skip


@require_safe
@login_required
def gallery(request: HttpRequest) -> HttpResponse:
    names = ("Search", "Chat", "Platform", "Growth", "Research", "Support", "Finance", "Mobile", "Everything else")
    spec = ChartSpec(
        key="gallery",
        caption="Search spent $1,183.00, 25.9 % of 1–14 Oct 2026. The highest day was 14 Oct 2026 with $423.00.",
        currency="USD",
        buckets=_DAYS,
        bucket_names=tuple(f"{day.day} {day:%b %Y}" for day in _DAYS),
        series=tuple(
            Series(
                name, (place + 1) % 9, tuple(Decimal(20 + (place * 7 + index * 5) % 40 + index) for index in range(14))
            )
            for place, name in enumerate(names)
        ),
        incomplete=True,
    )
    context = {
        "spec": spec,
        "drawing": as_svg(spec),
        "data": {**as_plotly(spec), "element": "chart-gallery"},
        "spark": spark(spec.totals),
        "plot": _plot(),
        "bounds": _BOUNDS,
        "icons": _ICONS,
        "states": _STATES,
        "amounts": [Decimal("1234567.891"), Decimal("-42.5"), Decimal("0.000123"), Decimal(0), None],
        "pairs": [
            (Decimal(1200), Decimal(1000)),
            (Decimal(800), Decimal(1000)),
            (Decimal(10), Decimal(0)),
            (Decimal("1.5"), Decimal("0.4")),
            (Decimal(5), Decimal(5)),
            (Decimal(99000), Decimal(1000)),
        ],
    }
    return render(request, "pages/gallery.html", context)
