"""When keys are blocked ahead of a limit: twenty burns played through the rules, and what always holds of the bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.burns import SHAPES, Played, burns, play
from finops.budgets.rules.preventive import (
    CONFIDENCE,
    DELAYS_BACK,
    PIECES,
    Feed,
    Pause,
    Reported,
    Situation,
    Verdict,
    bound,
    decide,
)
from finops.core.money import PICO

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNT = PIECES * DELAYS_BACK
AMOUNTS = st.lists(st.integers(0, 10 * PICO), min_size=1, max_size=COUNT)


def reported(*amounts: int) -> Reported:
    """The newest pieces, five minutes each; before them nothing."""
    return Reported((*(0 for _ in range(COUNT - len(amounts))), *amounts), HOUR / PIECES, NOW - HOUR)


def situation(limit: float, spent: float, history: Reported, *pauses: Pause) -> Situation:
    feed = Feed(history, HOUR, timedelta(minutes=1))
    return Situation(NOW, round(limit * PICO), round(spent * PICO), (feed,), pauses)


@pytest.fixture(scope="module")
def played() -> list[Played]:
    """A day of each, an hour late, looked at every five minutes."""
    return [play(one) for one in burns(hours=24)]


def test_every_burn_is_blocked_before_its_limit(played: list[Played]) -> None:
    assert len(played) == len(SHAPES) == 20
    assert [one.name for one in played if one.share > 1] == []
    assert all(one.blocks for one in played)


def test_little_is_left(played: list[Played]) -> None:
    unused = [1 - one.share for one in played]
    assert sum(unused) / len(unused) < 0.15
    assert max(unused) < 0.5


def test_the_bound_holds_as_often_as_it_says(played: list[Played]) -> None:
    assert sum(one.held for one in played) / sum(one.bounds for one in played) >= CONFIDENCE


STEADY = reported(*[PICO // 12] * COUNT)


def test_steady_spend_is_bounded_by_little_more_than_itself() -> None:
    found = bound(STEADY, HOUR)
    assert PICO * 0.99 <= found.likely <= found.most <= PICO * 1.2


def test_it_is_blocked_when_what_is_unseen_would_fill_the_limit_and_not_before() -> None:
    assert decide(situation(100, 98.95, STEADY)).verdict is Verdict.BLOCK
    early = decide(situation(100, 90, STEADY))
    assert early.verdict is Verdict.KEEP
    # A dollar an hour; ten are left, and one is likely spent since.
    assert early.crosses_at is not None
    assert abs(early.crosses_at - (NOW + 9 * HOUR)) < timedelta(minutes=5)


def test_what_is_spent_already_is_blocked_whatever_the_rate() -> None:
    quiet = reported(0)
    assert decide(situation(100, 100, quiet)).verdict is Verdict.BLOCK
    assert decide(situation(100, 95, quiet)) == (Verdict.KEEP, 95 * PICO, 95 * PICO, None)
    assert decide(situation(0, 0, quiet)).verdict is Verdict.BLOCK


def test_a_second_source_adds_its_own() -> None:
    alone = situation(100, 97.5, STEADY)
    both = alone._replace(feeds=alone.feeds * 2)
    assert decide(alone).verdict is Verdict.KEEP
    assert decide(both).verdict is Verdict.BLOCK


def test_what_is_blocked_goes_on_only_with_room_for_a_whole_window() -> None:
    pause = Pause(NOW - 2 * HOUR, None)
    assert decide(situation(100, 97, STEADY, pause)).verdict is Verdict.UNBLOCK
    assert decide(situation(100, 98.5, STEADY, pause)).verdict is Verdict.KEEP


def test_time_in_which_keys_were_blocked_says_nothing_of_the_rate() -> None:
    # An hour of spend, then three hours of none because the key was blocked.
    history = reported(*[PICO // 12] * 12, *[0] * 36)
    paused = Pause(NOW - 4 * HOUR, NOW - HOUR)
    said = decide(situation(100, 50, history, paused)).most_pico - 50 * PICO
    forgot = decide(situation(100, 50, history)).most_pico - 50 * PICO
    assert said >= PICO > forgot


@given(AMOUNTS, st.integers(1, 180))
def test_a_bound_is_never_negative_nor_below_what_is_likely(amounts: list[int], minutes: int) -> None:
    found = bound(reported(*amounts), timedelta(minutes=minutes))
    assert 0 <= found.likely <= found.most


@given(AMOUNTS, st.integers(2, 1_000))
def test_a_bound_is_in_proportion_to_the_money(amounts: list[int], times: int) -> None:
    once, more = (bound(reported(*(one * factor for one in amounts)), HOUR) for factor in (1, times))
    assert more.most == pytest.approx(once.most * times, rel=1e-6, abs=times)
    assert more.likely == pytest.approx(once.likely * times, rel=1e-6, abs=times)


@given(AMOUNTS, st.floats(1, 500), st.floats(0, 1), st.integers(1, 60))
def test_more_room_never_blocks_sooner(amounts: list[int], limit: float, share: float, more: int) -> None:
    history, spent = reported(*amounts), limit * share
    if decide(situation(limit, spent, history)).verdict is Verdict.KEEP:
        assert decide(situation(limit + more, spent, history)).verdict is Verdict.KEEP


@given(AMOUNTS, st.floats(1, 500), st.floats(0, 1))
def test_what_is_given_back_is_not_blocked_at_once(amounts: list[int], limit: float, share: float) -> None:
    history = reported(*amounts)
    settled = Pause(NOW - 2 * HOUR, None)
    kept = situation(limit, limit * share, history, settled)
    if decide(kept).verdict is Verdict.UNBLOCK:
        again = kept._replace(pauses=(settled._replace(end=NOW),))
        assert decide(again).verdict is Verdict.KEEP
