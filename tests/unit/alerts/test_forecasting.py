"""Forecasts: what a period will have come to, told so that nobody is misled by one day, by a unit or by an order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.alerts.rules.forecasting import Forecast, Past, crossing, forecast, forecasts

DOLLAR = 10**12
NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)  # a Thursday
MIDNIGHT = datetime(2026, 11, 19, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)

days = st.lists(st.integers(0, 5_000 * DOLLAR), max_size=70)
amounts = st.integers(0, 100_000 * DOLLAR)


def steady(count: int) -> list[int]:
    """Every day a little different, a weekday's worth on weekdays and a tenth at weekends; yesterday is a Wednesday."""
    return [(100 if (2 - (count - 1 - n)) % 7 < 5 else 10) * DOLLAR * (96 + (n * 37) % 9) // 100 for n in range(count)]


def a_month(daily: list[int], *, spent: int = 0, now: datetime = MIDNIGHT, today: int = 0) -> Forecast:
    return forecast(Past(daily, today), spent=spent, now=now, until=MONTH_END)


def test_steady_weeks_go_on_as_they_were() -> None:
    found = a_month(steady(70), spent=1_000 * DOLLAR)
    # From Thursday the 19th to the 30th: eight weekdays and four days of weekends.
    assert found.point / DOLLAR == pytest.approx(1_000 + 8 * 100 + 4 * 10, rel=0.02)
    assert found.high - found.low < 400 * DOLLAR
    assert found.error is not None
    assert found.error < 0.1


def test_half_a_day_counts_by_its_hours() -> None:
    office = [0.0] * 9 + [1.0] * 8 + [0.0] * 7
    past, end = Past(steady(70), today=60 * DOLLAR, hours=office), MIDNIGHT + timedelta(days=1)
    evening = forecast(past, spent=0, now=MIDNIGHT + timedelta(hours=18), until=end)
    assert evening.point == evening.high == 0
    at_noon = forecast(past, spent=60 * DOLLAR, now=NOON, until=end)
    assert at_noon.point / DOLLAR == pytest.approx(60 + 5 / 8 * (60 + 5 / 8 * 100), rel=0.05)


def test_growth_is_carried_on() -> None:
    growing = [round(100 * DOLLAR * 1.15 ** (n / 7)) for n in range(70)]
    found = a_month(growing)
    assert found.point > 12 * growing[-1]


def test_dear_month_ends_are_expected_again_once_two_were_seen() -> None:
    # From the 28th of August to the 18th of November; the last two days of September and October are dear.
    daily = [100 * DOLLAR] * 83
    once = [*daily]
    once[63] = once[64] = 500 * DOLLAR
    twice = [*once]
    twice[32] = twice[33] = 500 * DOLLAR
    assert a_month(once).point == pytest.approx(1_200 * DOLLAR, rel=0.05)
    assert a_month(twice).point == pytest.approx(2_000 * DOLLAR, rel=0.05)


def test_a_new_level_is_believed_on_its_second_day() -> None:
    before = steady(56)
    once, twice, thrice = (a_month([*before, *[400 * DOLLAR] * n]).point for n in (1, 2, 4))
    assert once < 1.6 * a_month(before).point
    assert once < twice < thrice


def test_nothing_was_spent() -> None:
    found = a_month([0] * 30, spent=5)
    assert (found.low, found.point, found.high, found.error) == (5, 5, 5, None)


def test_nobody_spent_ever() -> None:
    found = a_month([])
    assert (found.low, found.point, found.high) == (0, 0, 0)
    assert "Fewer than 7 days" in found.method


def test_a_first_day_is_an_answer_with_a_wide_interval() -> None:
    found = a_month([100 * DOLLAR])
    assert found.point > 0
    assert found.high - found.low > found.point // 2


def test_when_the_limit_is_reached() -> None:
    found = a_month([100 * DOLLAR] * 60, spent=1_800 * DOLLAR)
    when = crossing(found, 2_050 * DOLLAR)
    assert when.at is not None
    assert when.at.date().isoformat() == "2026-11-21"
    assert when.earliest is not None
    assert when.earliest <= when.at
    assert when.latest is None or when.latest >= when.at
    assert crossing(found, 1_800 * DOLLAR).at == MIDNIGHT
    assert crossing(found, 100_000 * DOLLAR) == (None, None, None)


def test_a_period_that_is_over_has_no_forecast() -> None:
    with pytest.raises(ValueError, match="over"):
        forecast(Past([]), spent=0, now=MONTH_END, until=MONTH_END)


@settings(max_examples=60, deadline=None)
@given(days, amounts, amounts)
def test_never_less_than_was_spent_and_inside_the_interval(daily: list[int], today: int, spent: int) -> None:
    found = a_month(daily, spent=spent, now=NOON, today=today)
    assert spent <= found.low <= found.point <= found.high
    low, point, high = found.course.tolist()
    assert [sorted(row) for row in (low, point, high)] == [low, point, high]
    assert all(a <= b <= c for a, b, c in zip(low, point, high, strict=True))


@settings(max_examples=40, deadline=None)
@given(days, amounts, st.integers(2, 1_000))
def test_another_unit_is_the_same_forecast(daily: list[int], spent: int, times: int) -> None:
    one = a_month(daily, spent=spent)
    many = a_month([day * times for day in daily], spent=spent * times)
    for a, b in ((one.low, many.low), (one.point, many.point), (one.high, many.high)):
        assert b == pytest.approx(a * times, rel=1e-6, abs=2 * times)


@settings(max_examples=40, deadline=None)
@given(days, st.integers(0, 500 * DOLLAR))
def test_who_never_spent_as_little_as_another_is_not_forecast_less(daily: list[int], more: int) -> None:
    dearer = [day + more + max(daily, default=0) for day in daily]
    assert a_month(dearer).point >= a_month(daily).point


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 55), st.integers(0, 10_000))
def test_one_day_changes_little(place: int, times: int) -> None:
    usual = steady(56)
    odd = [*usual]
    odd[place] = usual[place] * times
    assert a_month(odd).point == pytest.approx(a_month(usual).point, rel=0.3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(days, amounts), max_size=6))
def test_the_order_of_spenders_and_who_else_is_asked_changes_nothing(rows: list[tuple[list[int], int]]) -> None:
    def figures(some: list[tuple[list[int], int]]) -> list[tuple[int, int, int]]:
        pasts, spent = [Past(daily) for daily, _ in some], [amount for _, amount in some]
        found = forecasts(pasts, spent=spent, now=NOON, until=MONTH_END)
        return [(one.low, one.point, one.high) for one in found]

    together = figures(rows)
    assert figures(rows[::-1]) == together[::-1]
    assert [figures([row])[0] for row in rows] == together
