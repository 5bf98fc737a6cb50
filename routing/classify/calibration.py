"""Whether chances mean what they say: how often what was said with 80 % was so, and what makes them honest. Pure.

Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (ICML 2017) for temperatures, bins and the
expected calibration error; Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
estimates" (KDD 2002) for curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from statistics import NormalDist
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import chdtrc

from routing.classify.types.learned import Bin

Floats: TypeAlias = NDArray[np.float64]
Knots: TypeAlias = tuple[tuple[float, float], ...]

BINS: Final = 10
# Of a curve: so many groups, and so many calls in each.
MOST_KNOTS: Final = 20
LEAST_IN_GROUP: Final = 30
# Thresholds that are tried; few, so that the best of them is not so by luck.
THRESHOLDS: Final = tuple(step / 20 for step in range(20))
# Chances are off that are so far away on average, and by chance so seldom as far.
OFF_BY: Final = 0.05
OFF_SURELY: Final = 0.01
_LEAST_SPREAD: Final = 3.0
_COLDEST: Final = 0.02
_HOTTEST: Final = 50.0


def columns(pairs: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Chances and what they came to, of shape (n,) each."""
    table = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def reliability(chances: Floats, right: Floats, *, bins: int = BINS) -> tuple[Bin, ...]:
    """Both of shape (n,), from 0 to 1; `right` may be graded. Bins of one width, those without any left out."""
    where = np.minimum((np.asarray(chances) * bins).astype(np.int64), bins - 1)
    found = []
    for one in np.unique(where):
        of = where == one
        found.append(
            Bin(
                float(one) / bins,
                float(one + 1) / bins,
                int(of.sum()),
                float(np.mean(chances[of])),
                float(np.mean(right[of])),
            )
        )
    return tuple(found)


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """How far chances are from what came true, on average over calls (the expected calibration error); 0 for none."""
    number = sum(one.number for one in bins)
    return sum(one.number * abs(one.chance - one.right) for one in bins) / number if number else 0.0


def is_off(bins: tuple[Bin, ...], *, behind: float = inf) -> bool:
    """Whether chances are clearly not what they say: further away than OFF_BY on average, and further than honest ones
    are but once in a hundred times. Hosmer and Lemeshow, "Goodness of fit tests for the multiple logistic regression
    model", Communications in Statistics 9, 1980; of calls that were not fitted to, so with a degree of freedom for each
    group. `behind` is of how many calls each chance is the mean: of few it is off by luck, and the same for all calls
    that have it. Graded outcomes spread less than the test expects, so of them it says so later.
    """
    if calibration_error(bins) <= OFF_BY:
        return False
    groups = _grouped(bins, behind)
    far = sum((came - told) ** 2 / spread for told, came, spread in groups)
    return bool(groups) and bool(chdtrc(len(groups), far) <= OFF_SURELY)


def _grouped(bins: tuple[Bin, ...], behind: float) -> list[tuple[float, float, float]]:
    """Of neighbouring bins together, so that each group has calls enough to be normal: what was to come, what came, and
    the spread (variance) of that. None where all together have too few.
    """
    groups: list[tuple[float, float, float]] = []
    told = came = spread = 0.0
    for one in bins:
        told, came = told + one.number * one.chance, came + one.number * one.right
        spread += one.number * one.chance * (1.0 - one.chance) * (1.0 + one.number / behind)
        if spread >= _LEAST_SPREAD:
            groups.append((told, came, spread))
            told = came = spread = 0.0
    if groups:
        before = groups.pop()
        groups.append((before[0] + told, before[1] + came, before[2] + spread))
    return groups


def softmax(scores: Floats) -> Floats:
    """Of shape (n, outputs), each row a distribution."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return chances


def temperature(scores: Floats, labels: NDArray[np.int64]) -> float:
    """What scores of shape (n, outputs) are to be divided by, so that their softmax is as likely as can be."""
    rows = np.arange(len(labels))

    def surprise(logarithm: float) -> float:
        cooled = scores / np.exp(logarithm)
        cooled = cooled - cooled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(cooled).sum(axis=1)) - cooled[rows, labels]))

    bounds = (float(np.log(_COLDEST)), float(np.log(_HOTTEST)))
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))


def curve(scores: Floats, outcomes: Floats) -> Knots:
    """How scores of shape (n,), of any scale, become chances: means of groups of one size, in ascending order of scores
    and so put together that no higher score has a lower chance (isotonic regression by pooling adjacent violators).
    Outcomes are from 0 to 1; with one more in each group that went as all did on average, so that few make nobody
    certain. One call at least.
    """
    order = np.argsort(scores, kind="stable")
    groups = np.array_split(order, max(1, min(MOST_KNOTS, len(order) // LEAST_IN_GROUP)))
    usual = float(np.mean(outcomes))
    # Of each block: calls, the sum of their scores, and the sum of their outcomes.
    blocks: list[tuple[int, float, float]] = []
    for one in groups:
        block = (len(one) + 1, float(np.mean(scores[one])) * (len(one) + 1), float(outcomes[one].sum()) + usual)
        while blocks and blocks[-1][2] / blocks[-1][0] >= block[2] / block[0]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    return tuple((total / number, good / number) for number, total, good in blocks)


def ascending(knots: Knots) -> Knots:
    """Without knots at the score of one before, so that each score has one chance: the mean of them."""
    found: dict[float, list[float]] = {}
    for score, chance in knots:
        found.setdefault(score, []).append(chance)
    return tuple((score, sum(each) / len(each)) for score, each in sorted(found.items()))


def along(knots: Knots, scores: Floats) -> Floats:
    """The chances of scores by a curve: between knots in a straight line, beyond them as at the last."""
    x, y = zip(*knots, strict=True)
    found: Floats = np.interp(scores, x, y)
    return found


def least_share(right: int, number: int, *, confidence: float = 0.95) -> float:
    """The one-sided lower bound of a share (Wilson's score); 0 for none."""
    if not number:
        return 0.0
    z = NormalDist().inv_cdf(confidence)
    share = right / number
    half = z * sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    return max(0.0, (share + z**2 / (2 * number) - half) / (1 + z**2 / number))


def threshold(confidences: Floats, right: NDArray[np.bool_], *, share: float) -> float | None:
    """The least of THRESHOLDS at which this share of guesses is right also at the lower bound of what was seen, and at
    none above it fewer were; None where there is none.
    """
    found = None
    for one in reversed(THRESHOLDS):
        named = confidences >= one
        number = int(named.sum())
        hits = int(right[named].sum())
        if least_share(hits, number) >= share:
            found = one
        elif number and hits < share * number:
            break
    return found
