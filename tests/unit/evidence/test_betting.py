"""Evidence that may be looked at after every pair: what it is allowed to say wrongly, and how soon it says anything."""

from __future__ import annotations

from itertools import product
from math import exp, log, prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.evidence.statistics.betting import Verdict, bounds, judged, log_evidence
from routing.evidence.types import Floats

MARGIN = 0.05
WORSE, SAME, BETTER = -1.0, 0.0, 1.0


def pairs(number: int, *, disagreeing: float, difference: float, runs: int, seed: int = 7) -> Floats:
    """Runs of pairs of which such a share disagrees, the candidate being better by so much on average."""
    drawn = np.random.default_rng(seed).random((runs, number))
    better, worse = (disagreeing + difference) / 2, (disagreeing - difference) / 2
    return np.where(drawn < better, BETTER, np.where(drawn < better + worse, WORSE, SAME))


def expected(chances: dict[float, float], number: int, least: float, weights: Floats | None = None) -> float:
    """The e-value after so many pairs, on average over all that can happen."""
    total = 0.0
    for outcome in product(chances, repeat=number):
        chance = prod(chances[one] for one in outcome)
        total += chance * exp(log_evidence(np.array(outcome), least, weights)[-1])
    return total


@pytest.mark.parametrize(
    ("least", "chances"),
    [
        (-0.05, {WORSE: 0.15, SAME: 0.75, BETTER: 0.1}),
        (-0.9, {WORSE: 0.9, SAME: 0.1}),
        (0.5, {SAME: 0.5, BETTER: 0.5}),
        (0.0, {-0.3: 0.5, 0.1: 0.25, 0.5: 0.25}),
    ],
)
def test_where_it_is_true_what_is_owned_does_not_grow_on_average(least: float, chances: dict[float, float]) -> None:
    assert sum(value * chance for value, chance in chances.items()) == pytest.approx(least)
    for number in range(1, 7):
        assert expected(chances, number, least) == pytest.approx(1.0)
    # The mean is lower still: it shrinks.
    assert expected(chances, 5, least + 0.02) < 1.0


def test_clusters_count_by_their_weight() -> None:
    # Every third is large and worse by 0.4; two of three are half as large, and better by as much.
    clusters = {(1.0, -0.4): 1 / 3, (0.5, 0.4): 2 / 3}
    for number in range(1, 6):
        total = 0.0
        for outcome in product(clusters, repeat=number):
            weights, seen = np.array(outcome).T
            chance = prod(clusters[one] for one in outcome)
            total += chance * exp(log_evidence(seen, 0.0, weights)[-1])
        assert total == pytest.approx(1.0)
    assert expected({WORSE: 0.5, BETTER: 0.5}, 4, 0.0, np.array([1.0, 0.2, 0.7, 0.0])) == pytest.approx(1.0)


@pytest.mark.parametrize("disagreeing", [0.1, 0.2, 0.4])
def test_who_is_worse_by_the_margin_is_seldom_passed_however_often_one_looks(disagreeing: float) -> None:
    seen = pairs(3_000, disagreeing=disagreeing, difference=-MARGIN, runs=500)
    passed = (log_evidence(seen, -MARGIN) >= log(20)).any(axis=1)
    assert passed.mean() <= 0.05


@pytest.mark.parametrize(("disagreeing", "most"), [(0.1, 300), (0.2, 500), (0.25, 650)])
def test_who_is_equal_is_passed_about_as_soon_as_a_sample_of_a_fixed_size_would(disagreeing: float, most: int) -> None:
    seen = pairs(5_000, disagreeing=disagreeing, difference=0.0, runs=200)
    told = [judged(run, MARGIN) for run in seen]
    assert np.median([one.after for one in told]) <= most
    assert np.mean([one.verdict is Verdict.PASS for one in told]) >= 0.98


ORDERS = {
    "the easy ones first": lambda run: np.argsort(np.abs(run), kind="stable"),
    "the hard ones first": lambda run: np.argsort(-np.abs(run), kind="stable"),
    "the lost ones last": lambda run: np.argsort(-run, kind="stable"),
    "the lost ones first": lambda run: np.argsort(run, kind="stable"),
    "the lost ones among the others": lambda run: np.argsort(np.where(run < 0, np.arange(len(run)) % 7, 3)),
}


@pytest.mark.parametrize("order", ORDERS)
def test_no_order_makes_all_of_them_say_more(order: str) -> None:
    """Whoever chooses the order of what has arrived cannot pass who is worse by the margin more often."""
    seen = pairs(600, disagreeing=0.2, difference=-MARGIN, runs=300)
    worst = np.array([run[ORDERS[order](run)] for run in seen])
    assert log_evidence(worst, -MARGIN)[:, -1] == pytest.approx(log_evidence(seen, -MARGIN)[:, -1])
    assert np.mean([judged(run, MARGIN).verdict is Verdict.PASS for run in worst]) <= 0.05
    for run, shuffled in zip(seen[:10], worst[:10], strict=True):
        assert bounds(shuffled) == pytest.approx(bounds(run))


