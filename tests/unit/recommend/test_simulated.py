"""Many candidates at once, of which the truth is known: how often what is recommended is wrong, and what is found."""

from __future__ import annotations

import numpy as np

from routing.evidence.types import Seen
from tests.factories.recommend import COSTS, STRONG, advised, coins, tried, worked_out

CANDIDATES = 30
SPLITS = 60


def test_of_thirty_candidates_at_once_those_that_are_worse_are_hardly_ever_recommended() -> None:
    """All of them cost less, and are worse by a little more than the margin: the cheapest would be taken."""
    wrong = 0
    for seed in range(SPLITS):
        shares = {STRONG: 0.85} | {f"worse-{n}": 0.795 for n in range(CANDIDATES)}
        costs = COSTS | {f"worse-{n}": 0.001 + n / 10_000 for n in range(CANDIDATES)}
        found = advised(worked_out(tried(coins(shares, 500, seed), costs=costs)))
        wrong += any(one.kind == "switch" for one in found)
    assert wrong / SPLITS <= 0.1


def test_the_equal_one_among_them_is_found_and_it_alone() -> None:
    right = wrong = 0
    for seed in range(SPLITS // 2):
        shares = {STRONG: 0.85, "equal": 0.85} | {f"worse-{n}": 0.79 for n in range(CANDIDATES - 1)}
        costs = COSTS | {"equal": 0.004} | {f"worse-{n}": 0.001 for n in range(CANDIDATES - 1)}
        found = advised(worked_out(tried(coins(shares, 2_000, seed), costs=costs)))
        switched = [one.candidate for one in found if one.kind == "switch"]
        right += switched == ["equal"]
        wrong += any(name != "equal" for name in switched)
    assert right / (SPLITS // 2) >= 0.9
    assert wrong / (SPLITS // 2) <= 0.1


def test_looking_again_and_again_as_evidence_comes_does_not_make_more_of_them() -> None:
    wrong = 0
    for seed in range(SPLITS):
        scores = coins({STRONG: 0.85, "worse": 0.80}, 600, 1_000 + seed)
        looks = (
            tried({name: its[:number] for name, its in scores.items()}, costs=COSTS | {"worse": 0.002})
            for number in range(25, 601, 25)
        )
        wrong += any(one.kind == "switch" for look in looks for one in advised(worked_out(look)))
    assert wrong / SPLITS <= 0.1


def test_a_log_in_which_hard_tasks_went_to_the_strong_model_gives_no_recommendation() -> None:
    for seed in range(SPLITS):
        drawn = np.random.default_rng(seed)
        ease = drawn.random(5_000)
        hard = ease < 0.5
        # Truly the cheap model is 20 points worse on every task; by the log it is better.
        strong, cheap = np.where(hard, 0.6, 0.95), np.where(hard, 0.4, 0.75)
        seen = [
            Seen(STRONG, int(hard.sum()), float((drawn.random(hard.sum()) < strong[hard]).mean()), 0.02),
            Seen("cheap", int((~hard).sum()), float((drawn.random((~hard).sum()) < cheap[~hard]).mean()), 0.002),
        ]
        assert seen[1].mean > seen[0].mean
        nothing = tried({STRONG: [np.nan], "cheap": [np.nan]})
        assert [one.kind for one in advised(worked_out(nothing, seen=seen))] == ["experiment"]
