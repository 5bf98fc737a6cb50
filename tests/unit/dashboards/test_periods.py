"""Periods on pages: what they are called, what a picker offers, and what is said of one that is none."""

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


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("", "This month so far"), (" ytd ", "This year so far"), ("last-7d", "Last 7 days"),
        ("last-8d", "Last 8 days"), ("last-1d", "Today"), ("2026-10", "October 2026"), ("2026-q4", "Q4 2026"),
        ("2025", "2025"), ("FY2026-P03", "FY2026 P03"), ("2026-10-01..2026-10-15", "1–15 Oct 2026"),
    ],
)  # fmt: skip
def test_a_period_has_a_name_for_a_person(token: str, label: str) -> None:
    assert parse(token, today=TODAY).label == label


def test_what_is_not_a_period_is_refused_in_the_pages_own_form() -> None:
    with pytest.raises(PeriodUnclear, match=r"not understood\. Write 2026-10") as refused:
        parse("yesterday", today=TODAY)
    assert (refused.value.code, refused.value.field) == ("dashboards.period_unclear", "period")


@pytest.mark.parametrize("calendar", [FiscalCalendar("months", 4), FiscalCalendar("445", 2)])
def test_what_the_picker_offers_can_be_read_back_and_holds_today(calendar: FiscalCalendar) -> None:
    offered = periods.fiscal_back(TODAY, calendar, 12)
    found = [parse(token, today=TODAY, calendar=calendar) for token, _ in offered]
    assert all(TODAY in one.days for one in found[:3])
    assert [one.token for one in found] == [token for token, _ in offered]


def test_a_picker_of_months_starts_with_this_one() -> None:
    assert periods.months_back(date(2026, 1, 31), 3) == [
        ("2026-01", "January 2026"), ("2025-12", "December 2025"), ("2025-11", "November 2025"),
    ]  # fmt: skip


@given(st.dates(date(2016, 1, 1), date(2090, 1, 1)), st.integers(1, 400))
def test_the_written_span_names_the_last_day_included(first: date, many: int) -> None:
    text = span(DayRange(first, first + timedelta(days=many)))
    last = first + timedelta(days=many - 1)
    assert text.endswith(f"{last.day} {last:%b %Y}")
