"""What a rule would have come to, from calls that another rule decided: each counts as often as it was unlikely. That
holds only where chances were drawn and written down; where they were not, nothing here says anything.

Swaminathan and Joachims, "The self-normalized estimator for counterfactual learning" (NeurIPS 2015); Dudík, Langford
and Li, "Doubly robust policy evaluation and learning" (ICML 2011).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from finops.core.errors import FinopsError
from routing.evidence.statistics.paired import two_sided
from routing.evidence.types import Floats

# A call that was made by a smaller chance would outweigh a thousand others.
LEAST_CHANCE: Final = 0.001
# So few, calls or clusters of them, do not say how much they differ.
LEAST_DRAWN: Final = 20


class NoPropensity(FinopsError):
    """Calls that nobody drew for, where the rule would have chosen otherwise; or by too small a chance to count."""

    code = "evidence.no_propensity"


class Estimate(NamedTuple):
    """`lower` and `upper` are two-sided, by normal approximation, and infinite for fewer than LEAST_DRAWN calls that
    the rule might have made, or clusters of such; `effective` is how many equally weighted calls would say as much.
    """

    value: float
    lower: float
    upper: float
    effective: float


def self_normalized(
    rewards: Floats,
    chances: Floats,
    would: Floats,
    *,
    clusters: NDArray[np.int64] | None = None,
    confidence: float = 0.9,
) -> Estimate:
    """The mean reward under a rule that makes the choice that was made with the chance `would`, where it was made with
    `chances`; all of shape (n,). `clusters` number those that are drawn together, as a session's calls are. Raises
    NoPropensity.
    """
    weight = _weights(chances, would)
    total = weight.sum()
    if not total > 0:
        raise NoPropensity("the rule would have made none of the choices that were made", field="would")
    value = float((weight * rewards).sum() / total)
    return _estimate(value, weight * (rewards - value) / total, clusters, confidence, weight)


def doubly_robust(
    rewards: Floats,
    chances: Floats,
    would: Floats,
    expected: Floats,
    expected_of_rule: Floats,
    *,
    clusters: NDArray[np.int64] | None = None,
    confidence: float = 0.9,
) -> Estimate:
    """As `self_normalized`, with a guess besides: `expected` is the reward guessed of the choice that was made,
    `expected_of_rule` that of what the rule would choose. Right where the chances are, or the guesses.
    """
    weight = _weights(chances, would)
    each = expected_of_rule + weight * (rewards - expected)
    value = float(each.mean())
    return _estimate(value, (each - value) / len(each), clusters, confidence, weight)


def _weights(chances: Floats, would: Floats) -> Floats:
    found = np.asarray(chances, dtype=np.float64)
    if not found.size:
        raise NoPropensity("there are no calls", field="chances")
    if not ((found >= LEAST_CHANCE) & (found <= 1.0)).all():
        raise NoPropensity(f"every choice has a chance, from {LEAST_CHANCE} to 1", field="chances")
    rule = np.asarray(would, dtype=np.float64)
    if ((found == 1.0) & (rule < 1.0)).any():
        raise NoPropensity("where the rule would choose otherwise, a choice was certain", field="chances")
    weights: Floats = rule / found
    return weights


def _estimate(
    value: float, residuals: Floats, clusters: NDArray[np.int64] | None, confidence: float, weight: Floats
) -> Estimate:
    which = np.arange(len(weight)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    drawn, heavy = (np.bincount(which, weights=one) for one in (residuals, weight))
    number = len(drawn)
    spread = float("inf")
    if np.count_nonzero(heavy) >= LEAST_DRAWN:
        error = np.sqrt((drawn**2).sum() * number / (number - 1))
        spread = float(error) * two_sided(confidence)
    effective = float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0
    return Estimate(value, value - spread, value + spread, effective)
