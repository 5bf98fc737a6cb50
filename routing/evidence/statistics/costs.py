"""What a completed task costs: all that was spent, also on what failed, over what was done with it.

Two models on the same tasks. Each ratio is of sums over tasks; how far they may be off follows from how much each task
moves them (the delta method: Cochran, "Sampling techniques" (1977), section 6; the difference and the quotient of two
ratios on one sample are linear in the same residuals). Clusters as in `clustered`.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from routing.evidence.statistics.student import half_width
from routing.evidence.types import Floats, Interval

# So few tasks, or clusters of them, do not say how much they differ.
LEAST_TASKS: Final = 20


class CostDelta(NamedTuple):
    """Dollars for a completed task: of both, candidate minus incumbent with its interval, and `quotient`, candidate
    over incumbent, with its own. Intervals are two-sided, and infinite where fewer than LEAST_TASKS clusters say it;
    `quotient` is None where the incumbent costs nothing.
    """

    incumbent: float
    candidate: float
    delta: float
    bounds: Interval
    quotient: float | None
    quotient_bounds: Interval
    tasks: int


def cost_delta(
    incumbent_cost: Floats,
    candidate_cost: Floats,
    incumbent_done: Floats,
    candidate_done: Floats,
    *,
    clusters: NDArray[np.int64] | None = None,
    confidence: float = 0.9,
) -> CostDelta | None:
    """All of shape (n,): dollars, NaN where nobody knows, and how far the task was done, 0 to 1, as a score says. Tasks
    of which a cost is not known are left out. None where there is none left, or one of the two completed nothing: a
    completed task then has no price.
    """
    told = ~(np.isnan(incumbent_cost) | np.isnan(candidate_cost))
    costs = np.stack([incumbent_cost[told], candidate_cost[told]])
    done = np.stack([incumbent_done[told], candidate_done[told]])
    if not costs.size or not (done.sum(axis=1) > 0).all():
        return None
    ours, theirs = costs.sum(axis=1) / done.sum(axis=1)
    # How much each task moves either ratio.
    moves = (costs - np.array([[ours], [theirs]]) * done) / done.sum(axis=1, keepdims=True)
    which = np.arange(costs.shape[1]) if clusters is None else np.unique(clusters[told], return_inverse=True)[1]
    half = _half(moves[1] - moves[0], which, confidence)
    delta = float(theirs - ours)
    quotient, between = None, Interval(0.0, float("inf"))
    if ours > 0:
        quotient = float(theirs / ours)
        if theirs > 0:
            apart = _half(moves[1] / theirs - moves[0] / ours, which, confidence)
            between = Interval(exp(log(quotient) - apart), _exp(log(quotient) + apart))
        else:
            between = Interval(0.0, 0.0)
    return CostDelta(
        float(ours), float(theirs), delta, Interval(delta - half, delta + half), quotient, between, costs.shape[1]
    )


def _half(moves: Floats, which: NDArray[np.int64], confidence: float) -> float:
    drawn = np.bincount(which, weights=moves)
    number = drawn.size
    if number < LEAST_TASKS:
        return float("inf")
    error = sqrt(float((drawn**2).sum()) * number / (number - 1))
    return half_width(confidence, number - 1, error)


def _exp(power: float) -> float:
    return exp(power) if power < 700.0 else float("inf")
