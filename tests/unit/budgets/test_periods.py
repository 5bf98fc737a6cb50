"""Budget periods tile time in every zone, through every clock change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.budgets.rules.periods import before, window
from finops.budgets.types import Enforcement, Period, Terms

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
CALENDAR = (Period.DAY, Period.WEEK, Period.MONTH, Period.QUARTER, Period.YEAR)
# Clocks that change at midnight, by half an hour, across the date line, or twice a year as most do.
ZONES = (
    "UTC", "Europe/Vienna", "America/New_York", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Asia/Kolkata",
    "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns", "Africa/Casablanca", "Atlantic/Azores",
)  # fmt: skip


def terms(period: Period = Period.MONTH, zone: str = "UTC", **given: object) -> Terms:
    usual: dict[str, object] = {"starts_at": LONG_AGO, "zone": zone}
    return Terms(1, 1, 100, period, Enforcement.HARD, **usual | given)  # type: ignore[arg-type]


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("period", "starts", "ends"),
    [
        (Period.DAY, "2026-11-22", "2026-11-23"),
        (Period.WEEK, "2026-11-16", "2026-11-23"),
        (Period.MONTH, "2026-11-01", "2026-12-01"),
        (Period.QUARTER, "2026-10-01", "2027-01-01"),
        (Period.YEAR, "2026-01-01", "2027-01-01"),
    ],
)
def test_calendar_periods_are_the_zone_s_own(period: Period, starts: str, ends: str) -> None:
    for zone in ("UTC", "Europe/Vienna", "Asia/Kolkata"):
        held = window(terms(period, zone), at("2026-11-22T18:30", zone))
        assert held == (at(starts, zone), at(ends, zone))


def test_a_day_with_a_clock_change_is_longer_or_shorter() -> None:
    autumn = window(terms(Period.DAY, "Europe/Vienna"), at("2026-10-25T12:00", "Europe/Vienna"))
    spring = window(terms(Period.DAY, "Europe/Vienna"), at("2026-03-29T12:00", "Europe/Vienna"))
    assert autumn is not None
    assert spring is not None
    assert autumn.end is not None
    assert spring.end is not None
    assert autumn.end - autumn.start == timedelta(hours=25)
    assert spring.end - spring.start == timedelta(hours=23)


@given(
    period=st.sampled_from(CALENDAR),
    zone=st.sampled_from(ZONES),
    hours=st.floats(0, 24 * 365 * 30),
)
def test_every_instant_is_in_one_period_and_periods_meet(period: Period, zone: str, hours: float) -> None:
    when = datetime(2005, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    budget = terms(period, zone)
    held = window(budget, when)
    assert held is not None
    assert held.end is not None
    assert when in held
    assert window(budget, held.start) == held
    assert window(budget, held.end - timedelta(microseconds=1)) == held
    following = window(budget, held.end)
    assert following is not None
    assert following.start == held.end
    assert before(budget, following) == held


def test_a_budget_may_start_and_end_in_the_middle_of_a_period() -> None:
    budget = terms(starts_at=at("2026-11-10"), ends_at=at("2026-12-05"))
    assert window(budget, at("2026-11-09")) is None
    assert window(budget, at("2026-11-20")) == (at("2026-11-10"), at("2026-12-01"))
    assert window(budget, at("2026-12-02")) == (at("2026-12-01"), at("2026-12-05"))
    assert window(budget, at("2026-12-05")) is None
    first = window(budget, at("2026-11-20"))
    assert first is not None
    assert before(budget, first) is None


def test_a_total_is_one_period() -> None:
    assert window(terms(Period.TOTAL), at("2031-07-01")) == (LONG_AGO, None)
