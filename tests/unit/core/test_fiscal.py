"""Fiscal calendars: periods tile the year, years tile time."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.fiscal import MONTHS, RETAIL_445, FiscalCalendar, nearest_monday
from finops.core.periods import DayRange

calendars = st.builds(FiscalCalendar, st.sampled_from([MONTHS, RETAIL_445]), st.integers(1, 12))
years = st.integers(3, 9000)
days = st.dates(date(3, 1, 1), date(9000, 1, 1))


@given(calendars, years)
def test_periods_tile_the_year_and_years_tile_time(calendar: FiscalCalendar, year: int) -> None:
    periods = calendar.periods(year)
    assert [period.number for period in periods] == list(range(1, 13))
    assert periods[0].days.start == calendar.year(year).start
    for before, after in pairwise(periods):
        assert before.days.end == after.days.start
    assert all(period.days.days >= 28 for period in periods)
    assert periods[-1].days.end == calendar.year(year).end == calendar.year(year + 1).start


@given(calendars, days)
def test_a_day_is_in_exactly_the_period_that_says_so(calendar: FiscalCalendar, day: date) -> None:
    period = calendar.period_of(day)
    assert day in period.days
    assert period.year == calendar.year_of(day)
    assert day in calendar.year(period.year)
    assert day in calendar.quarter_of(day)


@given(calendars, years)
def test_quarters_tile_the_year(calendar: FiscalCalendar, year: int) -> None:
    quarters = [calendar.quarter(year, number) for number in (1, 2, 3, 4)]
    assert quarters[0].start == calendar.year(year).start
    assert quarters[3].end == calendar.year(year).end
    for before, after in pairwise(quarters):
        assert before.end == after.start


@given(st.integers(1, 12), years)
def test_445_is_whole_weeks_of_4_4_5_from_a_monday_and_the_extra_week_is_last(month: int, year: int) -> None:
    calendar = FiscalCalendar(RETAIL_445, month)
    weeks = [period.days.days // 7 for period in calendar.periods(year)]
    assert all(period.days.days % 7 == 0 for period in calendar.periods(year))
    assert calendar.year(year).start.weekday() == 0
    assert weeks[:11] == [4, 4, 5] * 3 + [4, 4]
    assert weeks[11] in (5, 6)


@given(days)
def test_the_nearest_monday_is_at_most_three_days_off(day: date) -> None:
    monday = nearest_monday(day)
    assert monday.weekday() == 0
    assert abs(monday - day) <= timedelta(days=3)


def test_a_53_week_year_gives_its_extra_week_to_the_last_period() -> None:
    retail = FiscalCalendar(RETAIL_445, 2)
    # 1 February 2027 is a Monday, 1 February 2026 a Sunday: the nearest Mondays are 52 weeks apart.
    assert retail.year(2027) == DayRange(date(2026, 2, 2), date(2027, 2, 1))
    long = next(year for year in range(2020, 2032) if retail.year(year).days == 53 * 7)
    assert retail.periods(long)[11].days.days == 6 * 7


def test_a_year_that_starts_in_july_is_named_for_the_year_it_ends_in() -> None:
    calendar = FiscalCalendar(MONTHS, 7)
    period = calendar.period_of(date(2025, 9, 30))
    assert period.label == "FY2026 P03"
    assert period.quarter == 1
    assert period.days == DayRange(date(2025, 9, 1), date(2025, 10, 1))


def test_calendar_years_are_plain() -> None:
    assert FiscalCalendar().period_of(date(2026, 2, 28)).label == "FY2026 P02"
    assert FiscalCalendar().quarter(2026, 4) == DayRange(date(2026, 10, 1), date(2027, 1, 1))


def test_a_445_year_may_start_in_the_old_calendar_year() -> None:
    calendar = FiscalCalendar(RETAIL_445, 1)
    # 1 January 2026 is a Thursday; the Monday nearest is 29 December 2025.
    assert calendar.year(2026).start == date(2025, 12, 29)
    assert calendar.period_of(date(2025, 12, 30)).label == "FY2026 P01"


@pytest.mark.parametrize(("kind", "month"), [("454", 1), (MONTHS, 0), (RETAIL_445, 13)])
def test_another_kind_or_month_is_refused(kind: str, month: int) -> None:
    with pytest.raises(ValueError, match="no such"):
        FiscalCalendar(kind, month)


def test_quarters_and_years_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="no such quarter"):
        FiscalCalendar().quarter(2026, 5)
    with pytest.raises(ValueError, match="out of range"):
        FiscalCalendar().year(9999)
