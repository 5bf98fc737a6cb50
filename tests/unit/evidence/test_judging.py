"""Judges: asked both ways round, and held against people."""

from __future__ import annotations

import numpy as np
import pytest

from routing.evidence.statistics.judging import kappa, prediction_powered, swapped


def test_a_judge_that_changes_its_mind_abstains() -> None:
    found = swapped(np.array([1.0, 1.0, 0.5, 0.0, 0.0]), np.array([1.0, -1.0, 0.3, 1.0, 0.0]))
    assert list(found.differences) == pytest.approx([1.0, 0.0, 0.4, 0.0, 0.0])
    assert list(found.abstained) == [False, True, False, True, False]


def test_how_much_the_first_is_favoured_is_measured() -> None:
    drawn = np.random.default_rng(4)
    better = drawn.normal(0.1, 0.3, 2_000)
    # Whoever is shown first gets 0.2 more.
    found = swapped(np.clip(better + 0.2, -1, 1), np.clip(better - 0.2, -1, 1))
    assert found.first == pytest.approx(0.2, abs=0.02)
    assert 0 < found.error < 0.01
    assert 0.1 < found.abstained.mean() < 0.6
    fair = swapped(better, better)
    assert fair.first == 0.0
    assert not fair.abstained.any()


def test_it_is_the_judges_mean_and_how_far_it_is_off() -> None:
    # 100 judged at 0.7 and 0.9 by turns; of 20 that people scored too they gave 0.1 less.
    judged = np.resize([0.7, 0.9], 100)
    found = prediction_powered(judged, judged[:20], judged[:20] - 0.1)
    assert [found.judged, found.off, found.mean] == pytest.approx([0.8, -0.1, 0.7])
    # The correction varies nowhere, so only the judgements do: 0.1 by the root of 99.
    assert found.error == pytest.approx(0.1 / np.sqrt(99))
    assert found.labelled == 20


def test_people_are_met_as_often_as_it_says_and_sooner_than_by_their_scores_alone() -> None:
    held, widths, alone = 0, [], []
    for seed in range(400):
        drawn = np.random.default_rng(seed)
        human = (drawn.random(1_200) < 0.7).astype(float)
        # Too kind: it passes 30 % of what people fail, and fails 4 % of what they pass.
        judge = np.where(human == 1, drawn.random(1_200) < 0.96, drawn.random(1_200) < 0.3).astype(float)
        found = prediction_powered(judge[200:], judge[:200], human[:200])
        held += found.lower <= 0.7 <= found.upper
        widths.append(found.error)
        alone.append(human[:200].std(ddof=1) / np.sqrt(200))
        assert abs(found.judged - 0.762) < 0.08
    assert 0.86 <= held / 400 <= 0.94
    assert np.mean(widths) < 0.9 * np.mean(alone)


def test_a_handful_of_labels_says_nothing() -> None:
    found = prediction_powered(np.full(100, 0.8), np.full(5, 0.8), np.full(5, 0.6))
    assert found.mean == pytest.approx(0.6)
    assert (found.lower, found.upper) == (-np.inf, np.inf)


def test_agreement_beyond_chance_is_cohens() -> None:
    # The usual worked example: 50 proposals, both say yes to 20 and no to 15.
    assert kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert kappa(np.array([[30, 0], [0, 20]])) == pytest.approx(1.0)
    assert kappa(np.array([[25, 25], [25, 25]])) == pytest.approx(0.0)
    assert kappa(np.array([[9, 0], [0, 0]])) == 1.0


def test_what_is_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="both ways round"):
        swapped(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="people's beside"):
        prediction_powered(np.ones(9), np.empty(0), np.empty(0))
    for table in (np.zeros((2, 2)), np.ones((2, 3))):
        with pytest.raises(ValueError, match="as many rows"):
            kappa(table.astype(np.int64))
