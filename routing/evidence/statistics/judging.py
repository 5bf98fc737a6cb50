"""What a judge's scores are worth: shown both ways round, and held against what people said of some of them.

A model that judges prefers what it sees first, what is longer, and what is its own; so it is asked twice, and what it
says both times counts. How far it is off on average is known from answers that people scored as well, and is taken off:
Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science 382 (2023) 669-674, for a
mean. Agreement beyond chance: Cohen, "A coefficient of agreement for nominal scales" (1960).
"""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from routing.evidence.statistics.paired import two_sided
from routing.evidence.types import Floats

# Fewer answers that people scored do not say how far a judge is off.
LEAST_LABELS: Final = 20


class Swapped(NamedTuple):
    """`differences` of (n,), 0 where the judge abstained: it preferred another answer once they were the other way
    round. `first` is how much better, on average, an answer is judged for being shown first, and `error` its standard
    error.
    """

    differences: Floats
    abstained: NDArray[np.bool_]
    first: float
    error: float


class Corrected(NamedTuple):
    """A mean as people would have given it: `judged` is the judge's own, `off` what people gave beyond it where both
    did. The interval is two-sided, by normal approximation, and infinite for fewer than LEAST_LABELS.
    """

    mean: float
    error: float
    lower: float
    upper: float
    judged: float
    off: float
    labelled: int


def swapped(ab: Floats, ba: Floats) -> Swapped:
    """Judgements of (n,) pairs, candidate minus incumbent, -1 to 1: with the candidate shown first (`ab`) and last
    (`ba`). Raises ValueError where there are none, or not as many.
    """
    one, other = np.asarray(ab, dtype=np.float64), np.asarray(ba, dtype=np.float64)
    if not one.size or one.shape != other.shape:
        raise ValueError("every pair is judged both ways round")
    abstained = np.sign(one) != np.sign(other)
    favour = (one - other) / 2.0
    error = float(favour.std(ddof=1)) / sqrt(favour.size) if favour.size > 1 else float("inf")
    return Swapped(np.where(abstained, 0.0, (one + other) / 2.0), abstained, float(favour.mean()), error)


def prediction_powered(judged: Floats, judged_too: Floats, human: Floats, *, confidence: float = 0.9) -> Corrected:
    """The mean of what people would say, from many judgements that nobody checked, (N,), and those of (n,) that people
    scored too, drawn from the same answers: mean(judged) + mean(human - judged_too). Right whatever the judge is worth;
    narrow where it is worth something. Raises ValueError where one is missing.
    """
    many, few, people = (np.asarray(one, dtype=np.float64) for one in (judged, judged_too, human))
    if not many.size or not few.size or few.shape != people.shape:
        raise ValueError("there are judgements, and people's beside some of them")
    beyond = people - few
    mean = float(many.mean() + beyond.mean())
    error = float("inf")
    if few.size >= LEAST_LABELS and many.size >= LEAST_LABELS:
        error = sqrt(float(many.var(ddof=1)) / many.size + float(beyond.var(ddof=1)) / few.size)
    half = two_sided(confidence) * error
    return Corrected(mean, error, mean - half, mean + half, float(many.mean()), float(beyond.mean()), int(few.size))


def kappa(table: NDArray[np.int64]) -> float:
    """How far two who sort the same answers agree beyond chance: 1 always, 0 as chance would, less where they
    contradict. `table[i, j]` is how many answers the one put into i and the other into j. 1 where both put everything
    into the same.  Raises ValueError for a table that is empty or not square.
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.sum() > 0:
        raise ValueError("a table has as many rows as columns, and something in it")
    shares = counts / counts.sum()
    agreed, by_chance = float(np.trace(shares)), float(shares.sum(axis=0) @ shares.sum(axis=1))
    return 1.0 if by_chance >= 1.0 else (agreed - by_chance) / (1.0 - by_chance)
