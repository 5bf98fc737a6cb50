"""Evidence on a mean difference that may be looked at after every pair: no look costs anything, and none is too early.

Somebody bets, pair by pair, against what is to be refuted: that the mean is `least` or lower. The bet on the next pair
follows from those before it alone, so that, were it true, what they own would not grow on average, whenever it is
looked at; that it ever reaches 1/alpha has a probability of at most alpha (Ville). What they own is an e-value.

That holds where pairs are drawn alike: after any of them, the mean of the next is what the mean is. Who has them in an
order of their own, by kind or by day, shuffles them first; what changes with time is seen by looking at times apart.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), on [-1, 1]
instead of [0, 1]. How much is bet is ours: half of the money expects that the two are equal, which is what mostly is
when somebody asks whether one is as good; the other half follows the mean so far (their "aGRAPA").
"""

from __future__ import annotations

from enum import Enum
from math import log
from typing import Final, NamedTuple

import numpy as np

from routing.evidence.types import Floats, Interval

# What is known of a variance before anything was seen: that of pairs of which every fourth disagrees, as if seen so
# often.
_VARIANCE: Final = 0.25
_SEEN: Final = 4.0
# No more than this share of what would lose all at once is bet: one surprise does not end it.
_BOLDEST: Final = 0.75
_HALVINGS: Final = 24
# Whatever fewer pairs say: they are hardly ever drawn as later ones will be.
LEAST_PAIRS: Final = 20


class Verdict(Enum):
    PASS = "pass"  # noqa: S105 - not a word that lets anybody in
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Judged(NamedTuple):
    verdict: Verdict
    # So many pairs were looked at.
    after: int


def log_evidence(differences: Floats, least: float | Floats, weights: Floats | None = None) -> Floats:
    """The logarithm of the e-value against "the mean is `least` or lower", after each pair.

    `differences` has the shape (..., n), in the order they came; `least`, between -1 and 1, is one number or has the
    shape (...) of what is before n. `weights`, as `differences`, are between 0 and 1: what is refuted is then
    that the weighted mean is `least` or lower, as with means of clusters that are not equally large. Raises ValueError
    for what is beyond these.
    """
    x = np.asarray(differences, dtype=np.float64)
    floor = np.asarray(least, dtype=np.float64)[..., None]
    _within("differences", x, -1.0, 1.0)
    _within("weights", np.asarray(1.0 if weights is None else weights), 0.0, 1.0)
    if not (np.abs(floor) < 1.0).all():
        raise ValueError("the mean to refute is between -1 and 1")
    gained = x - floor
    mean, variance = _before(x)
    # What one would bet who knew that the mean is this: it makes wealth grow fastest, to second order.
    equal, ahead = np.maximum(-floor, 0.0), np.maximum(mean - floor, 0.0)
    most = _BOLDEST / (1.0 + floor)
    worth = [
        np.cumsum(np.log1p(np.minimum(hoped / (variance + hoped**2), most) * _weighted(gained, weights)), axis=-1)
        for hoped in (equal, ahead)
    ]
    total: Floats = np.logaddexp(*worth) - log(2.0)
    return total


def judged(differences: Floats, margin: float, *, alpha: float = 0.05, weights: Floats | None = None) -> Judged:
    """What is said first of (n,), however often it was looked at, and after how many pairs: PASS when it is refuted
    that the candidate is worse by the margin or more, FAIL when it is refuted that it is not. Raises ValueError for a
    margin that is not between 0 and 1.
    """
    if not 0.0 < margin < 1.0:
        raise ValueError("a margin is between 0 and 1: 0.05 is 5 points")
    x = np.asarray(differences, dtype=np.float64)
    good = refuted_after(x, -margin, alpha=alpha, weights=weights)
    bad = refuted_after(-x, margin, alpha=alpha, weights=weights)
    if good is not None and (bad is None or good <= bad):
        return Judged(Verdict.PASS, good)
    return Judged(Verdict.INCONCLUSIVE, len(x)) if bad is None else Judged(Verdict.FAIL, bad)


def refuted_after(
    differences: Floats, least: float, *, alpha: float = 0.05, weights: Floats | None = None
) -> int | None:
    """How many pairs of (n,) it takes to refute that the mean is `least` or lower, LEAST_PAIRS at least; None where
    they do not.
    """
    (reached,) = np.nonzero(log_evidence(differences, least, weights) >= log(1.0 / alpha))
    return max(int(reached[0]) + 1, LEAST_PAIRS) if reached.size and len(differences) >= LEAST_PAIRS else None


def bounds(differences: Floats, *, alpha: float = 0.05, weights: Floats | None = None) -> Interval:
    """Of the mean of (n,), by all that was seen, however few they are: each bound alone is passed by the truth with a
    probability of at most alpha, at any look. Where the lower one is above -margin, a PASS by that margin was to be
    said. In an order that was not drawn the two may cross.
    """
    x = np.asarray(differences, dtype=np.float64)
    return Interval(_lower(x, alpha, weights), -_lower(-x, alpha, weights))


def _lower(x: Floats, alpha: float, weights: Floats | None) -> float:
    """The largest mean that is refuted, found by halving."""
    goal, refuted, left = log(1.0 / alpha), -1.0, 1.0
    for _ in range(_HALVINGS):
        least = (refuted + left) / 2.0
        if x.size and log_evidence(x, least, weights).max() >= goal:
            refuted = least
        else:
            left = least
    return refuted


def _before(x: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of what came before each; the mean as if one pair without a difference had been seen."""
    seen = np.arange(1.0, x.shape[-1] + 1.0)
    mean = np.cumsum(x, axis=-1) / (seen + 1.0)
    variance = (_VARIANCE * _SEEN + np.cumsum((x - mean) ** 2, axis=-1)) / (seen + _SEEN)
    return _later(mean, 0.0), _later(variance, _VARIANCE)


def _within(name: str, values: Floats, least: float, most: float) -> None:
    if not ((values >= least) & (values <= most)).all():
        raise ValueError(f"{name} are numbers from {least:g} to {most:g}")


def _later(what: Floats, at_first: float) -> Floats:
    first = np.full((*what.shape[:-1], 1), at_first)
    return np.concatenate([first, what[..., :-1]], axis=-1)


def _weighted(gained: Floats, weights: Floats | None) -> Floats:
    return gained if weights is None else gained * weights
