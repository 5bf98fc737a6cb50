"""Reports of one file a month: each of their lines is of one window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from finops.connectors.fetching import Window
from finops.connectors.months import following, is_within, months, several

DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        ("2026-10-31", "2026-11-01", ["2026-10"]),
        ("2026-10-31", "2026-11-02", ["2026-10", "2026-11"]),
        ("2026-12-31", "2027-02-01", ["2026-12", "2027-01"]),
        ("2028-02-29", "2028-03-01", ["2028-02"]),
    ],
)
def test_months_of_a_window(since: str, until: str, found: list[str]) -> None:
    assert [f"{month:%Y-%m}" for month in months(Window(at(since), at(until)))] == found


@pytest.mark.parametrize(
    "moment", ["2025-01-01", "2026-10-31", "2026-11-01", "2026-11-30T23:59:59.9", "2030-01-01", ""]
)
def test_a_line_is_of_exactly_one_day_of_its_month(moment: str) -> None:
    month = at("2026-11-01")
    windows = [Window(month + number * DAY, month + (number + 1) * DAY) for number in range(-3, 40)]
    of = [window for window in windows if is_within(at(moment) if moment else None, month, window)]
    assert len(of) == 1
    assert month <= of[0].since < following(month)


def test_rows_in_lists() -> None:
    assert list(several(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(several([], 2)) == []
