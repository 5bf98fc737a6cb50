"""A deployment that fails is left alone for a while, and tried by one call at a time before it is trusted again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from routing.gateway.proxy.health import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Health, RetryBudget

NAME = (1, "gpt")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def fails(health: Health, times: int = FAILURES) -> None:
    for _ in range(times):
        health.failed(NAME)


def breaks(health: Health, times: int) -> None:
    for _ in range(times):
        health.began(NAME, 0.1)
        health.broke(NAME)


@pytest.mark.parametrize("goes_wrong", [fails, breaks])
def test_failures_in_a_row_pause_it_and_a_single_answer_between_them_does_not(
    health: Health, goes_wrong: Callable[[Health, int], None]
) -> None:
    goes_wrong(health, FAILURES - 1)
    health.answered(NAME)
    goes_wrong(health, FAILURES - 1)
    assert health.usable(NAME)
    goes_wrong(health, 1)
    assert not health.usable(NAME)


def test_after_the_pause_one_call_tries_and_the_others_wait_for_it(health: Health, clock: Clock) -> None:
    fails(health)
    clock.now += FIRST_PAUSE_S
    assert health.usable(NAME)
    health.tries(NAME)
    assert not health.usable(NAME)
    health.answered(NAME, 0.2)
    assert health.usable(NAME)
    assert not health.paused(NAME)


def test_each_trial_that_fails_doubles_the_pause_up_to_a_limit(health: Health, clock: Clock) -> None:
    fails(health)
    pauses = []
    pause = FIRST_PAUSE_S
    for _ in range(8):
        clock.now += pause
        health.tries(NAME)
        health.failed(NAME)
        began = clock.now
        while not health.usable(NAME):
            clock.now += 0.5
        pause = clock.now - began
        pauses.append(pause)
        clock.now = began
    assert pauses[0] == 2 * FIRST_PAUSE_S
    assert pauses[-1] == LONGEST_PAUSE_S


def test_who_begins_and_always_breaks_off_is_paused_until_an_answer_comes_to_its_end(
    health: Health, clock: Clock
) -> None:
    breaks(health, FAILURES)
    assert not health.usable(NAME)
    # Others that were under way begin: that says nothing of how they end.
    health.began(NAME, 0.1)
    assert health.paused(NAME)
    clock.now += FIRST_PAUSE_S
    health.tries(NAME)
    breaks(health, 1)
    clock.now += FIRST_PAUSE_S
    assert not health.usable(NAME)
    clock.now += FIRST_PAUSE_S
    assert health.usable(NAME)
    health.answered(NAME)
    assert not health.paused(NAME)
    breaks(health, FAILURES - 1)
    assert health.usable(NAME)


def test_who_breaks_off_and_then_proves_well_is_paused_by_the_next_break(health: Health, clock: Clock) -> None:
    breaks(health, FAILURES)
    health.proved(NAME)
    assert health.usable(NAME)
    breaks(health, 1)
    assert not health.usable(NAME)
    clock.now += FIRST_PAUSE_S
    assert not health.usable(NAME)


def test_how_fast_it_begins_follows_the_latest_answers(health: Health) -> None:
    assert health.first_byte_s(NAME) == float("inf")
    for first_byte_s in (1.0, 0.0):
        health.answered(NAME, first_byte_s)
    assert health.first_byte_s(NAME) == pytest.approx(0.8)


def test_second_tries_are_a_share_of_calls() -> None:
    retries = RetryBudget(share=0.25, most=2.0)
    assert [retries.may() for _ in range(3)] == [True, True, False]
    for _ in range(4):
        retries.called()
    assert [retries.may() for _ in range(2)] == [True, False]
