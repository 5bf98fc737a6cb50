"""Whether a classifier names calls worse than was measured: evidence that may be looked at after every call. Pure.

A mixture of likelihood ratios against every worse share of right guesses (Ville's inequality; Howard and others,
"Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021). While guesses are
right as often as was measured, or oftener, the evidence is ever above 1 / a with a probability of at most a.
"""

from __future__ import annotations

from math import exp, log, log1p
from typing import Final

# One classifier in a thousand is ever wrongly found to drift in a week.
DRIFTS_AT: Final = 1_000.0
# Worse shares that are bet on, as parts of the measured one.
_PARTS: Final = tuple(step / 20 for step in range(4, 20))
_MOST: Final = 700.0


def evidence(*, named: int, right: int, measured: float) -> float:
    """How much `right` of `named` speaks against a share of at least `measured`, which is between 0 and 1. At most
    about e to the 700.
    """
    wrong = named - right
    total = 0.0
    for part in _PARTS:
        worse = part * measured
        logarithm = right * log(part) + wrong * (log1p(-worse) - log1p(-measured))
        total += exp(min(logarithm, _MOST))
    return total / len(_PARTS)


def drifts(*, named: int, right: int, measured: float) -> bool:
    return evidence(named=named, right=right, measured=measured) >= DRIFTS_AT
