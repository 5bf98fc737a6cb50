"""Plots of two measures, and measures as text: nothing is lost or flattered on the way to a picture."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.charts.as_plotly import as_float, plotted
from dashboards.charts.as_svg import HEIGHT, WIDTH, sketched
from dashboards.charts.plot import Axis, Curve, Look, PlotSpec, spanning
from dashboards.routing.plots import chances, frontier, guessed_daily, reliability
from dashboards.templatetags import measures
from routing.classify.selectors import SeenDay
from routing.recommend.types import Point, Said


def spec(*curves: Curve) -> PlotSpec:
    return PlotSpec("p", "What is found.", Axis("x", (0.0, 10.0)), Axis("y", (-1.0, 1.0)), curves, ("x", "y"), ())


BAND = Curve("band", 1, Look.BAND, (1.0, 2.0, 3.0), (0.5, 0.4, 0.3), lows=(-0.5, -0.4, -0.3))
DOTS = Curve("dots", 2, Look.SPANS, (5.0,), (0.0,), lows=(-0.5,), highs=(0.25,), texts=("five",))


def test_a_band_is_a_closed_line_and_spans_have_their_bars() -> None:
    band, dots = plotted(spec(BAND, DOTS))["traces"]
    assert band["x"] == [1.0, 2.0, 3.0, 3.0, 2.0, 1.0]
    assert band["y"] == [0.5, 0.4, 0.3, -0.3, -0.4, -0.5]
    assert (dots["above"], dots["below"], dots["text"]) == ([0.25], [0.5], ["five"])
    json.dumps(plotted(spec(BAND, DOTS)), allow_nan=False)
    go.Scatter(x=band["x"], y=band["y"], fill="toself")


def test_the_drawing_puts_points_where_they_belong() -> None:
    band, dots = sketched(spec(BAND, DOTS)).strokes
    assert band.path.startswith(f"M{WIDTH / 10:.1f},{HEIGHT / 4:.1f} L")
    assert band.path.endswith(" Z")
    assert dots.path.startswith(f"M{WIDTH / 2:.1f},{HEIGHT / 2:.1f} L{WIDTH / 2:.1f},{HEIGHT / 2:.1f}")
    assert f"M{WIDTH / 2:.1f},{HEIGHT * 0.75:.1f} L{WIDTH / 2:.1f},{HEIGHT * 0.375:.1f}" in dots.path


@given(st.lists(st.floats(-1e6, 1e6), max_size=20))
def test_a_span_holds_every_value(values: list[float]) -> None:
    low, high = spanning(values)
    assert low < high
    assert all(low <= value <= high for value in values)


def test_a_span_ends_where_the_measure_does() -> None:
    assert spanning([-100.0, 50.0], least=-100.0, most=100.0)[0] == -100.0
    assert spanning([0.0, 0.0], least=0.0, most=0.0) == (0.0, 1.0)


def point(model: str, quality: float, cost: float | None) -> Point:
    return Point(model=model, tasks=100, quality=quality, cost=cost)


def test_the_frontier_names_few_of_many_and_tells_all_in_its_table() -> None:
    every = [point(f"m{number}", 0.5 + number / 100, 0.01 * number + 0.01) for number in range(12)]
    every.append(point("unpriced", 0.9, None))
    found = frontier(every, ["m0"], task_type="triage", incumbent="m11", candidate="m3")
    assert found is not None
    labels = {label for curve in found.curves for label in curve.labels if label}
    assert labels == {"m0", "m3", "m11"}
    assert len(found.rows) == 13
    assert ("unpriced", "90.0", "n/a", "100", "no") in found.rows
    assert frontier(every[:1], ["m0"], task_type="triage", incumbent="m0") is None


def test_chances_of_each_model_have_a_curve_the_light_one_first() -> None:
    bins = [{"lower": 0.9, "upper": 1.0, "number": 4, "chance": 0.95, "right": 1.0}]
    said = [{"model": name, "is_off": name == "b", "bins": bins} for name in ("a", "b", "z")]
    found = chances([*said, {"model": "none", "is_off": False, "bins": []}], "z")
    assert found is not None
    assert [curve.name for curve in found.curves] == ["As foreseen", "z", "a", "b"]
    assert found.curves[1].highs == (100.0,)
    assert "at b is clearly not what was foreseen" in found.caption
    assert [row[0] for row in found.rows] == ["z", "a", "b"]
    assert chances([], "z") is None


def test_days_without_a_named_call_are_no_share() -> None:
    days = [SeenDay(date(2026, 10, 1), 10, 8, 6), SeenDay(date(2026, 10, 2), 5, 0, 0)]
    found = guessed_daily(days, 0.9)
    assert found is not None
    assert found.curves[1].ys == (75.0,)
    assert found.curves[0].ys == (90.0, 90.0)
    assert "75" in found.caption
    assert guessed_daily(days[1:], 0.9) is None


def test_reliability_has_no_bar_beyond_what_can_be() -> None:
    bins: list[dict[str, Any]] = [
        {"lower": 0.8, "upper": 0.9, "number": 4, "chance": 0.85, "right": 0.75},
        {"lower": 0.9, "upper": 1.0, "number": 0, "chance": 0.0, "right": 0.0},
    ]
    found = reliability(bins, 0.1)
    assert found is not None
    spans = found.curves[1]
    assert (spans.highs, len(spans.xs)) == ((100.0,), 1)
    assert spans.lows[0] == pytest.approx(75 - 2 * 100 * (0.75 * 0.25 / 4) ** 0.5)
    assert reliability([bins[1]], 0.1) is None


@pytest.mark.parametrize(
    ("dressed", "said"),
    [
        (measures.points(0.0123), "+1.2"),
        (measures.points(-0.004), "\u22120.4"),
        (measures.points(-0.0001), "0.0"),
        (measures.points(None), "n/a"),
        (measures.score(0.8734), "87.3"),
        (measures.score(""), "n/a"),
        (measures.between(Said(0.0, -3.0, 2.0)), "\u2212100.0 to +100.0"),
        (measures.between(Said(0.0)), ""),
        (measures.between(None), ""),
        (measures.part(0.056), "5.6\u202f%"),
        (measures.each(0.00124), "$0.00124"),
        (measures.each(0.0000001), "< $0.00001"),
        (measures.each(12.5), "$12.50000"),
        (measures.each(0.0), "$0.00000"),
        (measures.times(0.284), "×\u202f0.28"),
        (measures.times_between(Said(0.3, 0.25, 0.35)), "0.25 to 0.35"),
    ],
)
def test_measures_as_text(dressed: str, said: str) -> None:
    assert dressed == said


def test_the_small_bar_is_cut_off_at_its_ends() -> None:
    bar = str(measures.interval_bar(Said(-0.5, None, 0.05), 0.05, "bad"))
    assert 'd="M0.0,6 H62.5"' in bar
    assert 'd="M37.5,0 V12"' in bar
    assert 'd="M0.0,6 h0"' in bar
    assert measures.interval_bar(None) == ""


def test_money_becomes_a_place_at_the_last_step() -> None:
    assert as_float(Decimal("1.25")) == 1.25
