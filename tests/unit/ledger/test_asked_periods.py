"""Periods by name, as requests ask for them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.fiscal import RETAIL_445, FiscalCalendar
from finops.core.periods import DayRange
from finops.ledger.api.periods import EARLIEST, LATEST, LONGEST_DAYS, PeriodUnclear, between, named

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
        ("2026-Q3", days((2026, 7, 1), (2026, 10, 1)), days((2026, 4, 1), (2026, 7, 1))),
        ("2025", days((2025, 1, 1), (2026, 1, 1)), days((2024, 1, 1), (2025, 1, 1))),
        ("ytd", days((2026, 1, 1), (2026, 10, 21)), days((2025, 1, 1), (2025, 10, 21))),
        ("last-30d", days((2026, 9, 21), (2026, 10, 21)), days((2026, 8, 22), (2026, 9, 21))),
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
    "word",
    ["", "October", "2026-13", "2026-00", "1999", "2100-01", "FY2026-P13", "FY2026-P00", "last-0d", "last-9999d", "١٢"],
)
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
        assert found.previous.end <= found.days.start
        assert found.previous.days > 0


@given(st.dates(), st.dates())
def test_two_days_are_a_period_or_refused(start: date, end: date) -> None:
    if not EARLIEST <= start < end <= LATEST or (end - start).days > LONGEST_DAYS:
        with pytest.raises(PeriodUnclear):
            between(start, end)
        return
    found = between(start, end)
    assert EARLIEST <= found.days.start < found.days.end <= LATEST
    assert found.previous.days == found.days.days