def test_more_pairs_only_multiply_what_was_there() -> None:
    seen = pairs(300, disagreeing=0.3, difference=0.0, runs=1)[0]
    first, later = seen[:120], seen[120:]
    assert log_evidence(seen, -MARGIN)[:120] == pytest.approx(log_evidence(first, -MARGIN))
    shuffled = np.concatenate([first, np.random.default_rng(1).permutation(later)])
    assert log_evidence(shuffled, -MARGIN)[-1] == pytest.approx(log_evidence(seen, -MARGIN)[-1])


def test_runs_that_come_by_kind_pass_for_the_easy_ones_alone_and_no_longer() -> None:
    """What is said in between is said of what has come, and taken back when the rest comes."""
    easy, hard = np.zeros(300), pairs(300, disagreeing=0.4, difference=-0.25, runs=1)[0]
    assert judged(easy, MARGIN).verdict is Verdict.PASS
    assert judged(np.concatenate([easy, hard]), MARGIN).verdict is Verdict.FAIL
    assert judged(np.concatenate([easy, hard[:60]]), MARGIN).verdict is not Verdict.PASS


def test_who_is_much_worse_fails_soon() -> None:
    told = [judged(run, MARGIN) for run in pairs(2_000, disagreeing=0.3, difference=-0.2, runs=100)]
    assert {one.verdict for one in told} == {Verdict.FAIL}
    assert np.median([one.after for one in told]) <= 200


def test_a_handful_says_nothing() -> None:
    for all_alike in (WORSE, SAME, BETTER):
        assert judged(np.full(19, all_alike), MARGIN) == (Verdict.INCONCLUSIVE, 19)
    assert judged(np.ones(20), MARGIN) == (Verdict.PASS, 20)
    assert judged(-np.ones(20), MARGIN) == (Verdict.FAIL, 20)
    assert judged(np.array([]), MARGIN) == (Verdict.INCONCLUSIVE, 0)
    assert bounds(np.array([])) == (-1.0, 1.0)


def test_the_truth_is_seldom_beyond_a_bound_and_the_bounds_are_not_wide() -> None:
    runs = [bounds(run) for run in pairs(1_000, disagreeing=0.2, difference=0.03, runs=200)]
    assert np.mean([one.lower > 0.03 for one in runs]) <= 0.05
    assert np.mean([one.upper < 0.03 for one in runs]) <= 0.05
    # For one look alone, 1.645 standard errors to each side are 0.047.
    assert np.mean([one.upper - one.lower for one in runs]) <= 0.08


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=200).map(np.array),
    st.integers(1, 40),
    st.floats(0.01, 0.3),
)
def test_what_passes_a_margin_is_what_stays_above_it(seen: Floats, times: int, margin: float) -> None:
    repeated = np.tile(seen, times)
    lower, upper = bounds(repeated)
    assert -1.0 <= lower <= 1.0
    assert -1.0 <= upper <= 1.0
    if abs(lower + margin) > 1e-3:
        assert (log_evidence(repeated, -margin)[-1] >= log(20)) == (lower > -margin)


@pytest.mark.parametrize("margin", [-0.05, 0.0, 1.0, 5.0, float("nan")])
def test_a_margin_is_a_share(margin: float) -> None:
    with pytest.raises(ValueError, match="a margin is between 0 and 1"):
        judged(np.zeros(50), margin)


@pytest.mark.parametrize(
    ("seen", "least", "weights", "said"),
    [
        ([0.0, 1.1], 0.0, None, "differences are numbers from -1 to 1"),
        ([0.0, float("nan")], 0.0, None, "differences"),
        ([0.0, 0.0], 1.0, None, "the mean to refute"),
        ([0.0, 0.0], 0.0, [0.5, 2.0], "weights are numbers from 0 to 1"),
    ],
)
def test_what_is_beyond_all_sense_is_refused(seen: list[float], least: float, weights: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        log_evidence(np.array(seen), least, None if weights is None else np.array(weights))


def test_many_runs_are_weighed_at_once() -> None:
    seen = pairs(50, disagreeing=0.3, difference=0.1, runs=3)
    at_once = log_evidence(seen, np.array([-0.1, -0.05, 0.0]))
    for run, least, found in zip(seen, (-0.1, -0.05, 0.0), at_once, strict=True):
        assert found == pytest.approx(log_evidence(run, least))
