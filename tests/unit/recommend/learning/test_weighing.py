"""How careful to be where the best of several is chosen: it costs nothing to choose between what errs alike."""

from __future__ import annotations

import numpy as np
import pytest

from routing.evidence.types import Floats
from routing.recommend.learning.weighing import Weighed, chosen, errors_needed, weighed

TASKS, TARGET = 120, 0.95
SAVED = np.linspace(0.01, 1.0, 100)


def kind(*tasks: int, loses: float = 0.1, spread: float = 0.02) -> Weighed:
    """A tenth of the quality where all is saved, which these tasks alone make uncertain."""
    off = np.zeros((len(SAVED), TASKS))
    off[:, tasks] = (SAVED * spread / np.sqrt(len(tasks)))[:, None]
    return weighed(1 - loses * SAVED, SAVED, off, np.zeros(len(SAVED)))


def needed(*kinds: Weighed, assurance: float = 0.5) -> float:
    found = errors_needed(
        Weighed(*(np.concatenate(each) for each in zip(*kinds, strict=True))), target=TARGET, assurance=assurance
    )
    assert found is not None
    return found


def of(first: int) -> range:
    return range(first, first + 40)


def test_to_choose_between_kinds_that_err_alike_costs_nothing() -> None:
    one = kind(*of(0))
    assert needed(one, one, one) == needed(one)
    assert chosen([one, one, one], target=TARGET, assurance=0.5) == chosen([one], target=TARGET, assurance=0.5)


def test_to_choose_between_kinds_that_err_apart_is_paid_for() -> None:
    one, two, three = kind(*of(0)), kind(*of(40)), kind(*of(80))
    assert needed(one) < needed(one, two) < needed(one, two, three)


def test_a_kind_that_is_never_the_best_costs_nothing() -> None:
    assert needed(kind(*of(0)), kind(*of(40), loses=0.9)) == needed(kind(*of(0)))


def test_more_assurance_is_paid_for_by_the_errors_of_what_was_learned_from_and_of_what_is_met() -> None:
    one = kind(*of(0))
    errors = [needed(one, assurance=each) for each in (0.5, 0.8, 0.9, 0.99)]
    assert errors == sorted(errors)
    # Of a normal distribution; what comes of choosing the amount is on top of that, and is little.
    assert 1.2 < needed(one, assurance=0.9) < 1.6
    assert one.error[-1] == pytest.approx(np.sqrt(2) * 0.02)


def test_what_is_chosen_is_told_with_its_kind() -> None:
    worse, better = kind(*of(0), loses=0.2), kind(*of(0), loses=0.1)
    found = chosen([worse, better], target=TARGET, assurance=0.9)
    assert found is not None
    assert found[0] == 1
    assert better.kept[found[1]] > TARGET


@pytest.mark.parametrize("kinds", [[], [kind(*range(40), loses=9.0)], [kind(*range(40), loses=6.0, spread=3.0)]])
def test_where_nothing_keeps_enough_nothing_is_chosen(kinds: list[Weighed]) -> None:
    assert chosen(kinds, target=TARGET, assurance=0.9) is None


def test_luck_is_drawn_alike_however_many_tasks_there_are() -> None:
    """More tasks than are drawn at a time: as uncertain as the sum of their errors says, of both halves."""
    size = 10_000
    off: Floats = np.full((1, size), 0.02 / np.sqrt(size))
    found = weighed(np.ones(1), np.ones(1), off, np.full(1, 0.01**2))
    assert found.luck.std() == pytest.approx(0.02, rel=0.1)
    assert found.fresh.std() == pytest.approx(np.hypot(0.02, 0.01), rel=0.1)
    assert abs(np.corrcoef(found.luck[0], found.fresh[0])[0, 1]) < 0.1
