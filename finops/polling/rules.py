"""Which windows are read, and how long it is waited. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from finops.connectors.fetching import Feed, Window

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# How far back the first poll reads where nobody said.
FIRST: Final = timedelta(days=31)
_SHORTEST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=6)
# A window that was cut off is asked for in halves, and those in halves: no smaller than that many times.
MOST_HALVED: Final = 10
# In trouble for so long, somebody is told.
PATIENCE: Final = timedelta(hours=24)


def floor(at: datetime, width: timedelta) -> datetime:
    """The last multiple of `width` since 1970 that is not after `at`."""
    return _EPOCH + (at - _EPOCH) // width * width


def ceiling(at: datetime, width: timedelta) -> datetime:
    return -((_EPOCH - at) // width) * width + _EPOCH


def first_of(feed: Feed, since: datetime | None, at: datetime) -> datetime:
    """Where reading begins: where somebody said or a month ago, and no earlier than the provider tells."""
    wanted = at - FIRST if since is None else min(since, at)
    return max(floor(max(wanted, at - feed.history), feed.width), oldest(feed, at))


def oldest(feed: Feed, at: datetime) -> datetime:
    """The earliest beginning of a window that the provider still tells of."""
    return ceiling(at - feed.history, feed.width)


def is_past(feed: Feed, round_at: datetime, at: datetime) -> bool:
    """Whether nothing of a round that was left lying is told any more: gone on with, it would end well and have asked
    for nothing.
    """
    return ceiling(round_at, feed.width) <= oldest(feed, at)


def again_from(feed: Feed, *, watermark: datetime, begun_from: datetime, at: datetime) -> datetime:
    """Where a round begins: everything that may have changed since it was read is read again.

    What is told late is like what is told otherwise. Every row is read once after it can change no more, because the
    watermark is the moment at which the last round began, not at which it ended.
    """
    back = watermark - max(feed.revised, feed.delay)
    return max(floor(max(back, begun_from), feed.width), oldest(feed, at))


def step(feed: Feed, halved: int) -> timedelta:
    """The longest window that is asked for, after as many halvings."""
    parts: int = 2**halved
    return max(feed.longest // parts // feed.width, 1) * feed.width


def next_window(feed: Feed, since: datetime, until: datetime, halved: int) -> Window:
    """The first window of a span; the span's last one may be open, as `until` is later than now."""
    return Window(since, min(since + step(feed, halved), until))


def window_before(feed: Feed, since: datetime, until: datetime, halved: int) -> Window:
    """The last window of a span: history is read from its end."""
    return Window(max(until - step(feed, halved), since), until)


def windows_in(feed: Feed, since: datetime, until: datetime) -> int:
    """How many of the longest windows a span has; none where it is empty."""
    return -(-max(until - since, timedelta(0)) // feed.longest)


def wait_after(failures: int, feed_id: int) -> timedelta:
    """After so many failures in a row: a minute, doubled each time, up to six hours; and up to a tenth more, always the
    same for a feed and a failure, so that feeds that failed at once do not try again at once.
    """
    doubled: int = 2 ** min(max(failures, 1) - 1, 20)
    wait = min(_SHORTEST_WAIT * doubled, _LONGEST_WAIT)
    drawn = hashlib.blake2b(f"{feed_id} {failures}".encode(), digest_size=2).digest()
    return wait * (1 + int.from_bytes(drawn, "big") / 65_536 / 10)


def wait_limited(feed: Feed, *, after_s: float, failures: int, feed_id: int) -> timedelta:
    """As long as the provider says; longer where it says so again and again, and then no longer than the feed's own
    rhythm.
    """
    own = min(wait_after(failures, feed_id), feed.every) if failures > 1 else timedelta(0)
    return max(timedelta(seconds=max(after_s, 1.0)), own)
