"""Which windows are read, and how long it is waited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Feed, Window
from finops.polling import rules

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AT = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
TIMES = st.integers(0, 10 * 365 * 86_400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
KNOWN = st.sampled_from(sorted(FEEDS.values(), key=lambda feed: feed.name))


@pytest.mark.parametrize(
    ("width", "low", "high"),
    [(HOUR, AT.replace(minute=0), AT.replace(hour=10, minute=0)), (DAY, AT.replace(hour=0, minute=0), None)],
)
def test_times_are_rounded_to_whole_buckets(width: timedelta, low: datetime, high: datetime | None) -> None:
    assert rules.floor(AT, width) == low
    assert rules.ceiling(AT, width) == (high or low + DAY)
    assert rules.floor(low, width) == rules.ceiling(low, width) == low


@given(feed=KNOWN, since=TIMES, share=st.integers(0, 1_000), halved=st.integers(0, 4))
def test_windows_cover_a_span_once_from_either_end(feed: Feed, since: datetime, share: int, halved: int) -> None:
    since = rules.floor(since, feed.width)
    until = rules.ceiling(since + feed.longest * share / 100, feed.width)
    forward: list[Window] = []
    back: list[Window] = []
    at = since
    while at < until:
        forward.append(rules.next_window(feed, at, until, halved))
        at = forward[-1].until
    end = until
    while since < end:
        back.append(rules.window_before(feed, since, end, halved))
        end = back[-1].since
    assert (at, end) == (until, since)
    for found in (forward, back[::-1]):
        assert all(one.until == two.since for one, two in pairwise(found))
        assert all(feed.width <= one.until - one.since <= feed.longest for one in found)
        assert all(rules.floor(one.since, feed.width) == one.since for one in found)
        assert not found or (found[0].since, found[-1].until) == (since, until)
    assert len(forward) == len(back)
    if not halved:
        assert len(back) == rules.windows_in(feed, since, until)


@given(feed=KNOWN, begun=TIMES, every=st.timedeltas(timedelta(minutes=1), timedelta(days=3)))
def test_every_row_is_read_once_after_it_can_change_no_more(feed: Feed, begun: datetime, every: timedelta) -> None:
    """A row of any time: the round that follows its last change still looks back to it."""
    following = rules.again_from(feed, watermark=begun, begun_from=begun - timedelta(days=365), at=begun + every)
    settled = begun - feed.revised
    assert following <= max(settled, rules.oldest(feed, begun + every))


def test_a_round_goes_back_no_further_than_reading_began() -> None:
    feed = FEEDS["anthropic-cost"]
    began = AT.replace(hour=0, minute=0) - 5 * DAY
    assert rules.again_from(feed, watermark=AT, begun_from=began, at=AT) == began
    assert (
        rules.again_from(feed, watermark=AT, begun_from=began - 90 * DAY, at=AT)
        == AT.replace(hour=0, minute=0) - 30 * DAY
    )


def test_the_last_window_is_open() -> None:
    feed = FEEDS["anthropic-usage"]
    until = rules.ceiling(AT, feed.width)
    assert rules.next_window(feed, until - 2 * HOUR, until, 0) == Window(until - 2 * HOUR, until)
    assert until > AT


def test_waits_double_from_a_minute_to_six_hours_and_differ_by_feed() -> None:
    minutes = [rules.wait_after(n, 7).total_seconds() / 60 for n in range(1, 14)]
    for wait, usual in zip(minutes, (1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360, 360), strict=True):
        assert usual <= wait <= usual * 1.1
    assert rules.wait_after(3, 7) == rules.wait_after(3, 7)
    assert len({rules.wait_after(3, feed) for feed in range(50)}) > 40
    assert rules.wait_after(10**9, 7) <= timedelta(hours=6.6)


def test_a_limit_is_kept_to_and_repeated_ones_lengthen() -> None:
    feed = FEEDS["anthropic-usage"]

    def wait(after_s: float, failures: int) -> timedelta:
        return rules.wait_limited(feed, after_s=after_s, failures=failures, feed_id=1)

    assert wait(90, 1) == timedelta(seconds=90)
    assert wait(0, 1) == timedelta(seconds=1)
    assert wait(7_200, 9) == timedelta(hours=2)
    assert wait(1, 9) == feed.every
