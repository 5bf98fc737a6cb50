"""When a source has gone quiet, by its own rhythm. Pure.

The rhythm is the longest silence of each of the last days. A source that sends all the time and one that sends every
night are so judged by what each of them does, and a weekend counts as soon as there was one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

DAYS_KEPT: Final = 14
# Before so many arrivals, over so long, nobody knows what is usual.
LEAST_ARRIVALS: Final = 5
LEAST_HISTORY: Final = timedelta(hours=24)
# A silence so much longer than all before it is an outage, not a rhythm: it is remembered as that long only.
_MOST_GROWTH: Final = 4
_LEAST_GROWTH_S: Final = 3_600


def noted(longest: Mapping[str, int], before: datetime, now: datetime) -> dict[str, int]:
    """The longest silences by day, with the one that ended `now`."""
    silence = int((now - before).total_seconds())
    known = max(longest.values(), default=None)
    if known is not None:
        silence = min(silence, max(known * _MOST_GROWTH, _LEAST_GROWTH_S))
    today = now.date()
    kept = {
        day: seconds for day, seconds in longest.items() if today - date.fromisoformat(day) < timedelta(days=DAYS_KEPT)
    }
    kept[today.isoformat()] = max(kept.get(today.isoformat(), 0), silence)
    return kept


def judge(
    longest: Mapping[str, int], *, arrivals: int, first_at: datetime, at: datetime, times: int, least_minutes: int
) -> timedelta | None:
    """How long a source may be silent now: `times` its longest silence of late; None while that is not known."""
    if arrivals < LEAST_ARRIVALS or at - first_at < LEAST_HISTORY or not longest:
        return None
    return max(timedelta(seconds=max(longest.values()) * times), timedelta(minutes=least_minutes))
