"""Periods are half-open: what ends a period begins the next."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.periods import EPOCH, DayRange, day_number, day_start, month_start, months, months_on, next_month

days = st.dates(date(1971, 1, 1), date(2200, 1, 1))


@given(days, st.integers(0, 1_500))
def test_a_period_meets_the_one_before_it(start: date, length: int) -> None:
    period = DayRange(start, start + timedelta(days=length))
    before = period.previous()
    assert before.days == period.days == length
    assert before.end == period.start
    assert period.end not in period
    assert before.instants()[1] == period.instants()[0] == day_start(start)
    assert (start in period) is bool(length)


@given(days, st.integers(1, 1_500))
def test_months_tile_the_period(start: date, length: int) -> None:
    period = DayRange(start, start + timedelta(days=length))
    found = months(period)
    assert found[0] == month_start(start)
    assert all(next_month(month) == after for month, after in pairwise(found))
    assert found[-1] < period.end <= next_month(found[-1])


def test_a_period_does_not_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        DayRange(date(2026, 2, 1), date(2026, 1, 31))
    assert months(DayRange(date(2026, 1, 5), date(2026, 1, 5))) == []


def test_days_are_utc_and_counted_from_the_epoch() -> None:
    assert day_start(date(2024, 2, 29)) == datetime(2024, 2, 29, tzinfo=UTC)
    assert day_number(EPOCH) == 0
    assert day_number(date(1970, 1, 11)) == 10
    assert next_month(date(2025, 12, 31)) == date(2026, 1, 1)


@given(days, st.integers(-500, 500))
def test_months_on_and_back_is_where_one_started(day: date, count: int) -> None:
    there = months_on(day, count)
    assert there.day == 1
    assert months_on(there, -count) == month_start(day)
    assert months_on(day, 1) == next_month(month_start(day))
