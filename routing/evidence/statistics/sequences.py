"""Bounds after every pair, for a picture: those of `betting`, at no more points than a picture has."""

from __future__ import annotations

from math import log
from typing import Final, NamedTuple

import numpy as np

from routing.evidence.statistics.betting import log_evidence
from routing.evidence.types import Floats

# Means that are tried; between two of them the bound is interpolated.
_TRIED: Final = 201
_AT_ONCE: Final = 2_000_000


class Point(NamedTuple):
    """After so many pairs: their mean, and what the bounds were then."""

    pairs: int
    mean: float
    lower: float
    upper: float


def sequence(
    differences: Floats, *, alpha: float = 0.05, weights: Floats | None = None, points: int = 200
) -> list[Point]:
    """Of (n,), at no more than so many looks, evenly apart, the last after all of them; within 0.01 of
    `betting.bounds` of the pairs until then. They may widen: what comes later may contradict what came before.
    """
    x = np.asarray(differences, dtype=np.float64)
    if not x.size:
        return []
    looks = np.unique(np.linspace(0, x.size - 1, min(points, x.size)).round().astype(np.int64))
    counted = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    means = np.cumsum(x * counted) / np.maximum(np.cumsum(counted), 1e-300)
    lower = _lower(x, looks, alpha, weights)
    upper = -_lower(-x, looks, alpha, weights)
    return [
        Point(int(at) + 1, float(means[at]), float(low), float(high))
        for at, low, high in zip(looks, lower, upper, strict=True)
    ]


def _lower(
    x: Floats, looks: np.ndarray[tuple[int], np.dtype[np.int64]], alpha: float, weights: Floats | None
) -> Floats:
    tried = np.linspace(-1.0, 1.0, _TRIED + 2)[1:-1]
    goal = log(1.0 / alpha)
    best = np.empty((tried.size, looks.size))
    step = max(_AT_ONCE // x.size, 1)
    for start in range(0, tried.size, step):
        some = tried[start : start + step]
        shape = (some.size, x.size)
        counted = None if weights is None else np.broadcast_to(weights, shape)
        best[start : start + step] = log_evidence(np.broadcast_to(x, shape), some, counted)[:, looks]
    # How strong the evidence is against "the mean is this or lower": it falls as this rises.
    refuted = best >= goal
    last = np.where(refuted.any(axis=0), refuted.shape[0] - 1 - refuted[::-1].argmax(axis=0), -1)
    lower = np.full(looks.size, -1.0)
    for column in np.flatnonzero(last >= 0):
        row = int(last[column])
        if row + 1 >= tried.size:
            lower[column] = tried[row]
            continue
        high, low = best[row, column], best[row + 1, column]
        share = (high - goal) / (high - low) if high > low else 0.0
        lower[column] = tried[row] + share * (tried[row + 1] - tried[row])
    return lower
