"""Bounds for a picture: those of the evidence itself, at few points."""

from __future__ import annotations

import numpy as np
import pytest

from routing.evidence.statistics.betting import bounds
from routing.evidence.statistics.sequences import sequence


@pytest.mark.parametrize("weighted", [False, True])
def test_each_point_is_what_the_bounds_were_then(weighted: bool) -> None:
    drawn = np.random.default_rng(8)
    seen = drawn.choice([-1.0, -0.5, 0.0, 1.0], 700, p=[0.05, 0.05, 0.75, 0.15])
    weights = drawn.uniform(0.2, 1.0, 700) if weighted else None
    points = sequence(seen, weights=weights, points=50)
    assert len(points) == 50
    assert (points[0].pairs, points[-1].pairs) == (1, 700)
    for point in points[::7] + points[-1:]:
        some = None if weights is None else weights[: point.pairs]
        then = bounds(seen[: point.pairs], weights=some)
        assert point.lower == pytest.approx(then.lower, abs=0.01)
        assert point.upper == pytest.approx(then.upper, abs=0.01)
    counted = np.ones(700) if weights is None else weights
    assert points[-1].mean == pytest.approx(float((seen * counted).sum() / counted.sum()))


def test_what_comes_later_may_contradict_what_came_before() -> None:
    """The easy ones first: what was believed of them is not believed of all."""
    points = sequence(np.concatenate([np.zeros(300), np.tile([-1.0, 0.0], 100)]), points=100)
    assert max(one.lower for one in points) > -0.03
    assert points[-1].lower < -0.2


def test_few_pairs_are_as_many_points_and_none_is_none() -> None:
    assert sequence(np.empty(0)) == []
    assert [one.pairs for one in sequence(np.zeros(3))] == [1, 2, 3]
    # One pair that is all better refutes next to nothing, and no more.
    assert sequence(np.ones(1))[0][2:] == pytest.approx((-1.0, 1.0), abs=0.03)


def test_what_is_always_better_is_known_to_be_better() -> None:
    last = sequence(np.ones(300))[-1]
    assert last.lower > 0.9
    assert last.upper == 1.0
