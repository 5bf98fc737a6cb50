"""Evidence on a mean difference that may be looked at after every pair: no look costs anything, and none is too early.

Somebody bets, pair by pair, against what is to be refuted: that the mean is `least` or lower. Were it true, what they
own would not grow on average, whenever it is looked at; that it ever reaches 1/alpha has a probability of at most alpha
(Ville). What they own is an e-value.

The money is split among a few bets that stay what they are, so that what is owned is a mean of products: the same in
whatever order the pairs came. A run that has the easy ones first and the hard ones last says after all of them what it
says shuffled, and more pairs only multiply what was there. Who bet by what came before could be led: to bet high while
all is easy, and low when it gets hard.

What remains to be trusted is that pairs were drawn alike. Then a look at any time is right. Where they come by kind, a
look in between is one at those kinds alone: it is right about them, and changes with those that follow, which is why a
verdict is what is owned now and not the most that ever was.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), on [-1, 1]
instead of [0, 1]; fixed bets mixed as by Robbins, "Statistical methods related to the law of the iterated logarithm",
Ann. Math. Statist. 41 (1970).
"""

from __future__ import annotations

from enum import Enum
from math import log
from typing import Final, NamedTuple

import numpy as np

from routing.evidence.types import Floats, Interval

# What is bet, as a share of what would lose all at once, and of how much of the money. By a margin of 5 points an
# equal candidate is told soonest by 0.4 where every tenth pair disagrees, by 0.2 where every fourth does; one that is
# better by 0.7.
_BETS: Final = ((0.7, 0.1), (0.4, 0.25), (0.22, 0.35), (0.12, 0.25), (0.06, 0.05))
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
    gained = _weighted(x - floor, weights) / (1.0 + floor)
    total = np.full(gained.shape, -np.inf)
    for bet, share in _BETS:
        total = np.logaddexp(total, log(share) + np.cumsum(np.log1p(bet * gained), axis=-1))
    return total


def judged(differences: Floats, margin: float, *, alpha: float = 0.05, weights: Floats | None = None) -> Judged:
    """What all of (n,) say, in whatever order they are: PASS when it is refuted that the candidate is worse by the
    margin or more, FAIL when it is refuted that it is not; and after how many, in the order they are in, that was so
    first. Raises ValueError for a margin that is not between 0 and 1.
    """
    if not 0.0 < margin < 1.0:
        raise ValueError("a margin is between 0 and 1: 0.05 is 5 points")
    x = np.asarray(differences, dtype=np.float64)
    for verdict, sign in ((Verdict.PASS, 1.0), (Verdict.FAIL, -1.0)):
        owned = log_evidence(sign * x, -sign * margin, weights)
        if x.size >= LEAST_PAIRS and owned[-1] >= log(1.0 / alpha):
            return Judged(verdict, _reached(owned, alpha) or len(x))
    return Judged(Verdict.INCONCLUSIVE, len(x))


def refuted_after(
    differences: Floats, least: float, *, alpha: float = 0.05, weights: Floats | None = None
) -> int | None:
    """For who stops there: after how many pairs of (n,), in this order, it is first refuted that the mean is `least` or
    lower, LEAST_PAIRS at least; None where they do not say so.
    """
    return _reached(log_evidence(differences, least, weights), alpha)


def _reached(owned: Floats, alpha: float) -> int | None:
    (reached,) = np.nonzero(owned >= log(1.0 / alpha))
    return max(int(reached[0]) + 1, LEAST_PAIRS) if reached.size and len(owned) >= LEAST_PAIRS else None


def bounds(differences: Floats, *, alpha: float = 0.05, weights: Floats | None = None) -> Interval:
    """Of the mean of (n,), by all that was seen, however few they are: each bound alone is passed by the truth with a
    probability of at most alpha, at any look. Where the lower one is above -margin, a PASS by that margin is said.
    They are the same in whatever order the pairs are.
    """
    x = np.asarray(differences, dtype=np.float64)
    return Interval(_lower(x, alpha, weights), -_lower(-x, alpha, weights))


def _lower(x: Floats, alpha: float, weights: Floats | None) -> float:
    """The largest mean that is refuted, found by halving."""
    goal, refuted, left = log(1.0 / alpha), -1.0, 1.0
    for _ in range(_HALVINGS):
        least = (refuted + left) / 2.0
        if x.size and log_evidence(x, least, weights)[-1] >= goal:
            refuted = least
        else:
            left = least
    return refuted


def _within(name: str, values: Floats, least: float, most: float) -> None:
    if not ((values >= least) & (values <= most)).all():
        raise ValueError(f"{name} are numbers from {least:g} to {most:g}")


def _weighted(gained: Floats, weights: Floats | None) -> Floats:
    return gained if weights is None else gained * weights
