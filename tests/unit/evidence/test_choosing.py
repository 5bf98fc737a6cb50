"""Many candidates at once: no more of those chosen are wrong than was agreed."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from routing.evidence.statistics.choosing import believed


def test_the_more_are_believed_the_less_each_needs() -> None:
    # Of four at a rate of a tenth: 40 for one alone, 20 for two, 13.3 for three, 10 for four.
    assert believed([log(8), log(30), log(100), log(1)], rate=0.1) == [False, True, True, False]
    assert believed([log(39)], rate=0.1) == [True]
    assert believed([log(39), 0.0, 0.0, 0.0], rate=0.1) == [False] * 4
    assert believed([log(11), log(11), log(11), log(11)], rate=0.1) == [True] * 4
    assert believed([], rate=0.1) == []
    assert believed([-np.inf, log(50)], rate=0.1) == [False, True]


def test_what_is_missing_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="missing"):
        believed([log(100), float("nan")], rate=0.1)


@pytest.mark.parametrize("together", [False, True])
def test_of_those_chosen_few_are_wrong_even_if_all_go_together(together: bool) -> None:
    drawn = np.random.default_rng(3)
    wrong = []
    for _ in range(2_000):
        # 20 that are true: e-values of 1 on average, each an independent one or all the same. 10 that are not.
        true = drawn.pareto(1.2, 1 if together else 20) * 0.2
        values = np.concatenate([np.resize(true, 20), drawn.lognormal(4.0, 1.0, 10)])
        chosen = np.array(believed(list(np.log(values)), rate=0.1))
        wrong.append(chosen[:20].sum() / max(1, chosen.sum()))
    assert np.mean(wrong) <= 0.1
