"""Means of what is not drawn one by one: the items of a session or a user go together, and count for less than as many
that do not.

Standard errors by Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986),
with the usual correction for few clusters (Cameron and Miller, "A practitioner's guide to cluster-robust inference",
J. Human Resources 50 (2015), their CR1 for a mean) and Student's t with one degree of freedom less than clusters. Where
every item is a cluster of its own, that is the paired t interval. The bootstrap draws whole clusters: Davison and
Hinkley, "Bootstrap methods and their application" (1997), section 3.8; corrected for bias and skewness (BCa) by Efron,
"Better bootstrap confidence intervals", JASA 82 (1987).
"""

from __future__ import annotations

from math import isfinite, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from routing.evidence.statistics.student import half_width
from routing.evidence.types import Floats, Interval

# Draws of the bootstrap that are in memory together.
_CELLS: Final = 4_000_000


class Clustered(NamedTuple):
    """A mean, its standard error, and a two-sided interval; both infinite where there are fewer than two clusters.
    `inflation` is how many times the variance is that of as many items drawn one by one (the design effect; 1 where
    nothing varies).
    """

    mean: float
    error: float
    lower: float
    upper: float
    clusters: int
    inflation: float


def clustered_mean(values: Floats, clusters: NDArray[np.int64], *, confidence: float = 0.9) -> Clustered:
    """The mean over items of (n,), where those of one number in `clusters` are drawn together. Raises ValueError
    where there is none.
    """
    x, which = _numbered(values, clusters)
    number, mean = int(which.max()) + 1, float(x.mean())
    if number < 2:
        return Clustered(mean, float("inf"), -float("inf"), float("inf"), number, 1.0)
    away = np.bincount(which, weights=x - mean)
    error = sqrt(float((away**2).sum()) * number / (number - 1)) / x.size
    half = half_width(confidence, number - 1, error)
    alone = float(x.var(ddof=1)) / x.size
    return Clustered(mean, error, mean - half, mean + half, number, error**2 / alone if alone > 0 else 1.0)


def cluster_means(values: Floats, clusters: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Of (n,): the mean of each cluster, and its weight, its size over that of the largest; in the order in which
    clusters come first. These are what `betting` takes: bets on clusters, each of which is drawn by itself.
    """
    x, which = _numbered(values, clusters)
    sizes = np.bincount(which)
    return np.bincount(which, weights=x) / sizes, sizes / sizes.max()


def bootstrapped(
    values: Floats,
    clusters: NDArray[np.int64],
    *,
    drawn: np.random.Generator,
    confidence: float = 0.9,
    draws: int = 4_000,
) -> Interval:
    """Of the mean over items, by drawing clusters with replacement, BCa. For few pairs with uneven scores, of which a t
    interval says too much. Infinite where there are fewer than two clusters. Raises ValueError where there is nothing.
    """
    x, which = _numbered(values, clusters)
    sums, sizes = np.bincount(which, weights=x), np.bincount(which).astype(float)
    number = sums.size
    if number < 2:
        return Interval(-float("inf"), float("inf"))
    means = np.concatenate(
        [
            sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
            for step in _steps(draws, number)
            for picked in [drawn.integers(number, size=(step, number))]
        ]
    )
    mean = float(x.mean())
    below = float((means < mean).mean() + (means == mean).mean() / 2)
    if not 0.0 < below < 1.0:
        return Interval(mean, mean)
    normal = NormalDist()
    bias = normal.inv_cdf(below)
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    away = without.mean() - without
    spread = float((away**2).sum()) ** 1.5
    skew = float((away**3).sum()) / (6.0 * spread) if spread > 0 else 0.0

    def level(z: float) -> float:
        moved = bias + (bias + z) / (1.0 - skew * (bias + z))
        return normal.cdf(moved) if isfinite(moved) else 0.5

    z = normal.inv_cdf((1 + confidence) / 2)
    lower, upper = np.quantile(means, [level(-z), level(z)])
    return Interval(float(lower), float(upper))


def _numbered(values: Floats, clusters: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """The values, and clusters numbered from 0 in the order in which they come first."""
    x = np.asarray(values, dtype=np.float64)
    if not x.size or x.shape != np.shape(clusters):
        raise ValueError("there are values, and a cluster for each")
    _, first, which = np.unique(clusters, return_index=True, return_inverse=True)
    return x, np.argsort(np.argsort(first))[which]


def _steps(draws: int, number: int) -> list[int]:
    step = max(_CELLS // number, 1)
    return [min(step, draws - done) for done in range(0, draws, step)]
