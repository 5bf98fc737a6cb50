"""When news goes out: quiet hours, and trying again. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

# After each try that failed, so long until the next; then it is given up.
BACKOFF_S: Final = (5, 20, 60, 300, 900, 3_600, 3 * 3_600)
MOST_TRIES: Final = len(BACKOFF_S) + 1


def held_until(at: datetime, zone: str, begins: time | None, ends: time | None) -> datetime | None:
    """When quiet hours that hold `at` are over; None outside them. They go past midnight when they end before they
    begin. A clock that is put back or forward moves their ends with it.
    """
    if begins is None or ends is None or begins == ends:
        return None
    place = ZoneInfo(zone)
    here = at.astimezone(place)
    for first in (here.date() - timedelta(days=1), here.date()):
        start = _instant(first, begins, place)
        end = _instant(first if ends > begins else first + timedelta(days=1), ends, place)
        if start <= at < end:
            return end
    return None


def _instant(day: date, clock: time, place: ZoneInfo) -> datetime:
    # By UTC and back, because a local time that the clocks skip is none.
    return datetime.combine(day, clock, tzinfo=place).astimezone(UTC)


def retry_at(at: datetime, tries: int) -> datetime | None:
    """When to try again after `tries` that failed; None is never."""
    return at + timedelta(seconds=BACKOFF_S[tries - 1]) if tries < MOST_TRIES else None
