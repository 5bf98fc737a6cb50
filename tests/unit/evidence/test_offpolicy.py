"""What another rule would have come to: as it does come to, where chances were drawn, and nothing where not."""

from __future__ import annotations

import numpy as np
import pytest

from routing.evidence.statistics.offpolicy import NoPropensity, doubly_robust, self_normalized
from routing.evidence.types import Floats

TRUTH = 0.62


def logged(calls: int, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Calls of which half are hard, and hard ones go to the strong model more often. The strong one does 90 % of the
    easy and 70 % of the hard, the cheap one 84 % and 40 %. Gives whether each was done, by the model it went to, with
    which chance it went there, whether that is what a rule for the cheap one would do, and whether it is hard.
    """
    drawn = np.random.default_rng(seed)
    hard = drawn.random(calls) < 0.5
    to_cheap = np.where(hard, 0.1, 0.8)
    cheap = drawn.random(calls) < to_cheap
    chance_done = np.where(cheap, np.where(hard, 0.4, 0.84), np.where(hard, 0.7, 0.9))
    done = (drawn.random(calls) < chance_done).astype(float)
    return done, np.where(cheap, to_cheap, 1 - to_cheap), cheap.astype(float), hard.astype(float)


def test_a_rule_is_judged_as_if_it_had_decided_though_the_easy_calls_went_to_the_cheap_model() -> None:
    done, chances, would, hard = logged(20_000, seed=1)
    # What is seen of the cheap model flatters it by more than 15 points.
    assert done[would == 1].mean() > TRUTH + 0.15
    found = self_normalized(done, chances, would)
    assert found.value == pytest.approx(TRUTH, abs=0.02)
    assert found.lower < TRUTH < found.upper
    assert found.effective < would.sum()
    guessed = np.where(hard == 1, 0.5, 0.8)
    robust = doubly_robust(done, chances, would, guessed, guessed)
    assert robust.value == pytest.approx(TRUTH, abs=0.02)
    assert robust.upper - robust.lower < found.upper - found.lower


@pytest.mark.parametrize("clustered", [False, True])
def test_the_interval_holds_the_truth_as_often_as_it_says(clustered: bool) -> None:
    held = 0
    for seed in range(300):
        done, chances, would, _ = logged(1_500, seed)
        clusters = None
        if clustered:
            # Every call thrice, as a session that asks for the same again.
            done, chances, would = (np.repeat(one, 3) for one in (done, chances, would))
            clusters = np.repeat(np.arange(1_500), 3)
        found = self_normalized(done, chances, would, clusters=clusters, confidence=0.9)
        held += found.lower <= TRUTH <= found.upper
    assert 0.85 <= held / 300 <= 0.95


def test_all_that_was_chosen_as_the_rule_would_is_a_plain_mean() -> None:
    done = np.array([1.0, 0.0, 1.0, 1.0])
    assert self_normalized(done, np.full(4, 0.5), np.ones(4)).value == pytest.approx(0.75)
    assert self_normalized(done, np.full(4, 0.5), np.ones(4)).effective == pytest.approx(4.0)


@pytest.mark.parametrize("chance", [0.0, -0.1, 1.1, 0.0005, float("nan")])
def test_calls_that_nobody_drew_for_say_nothing(chance: float) -> None:
    done, chances = np.ones(3), np.array([0.5, chance, 0.5])
    with pytest.raises(NoPropensity):
        self_normalized(done, chances, np.ones(3))
    with pytest.raises(NoPropensity):
        doubly_robust(done, chances, np.ones(3), done, done)


def test_a_choice_that_was_certain_says_nothing_of_another() -> None:
    # All easy calls went to the cheap model, all others did not: how it does on those nobody knows.
    done, chances = np.ones(100), np.ones(100)
    would = np.where(np.arange(100) < 50, 1.0, 0.0)
    with pytest.raises(NoPropensity, match="a choice was certain"):
        self_normalized(done, chances, would)
    with pytest.raises(NoPropensity, match="a choice was certain"):
        doubly_robust(done, chances, would, done, done)
    assert self_normalized(done, chances, chances).value == 1.0


@pytest.mark.parametrize(("calls", "clusters"), [(1, None), (19, None), (100, 1), (100, 19)])
def test_of_a_handful_nobody_knows_how_much_they_differ(calls: int, clusters: int | None) -> None:
    which = None if clusters is None else 10**12 + np.arange(calls) % clusters
    done, chances = np.resize([0.0, 1.0], calls), np.full(calls, 0.5)
    found = self_normalized(done, chances, np.ones(calls), clusters=which)
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    robust = doubly_robust(done, chances, np.ones(calls), done, done, clusters=which)
    assert (robust.lower, robust.upper) == (-np.inf, np.inf)


def test_no_calls_and_none_that_the_rule_would_make_say_nothing() -> None:
    with pytest.raises(NoPropensity):
        self_normalized(np.array([]), np.array([]), np.array([]))
    with pytest.raises(NoPropensity, match="none of the choices"):
        self_normalized(np.ones(3), np.full(3, 0.5), np.zeros(3))
