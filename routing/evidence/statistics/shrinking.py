"""Small types lean on what they are part of: a mean of few is drawn to the mean of all, the more the less it is worth.

Empirical Bayes with normal means, in the manner of Morris, "Parametric empirical Bayes inference" (JASA 78, 1983): the
errors count that how much types differ is only estimated; here as Paule and Mandel did (J. Res. NBS 87, 1982), by what
makes the weighted squares as large as they should be.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from routing.evidence.types import Floats

_HALVINGS: Final = 60


class Shrunk(NamedTuple):
    """Of each type, in their order, the mean as it is to be expected and its standard error; and of all of them, the
    mean of their means and how much they differ (a standard deviation, 0 where nothing says that they do).
    """

    means: Floats
    errors: Floats
    parent: float
    between: float


def shrunk(means: Floats, errors: Floats) -> Shrunk:
    """`means` and their standard errors, which are above 0, have the shape (types,), one type at least."""
    seen, own = np.asarray(means, dtype=np.float64), np.asarray(errors, dtype=np.float64) ** 2
    between = _between(seen, own)
    weights = 1.0 / (own + between)
    parent = float((weights * seen).sum() / weights.sum())
    # How much of what is seen of a type is its own, and how well that is known.
    kept = between / (own + between)
    doubt = 2.0 / max(len(seen) - 3, 1) * (1.0 - kept) ** 2 * weights * (own.mean() + between)
    # The parent is not known for sure either.
    variance = kept * own + (1.0 - kept) ** 2 / weights.sum() + doubt * (seen - parent) ** 2
    return Shrunk(parent + kept * (seen - parent), np.sqrt(variance), parent, float(np.sqrt(between)))


def _between(seen: Floats, own: Floats) -> float:
    def squares(between: float) -> float:
        weights = 1.0 / (own + between)
        parent = (weights * seen).sum() / weights.sum()
        return float((weights * (seen - parent) ** 2).sum())

    free = len(seen) - 1
    if free < 1 or squares(0.0) <= free:
        return 0.0
    low, high = 0.0, float((seen.max() - seen.min()) ** 2) + float(own.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if squares(middle) > free else (low, middle)
    return (low + high) / 2.0
