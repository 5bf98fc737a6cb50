"""The periods a person can name, and what each is compared with."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import periods
from dashboards.periods import PeriodUnclear, parse, span
from finops.core.fiscal import FiscalCalendar
from finops.core.periods import DayRange

TODAY = date(2026, 11, 22)


def days(first: str, after: str) -> DayRange:
    return DayRange(date.fromisoformat(first), date.fromisoformat(after))


@pytest.mark.parametrize(
    ("token", "expected", "previous"),
    [
        ("2026-10", ("2026-10-01", "2026-11-01"), ("2026-09-01", "2026-10-01")),
        ("2026-03", ("2026-03-01", "2026-04-01"), ("2026-02-01", "2026-03-01")),
        ("2026-Q3", ("2026-07-01", "2026-10-01"), ("2026-04-01", "2026-07-01")),
        ("2026-q1", ("2026-01-01", "2026-04-01"), ("2025-10-01", "2026-01-01")),
        ("2025", ("2025-01-01", "2026-01-01"), ("2024-01-01", "2025-01-01")),
        ("last-7d", ("2026-11-16", "2026-11-23"), ("2026-11-09", "2026-11-16")),
        ("2026-10-01..2026-10-15", ("2026-10-01", "2026-10-16"), ("2026-09-16", "2026-10-01")),
    ],
)
def test_a_closed_period_is_compared_with_the_whole_one_before(
    token: str, expected: tuple[str, str], previous: tuple[str, str]
) -> None:
    found = parse(token, today=TODAY)
    assert found.days == days(*expected)
    assert found.previous == days(*previous)


@pytest.mark.parametrize(
    ("token", "expected", "previous"),
    [
        ("mtd", ("2026-11-01", "2026-11-23"), ("2026-10-01", "2026-10-23")),
        ("2026-11", ("2026-11-01", "2026-12-01"), ("2026-10-01", "2026-10-23")),
        ("2026-Q4", ("2026-10-01", "2027-01-01"), ("2026-07-01", "2026-08-23")),
        ("ytd", ("2026-01-01", "2026-11-23"), ("2025-01-01", "2025-11-23")),
    ],
)
def test_an_open_period_is_compared_with_as_many_days_as_have_begun(
    token: str, expected: tuple[str, str], previous: tuple[str, str]
) -> None:
    found = parse(token, today=TODAY)
    assert found.open
    assert found.days == days(*expected)
    assert found.previous == days(*previous)


def test_the_end_of_march_is_not_held_against_days_february_does_not_have() -> None:
    assert parse("mtd", today=date(2026, 3, 31)).previous == days("2026-02-01", "2026-03-01")
    assert parse("ytd", today=date(2024, 2, 29)).previous == days("2023-01-01", "2023-03-01")


def test_a_fiscal_period_follows_the_organizations_calendar() -> None:
    july = FiscalCalendar("months", 7)
    assert parse("FY2026-P01", today=TODAY, calendar=july).days == days("2025-07-01", "2025-08-01")
    assert parse("FY2026-Q4", today=TODAY, calendar=july).days == days("2026-04-01", "2026-07-01")
    first = parse("FY2026-P01", today=TODAY, calendar=july)
    assert (first.earlier, first.later) == ("FY2025-P12", "FY2026-P02")


@pytest.mark.parametrize("calendar", [FiscalCalendar("months", 4), FiscalCalendar("445", 2)])
def test_what_the_picker_offers_can_be_read_back_and_holds_today(calendar: FiscalCalendar) -> None:
    offered = periods.fiscal_back(TODAY, calendar, 12)
    found = [parse(token, today=TODAY, calendar=calendar) for token, _ in offered]
    assert all(TODAY in one.days for one in found[:3])
    assert [one.token for one in found] == [token for token, _ in offered]


@pytest.mark.parametrize(
    "token",
    [
        "2026-13", "2026-00", "2026-Q5", "0001", "2999", "last-8d", "yesterday", "2026-02-30..2026-03-01", "FY2026-P13",
        "2026-10-15..2026-10-01", "1999-01-01..2026-01-01", "9999-12-31..9999-12-31", "FY0001", "FY2026-P00", "٢٠٢٦",
        "2026-10\0",
    ],
)  # fmt: skip
def test_what_is_not_a_period_is_refused_with_a_hint(token: str) -> None:
    with pytest.raises(PeriodUnclear):
        parse(token, today=TODAY)


@given(st.dates(date(2016, 1, 1), date(2099, 1, 1)), st.sampled_from(["%Y-%m", "%Y-Q", "%Y", "FY%Y-P03"]))
def test_going_back_and_forth_returns_to_the_same_period(day: date, shape: str) -> None:
    token = f"{day.year}-Q{(day.month + 2) // 3}" if shape == "%Y-Q" else day.strftime(shape)
    here = parse(token, today=TODAY)
    earlier = parse(here.earlier, today=TODAY)
    assert earlier.days.end == here.days.start
    assert earlier.later == here.token


@given(st.dates(date(2016, 1, 1), date(2090, 1, 1)), st.integers(1, 400))
def test_the_written_span_names_the_last_day_included(first: date, many: int) -> None:
    text = span(DayRange(first, first + timedelta(days=many)))
    last = first + timedelta(days=many - 1)
    assert text.endswith(f"{last.day} {last:%b %Y}")
