"""When news goes out."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.alerts.rules.timing import BACKOFF_S, MOST_TRIES, held_until, retry_at

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
INSTANTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(tzinfo=UTC)
)
CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0, tzinfo=None))


def test_quiet_hours_past_midnight_hold_on_both_sides_of_it() -> None:
    def held(hour: int, minute: int = 0) -> datetime | None:
        return held_until(datetime(2026, 10, 1, hour, minute, tzinfo=UTC), "UTC", time(22), time(7))

    assert held(21, 59) is None
    assert held(22) == datetime(2026, 10, 2, 7, tzinfo=UTC)
    assert held(3) == datetime(2026, 10, 1, 7, tzinfo=UTC)
    assert held(7) is None


def test_they_end_by_the_clock_of_their_place_also_when_it_is_changed() -> None:
    # In Berlin the clocks go back on 25 October 2026: the night has an hour more.
    evening = datetime(2026, 10, 24, 21, tzinfo=UTC)
    assert held_until(evening, "Europe/Berlin", time(22), time(7)) == datetime(2026, 10, 25, 6, tzinfo=UTC)
    # And forward on 29 March: 02:30 is no time there.
    night = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert held_until(night, "Europe/Berlin", time(1), time(2, 30)) is not None


@given(at=INSTANTS, zone=st.sampled_from(ZONES), begins=CLOCKS, ends=CLOCKS)
def test_what_is_held_is_held_into_the_future_and_then_free(at: datetime, zone: str, begins: time, ends: time) -> None:
    until = held_until(at, zone, begins, ends)
    if until is not None:
        assert at < until <= at + timedelta(hours=26)
        assert held_until(until, zone, begins, ends) is None


def test_nobody_without_quiet_hours_is_held() -> None:
    assert held_until(datetime(2026, 10, 1, tzinfo=UTC), "UTC", None, None) is None


@pytest.mark.parametrize("tries", range(1, MOST_TRIES + 1))
def test_tries_are_further_and_further_apart_and_end(tries: int) -> None:
    at = datetime(2026, 10, 1, tzinfo=UTC)
    again = retry_at(at, tries)
    assert (again is None) == (tries == MOST_TRIES)
    if again is not None:
        assert again - at == timedelta(seconds=BACKOFF_S[tries - 1])
    assert sorted(BACKOFF_S) == list(BACKOFF_S)
