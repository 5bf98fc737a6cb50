"""What a completed task costs: what failed is paid for as well, and the interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from routing.evidence.statistics.costs import CostDelta, cost_delta
from routing.evidence.types import Floats

# The strong model does 90 % at 0.02 on average, the cheap one 80 % at 0.004; both pay more for what is hard.
TRUE_STRONG, TRUE_CHEAP = 0.02 / 0.9, 0.004 / 0.8


def tasks(number: int, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    drawn = np.random.default_rng(seed)
    size = drawn.exponential(1.0, number)
    ease = drawn.random(number)
    strong, cheap = (ease < 0.9).astype(float), (ease < 0.8).astype(float)
    return 0.02 * size, 0.004 * size * drawn.uniform(0.5, 1.5, number), strong, cheap


def found(*given: Floats, confidence: float = 0.9) -> CostDelta:
    told = cost_delta(*given, confidence=confidence)
    assert told is not None
    return told


def test_what_failed_is_paid_for() -> None:
    # Cheap: 4 tasks at 1 each, one is done. Strong: 4 at 2 each, all are done. Done, the cheap one is dearer.
    told = found(np.full(4, 2.0), np.full(4, 1.0), np.ones(4), np.array([1.0, 0, 0, 0]))
    assert (told.incumbent, told.candidate, told.delta, told.quotient) == (2.0, 4.0, 2.0, 2.0)
    assert told.bounds == (-np.inf, np.inf)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = apart = 0
    for seed in range(400):
        told = found(*tasks(150, seed))
        held += told.bounds.lower <= TRUE_CHEAP - TRUE_STRONG <= told.bounds.upper
        apart += told.quotient_bounds.lower <= TRUE_CHEAP / TRUE_STRONG <= told.quotient_bounds.upper
    assert 0.85 <= held / 400 <= 0.95
    assert 0.85 <= apart / 400 <= 0.95


def test_the_same_tasks_thrice_say_no_more() -> None:
    given = tasks(100, 5)
    once = found(*given)
    thrice = cost_delta(*(np.repeat(one, 3) for one in given), clusters=np.repeat(np.arange(100), 3))
    assert thrice is not None
    assert thrice.bounds == pytest.approx(once.bounds)


def test_tasks_without_a_cost_are_left_out() -> None:
    ours, theirs, strong, cheap = tasks(60, 1)
    ours[:10] = np.nan
    theirs[50:] = np.nan
    told = found(ours, theirs, strong, cheap)
    assert told.tasks == 40
    assert told == found(*(one[10:50] for one in (ours, theirs, strong, cheap)))


def test_where_nothing_was_completed_there_is_no_price() -> None:
    ours, theirs, strong, _ = tasks(60, 1)
    assert cost_delta(ours, theirs, strong, np.zeros(60)) is None
    assert cost_delta(np.full(3, np.nan), np.ones(3), np.ones(3), np.ones(3)) is None
    assert cost_delta(np.empty(0), np.empty(0), np.empty(0), np.empty(0)) is None


def test_what_costs_nothing_is_not_divided_by() -> None:
    _, theirs, strong, cheap = tasks(60, 1)
    told = found(np.zeros(60), theirs, strong, cheap)
    assert (told.quotient, told.quotient_bounds) == (None, (0.0, np.inf))
    free = found(theirs, np.zeros(60), strong, cheap)
    assert (free.quotient, free.quotient_bounds, free.candidate) == (0.0, (0.0, 0.0), 0.0)
    assert free.bounds.upper < 0
