"""Periods by name, as requests ask for them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.fiscal import RETAIL_445, FiscalCalendar
from finops.core.periods import DayRange
from finops.ledger.rules.periods import EARLIEST, LATEST, LONGEST_DAYS, PeriodUnclear, between, named

TODAY = date(2026, 10, 20)
PLAIN = FiscalCalendar()
JULY = FiscalCalendar(start_month=7)


def days(first: tuple[int, int, int], after: tuple[int, int, int]) -> DayRange:
    return DayRange(date(*first), date(*after))


@pytest.mark.parametrize(
    ("word", "asked", "previous"),
    [
        # What is not over is compared with as many days as have begun of it.
        ("mtd", days((2026, 10, 1), (2026, 10, 21)), days((2026, 9, 1), (2026, 9, 21))),
        ("2026-10", days((2026, 10, 1), (2026, 11, 1)), days((2026, 9, 1), (2026, 9, 21))),
        ("2026-09", days((2026, 9, 1), (2026, 10, 1)), days((2026, 8, 1), (2026, 9, 1))),
        ("2026-Q4", days((2026, 10, 1), (2027, 1, 1)), days((2026, 7, 1), (2026, 7, 21))),
        ("2026-q1", days((2026, 1, 1), (2026, 4, 1)), days((2025, 10, 1), (2026, 1, 1))),
        ("2026-Q3", days((2026, 7, 1), (2026, 10, 1)), days((2026, 4, 1), (2026, 7, 1))),
        ("2025", days((2025, 1, 1), (2026, 1, 1)), days((2024, 1, 1), (2025, 1, 1))),
        ("ytd", days((2026, 1, 1), (2026, 10, 21)), days((2025, 1, 1), (2025, 10, 21))),
        ("last-30d", days((2026, 9, 21), (2026, 10, 21)), days((2026, 8, 22), (2026, 9, 21))),
        ("last-8d", days((2026, 10, 13), (2026, 10, 21)), days((2026, 10, 5), (2026, 10, 13))),
        # Of two dates as one word both are included.
        ("2026-10-01..2026-10-15", days((2026, 10, 1), (2026, 10, 16)), days((2026, 9, 16), (2026, 10, 1))),
        ("FY2026", days((2025, 7, 1), (2026, 7, 1)), days((2024, 7, 1), (2025, 7, 1))),
        ("FY2027-Q1", days((2026, 7, 1), (2026, 10, 1)), days((2026, 4, 1), (2026, 7, 1))),
        ("FY2027-P04", days((2026, 10, 1), (2026, 11, 1)), days((2026, 9, 1), (2026, 9, 21))),
    ],
)
def test_a_period_and_what_it_is_compared_with(word: str, asked: DayRange, previous: DayRange) -> None:
    found = named(word, today=TODAY, calendar=JULY)
    assert (found.days, found.previous) == (asked, previous)


def test_a_long_month_is_never_compared_past_the_start_of_itself() -> None:
    found = named("2026-03", today=date(2026, 3, 31), calendar=PLAIN)
    assert found.previous == days((2026, 2, 1), (2026, 3, 1))


def test_the_29th_of_february_has_a_year_before() -> None:
    assert named("ytd", today=date(2028, 2, 29), calendar=PLAIN).previous.end == date(2027, 3, 1)


@pytest.mark.parametrize(
    ("word", "is_open"),
    [
        ("mtd", True), ("ytd", True), ("last-7d", True), ("2026-10", True), ("2026-09", False), ("2026-Q4", True),
        ("FY2027", True), ("FY2026", False), ("2026-10-01..2026-10-20", True), ("2026-10-01..2026-10-19", False),
    ],
)  # fmt: skip
def test_a_period_with_today_in_it_is_open(word: str, is_open: bool) -> None:
    assert named(word, today=TODAY, calendar=JULY).open == is_open


@pytest.mark.parametrize(
    ("word", "earlier", "later"),
    [
        ("mtd", "2026-09", ""), ("ytd", "2025", ""), ("last-7d", "2026-10-07..2026-10-13", ""),
        ("2026-12", "2026-11", "2027-01"), ("2026-Q1", "2025-Q4", "2026-Q2"), ("FY2026-Q4", "FY2026-Q3", "FY2027-Q1"),
        ("FY2026-P01", "FY2025-P12", "FY2026-P02"),
        ("2026-10-01..2026-10-02", "2026-09-29..2026-09-30", "2026-10-03..2026-10-04"),
        # Nothing is asked of before the earliest year or after the latest.
        ("2015", "", "2016"), ("2015-01", "", "2015-02"), ("FY2015-P01", "", "FY2015-P02"), ("2099-Q4", "2099-Q3", ""),
        ("FY2099", "FY2098", ""), ("2015-01-01..2015-01-01", "", "2015-01-02..2015-01-02"), ("last-3660d", "", ""),
    ],
)  # fmt: skip
def test_a_period_knows_its_neighbours(word: str, earlier: str, later: str) -> None:
    found = named(word, today=TODAY, calendar=JULY)
    assert (found.earlier, found.later) == (earlier, later)


@given(st.dates(date(2016, 1, 1), date(2098, 12, 31)), st.sampled_from(["%Y-%m", "%Y-Q", "%Y", "FY%Y-P03", "days"]))
def test_going_back_and_forth_returns_to_the_same_period(day: date, shape: str) -> None:
    word = {"%Y-Q": f"{day.year}-Q{(day.month + 2) // 3}", "days": f"{day}..{day}"}.get(shape) or day.strftime(shape)
    here = named(word, today=TODAY, calendar=JULY)
    earlier = named(here.earlier, today=TODAY, calendar=JULY)
    assert earlier.days.end == here.days.start
    assert earlier.later == here.word == word


@pytest.mark.parametrize(
    "word",
    [
        "", "October", "2026-13", "2026-00", "2026-Q5", "0001", "1999", "2100-01", "FY2026-P13", "FY2026-P00", "FY0001",
        "last-0d", "last-9999d", "last-3661d", "١٢", "٢٠٢٦", "2026-10\0", "2026-02-30..2026-03-01",
        "2026-10-15..2026-10-01", "1999-01-01..2026-01-01", "9999-12-31..9999-12-31",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said(word: str) -> None:
    with pytest.raises(PeriodUnclear) as refused:
        named(word, today=TODAY, calendar=PLAIN)
    assert refused.value.field == "period"


@given(st.text(max_size=12) | st.from_regex(r"(FY)?20[0-9]{2}(-[PQ]?[0-9]{1,2})?", fullmatch=True))
def test_any_text_is_a_period_or_refused(word: str) -> None:
    for calendar in (PLAIN, JULY, FiscalCalendar(RETAIL_445, 2)):
        try:
            found = named(word, today=TODAY, calendar=calendar)
        except PeriodUnclear:
            continue
        assert found.days.days > 0
        assert named(found.word, today=TODAY, calendar=calendar) == found
        assert found.previous.end <= found.days.start
        assert found.previous.days > 0


@given(st.dates(), st.dates())
def test_two_days_are_a_period_or_refused(start: date, end: date) -> None:
    if not EARLIEST <= start < end <= LATEST or (end - start).days > LONGEST_DAYS:
        with pytest.raises(PeriodUnclear):
            between(start, end, today=TODAY)
        return
    found = between(start, end, today=TODAY)
    assert EARLIEST <= found.days.start < found.days.end <= LATEST
    assert found.previous.days == found.days.days
    assert found.word == f"{start}..{end - timedelta(days=1)}"
