"""Means of what goes together: as published where items do not, and honest where they do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from routing.evidence.statistics.betting import log_evidence
from routing.evidence.statistics.clustered import bootstrapped, cluster_means, clustered_mean
from routing.evidence.types import Floats

# Student, "The probable error of a mean" (1908): hours of sleep gained with one drug beyond those with another.
SLEEP = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])


def sessions(
    number: int, seed: int, *, shared: float = 0.3
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Sessions of 1 to 8 items; each session has a level of its own, around 0."""
    drawn = np.random.default_rng(seed)
    sizes = drawn.integers(1, 9, number)
    which = np.repeat(np.arange(number), sizes)
    return drawn.normal(0.0, shared, number)[which] + drawn.normal(0.0, 0.2, which.size), which


def test_alone_each_it_is_students_paired_interval() -> None:
    found = clustered_mean(SLEEP, np.arange(10), confidence=0.95)
    # As R's t.test(extra ~ group, paired = TRUE) prints it.
    assert found.mean == pytest.approx(1.58)
    assert [found.lower, found.upper] == pytest.approx([0.7001142, 2.4598858])
    assert found.inflation == pytest.approx(1.0)


def test_the_same_item_five_times_says_no_more_than_once() -> None:
    once = clustered_mean(SLEEP, np.arange(10))
    again = clustered_mean(np.repeat(SLEEP, 5), np.repeat(np.arange(10), 5))
    assert [again.mean, again.error] == pytest.approx([once.mean, once.error])
    assert again.clusters == 10
    assert again.inflation == pytest.approx(5.0, rel=0.15)


def test_the_interval_holds_the_truth_as_often_as_it_says_and_an_ordinary_one_does_not() -> None:
    held = ordinary = 0
    for seed in range(400):
        values, which = sessions(40, seed)
        found = clustered_mean(values, which, confidence=0.9)
        held += found.lower <= 0.0 <= found.upper
        naive = clustered_mean(values, np.arange(values.size), confidence=0.9)
        ordinary += naive.lower <= 0.0 <= naive.upper
    assert 0.86 <= held / 400 <= 0.94
    assert ordinary / 400 < 0.75


def test_the_bootstrap_is_scipys_where_every_item_is_alone() -> None:
    skewed = np.random.default_rng(3).exponential(0.1, 60)
    ours = bootstrapped(skewed, np.arange(60), drawn=np.random.default_rng(1), draws=20_000)
    theirs = stats.bootstrap(
        (skewed,), np.mean, confidence_level=0.9, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.lower == pytest.approx(theirs.low, abs=0.001)
    assert ours.upper == pytest.approx(theirs.high, abs=0.001)


def test_the_bootstrap_of_clusters_holds_the_truth() -> None:
    held = 0
    for seed in range(200):
        values, which = sessions(40, seed)
        found = bootstrapped(values, which, drawn=np.random.default_rng(seed), draws=800)
        held += found.lower <= 0.0 <= found.upper
    assert 0.83 <= held / 200 <= 0.95


def test_means_of_clusters_are_what_is_bet_on() -> None:
    means, weights = cluster_means(np.array([0.5, 1.0, 0.0, -1.0]), np.array([7, 3, 3, 9]))
    assert list(means) == [0.5, 0.5, -1.0]
    assert list(weights) == [0.5, 1.0, 0.5]
    alone, all_one = cluster_means(np.array([0.2, -0.2]), np.array([1, 0]))
    assert log_evidence(alone, 0.0, all_one) == pytest.approx(log_evidence(np.array([0.2, -0.2]), 0.0))


def test_nothing_and_one_cluster_say_nothing() -> None:
    one = clustered_mean(np.array([0.1, 0.2]), np.array([4, 4]))
    assert one.mean == pytest.approx(0.15)
    assert (one.lower, one.upper, one.clusters) == (-np.inf, np.inf, 1)
    assert bootstrapped(np.ones(3), np.zeros(3, dtype=int), drawn=np.random.default_rng(0)) == (-np.inf, np.inf)
    assert bootstrapped(np.ones(3), np.arange(3), drawn=np.random.default_rng(0)) == (1.0, 1.0)
    for values, which in ((np.array([]), np.array([], dtype=int)), (np.ones(3), np.arange(2))):
        with pytest.raises(ValueError, match="a cluster for each"):
            clustered_mean(values, which)
