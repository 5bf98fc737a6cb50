"""Charts as values: colours that stay, a stack that adds up, and the two ways it is drawn."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import plotly.graph_objects as go
from hypothesis import given
from hypothesis import strategies as st

from dashboards.charts.as_plotly import as_plotly
from dashboards.charts.as_svg import HEIGHT, as_svg, spark
from dashboards.charts.spec import ChartSpec, Series, slots
from dashboards.panels.trend import bucket_start, buckets
from finops.core.periods import DayRange
from finops.core.sheets import guarded
from finops.ledger.types import Grain

D = Decimal


def spec(*columns: tuple[int, ...]) -> ChartSpec:
    start = date(2026, 10, 1)
    many = len(columns[0])
    return ChartSpec(
        key="t",
        caption="A finding.",
        currency="USD",
        buckets=tuple(start + timedelta(days=n) for n in range(many)),
        bucket_names=tuple(f"day {n}" for n in range(many)),
        series=tuple(Series(f"s{n}", n + 1, tuple(map(D, column))) for n, column in enumerate(columns)),
        incomplete=True,
    )


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8, unique=True))
def test_eight_groups_have_eight_colours_and_the_largest_keeps_its_own(ids: list[int]) -> None:
    found = slots(ids)
    assert len(set(found.values())) == len(ids)
    assert found[ids[0]] == ids[0] % 8 + 1
    assert set(found.values()) <= set(range(1, 9))


def test_the_table_behind_a_chart_has_the_same_figures() -> None:
    found = spec((1, 2), (3, 4))
    assert found.rows == [("day 0", [D(1), D(3)], D(4)), ("day 1", [D(2), D(4)], D(6))]


def test_the_browsers_chart_is_one_plotly_accepts() -> None:
    data = as_plotly(spec((1, 2), (3, 4)))
    json.dumps(data)
    for trace in data["traces"]:
        go.Bar(x=trace["x"], y=trace["y"], name=trace["name"])
    assert data["traces"][0]["hatched"] == [False, True]


@given(st.lists(st.integers(-50, 10**6), min_size=1, max_size=40))
def test_the_drawing_stays_inside_its_box(column: list[int]) -> None:
    drawing = as_svg(spec(tuple(column), tuple(abs(value) for value in column)))
    for bar in drawing.bars:
        assert D(bar.y) >= D("-0.01")
        assert D(bar.y) + D(bar.height) <= HEIGHT + D("0.02")


def test_a_spark_is_a_path_and_nothing_for_one_value() -> None:
    assert spark((D(1),)) == ""
    ET.fromstring(f'<path d="{spark((D(1), D(0), D(3)))}"/>')  # noqa: S314  our own text


@given(
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.integers(1, 400),
    st.sampled_from([Grain.DAY, Grain.WEEK, Grain.MONTH]),
)
def test_every_day_of_a_period_falls_into_one_of_its_buckets(first: date, many: int, grain: Grain) -> None:
    period = DayRange(first, first + timedelta(days=many))
    starts = buckets(period, grain)
    assert starts == sorted(set(starts))
    assert {bucket_start(first + timedelta(days=n), grain) for n in range(many)} == set(starts)


def test_text_a_spreadsheet_would_run_is_made_plain() -> None:
    for text in ("=1+1", "+cmd", "-2", "@sum", "\tx", " =1"):
        assert guarded(text).startswith("'")
    assert guarded("gpt-4o") == "gpt-4o"
