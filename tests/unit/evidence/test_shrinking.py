"""Means of few are drawn to the mean of all, and closer to the truth for it."""

from __future__ import annotations

import numpy as np
import pytest

from routing.evidence.statistics.shrinking import shrunk

# Eight schools: how much coaching helped, with its standard error. Rubin, "Estimation in parallel randomized
# experiments", J. Educational Statistics 6 (1981).
SCHOOLS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def test_eight_schools_differ_by_no_more_than_chance() -> None:
    found = shrunk(SCHOOLS, ERRORS)
    assert found.between == 0.0
    assert found.means == pytest.approx(np.full(8, found.parent))
    # As published of all of them in one.
    assert found.parent == pytest.approx(7.7, abs=0.05)
    # The error of that is 4.1; that they are all alike is not sure, and least so of the first.
    assert found.errors.min() == pytest.approx(4.1, abs=0.05)
    assert found.errors.argmax() == 0


def test_few_are_drawn_further_than_many() -> None:
    found = shrunk(np.array([0.5, 0.5, -0.5, -0.5]), np.array([0.01, 0.5, 0.01, 0.5]))
    assert found.means[0] == pytest.approx(0.5, abs=0.01)
    assert 0.1 < found.means[1] < 0.45
    assert found.errors[1] < 0.5


def test_it_is_nearer_to_the_truth_and_knows_how_near() -> None:
    drawn = np.random.default_rng(5)
    before, after, held = [], [], []
    for _ in range(200):
        truth = drawn.normal(0.1, 0.05, 30)
        errors = drawn.uniform(0.02, 0.2, 30)
        seen = drawn.normal(truth, errors)
        found = shrunk(seen, errors)
        before.append(((seen - truth) ** 2).mean())
        after.append(((found.means - truth) ** 2).mean())
        held.append((np.abs(found.means - truth) <= 1.645 * found.errors).mean())
    assert np.mean(after) < np.mean(before) / 3
    assert np.mean(held) >= 0.87


def test_one_type_is_its_own_parent() -> None:
    found = shrunk(np.array([0.3]), np.array([0.1]))
    assert found.means[0] == found.parent == pytest.approx(0.3)
    assert found.between == 0.0
    assert found.errors[0] == pytest.approx(0.1)
