"""Of many pairs tried at once, those that may be believed together."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np


def believed(log_evidence: Sequence[float], *, rate: float) -> list[bool]:
    """For each of many hypotheses, of which the logarithm of an e-value is given, whether it is refuted, so that of all
    that are, no more than this rate is expected to have been true: whatever they have to do with each other. Raises
    ValueError for what is no number.

    The e-BH procedure of Wang and Ramdas, "False discovery rate control with e-values", JRSS B 84 (2022).
    """
    found = np.asarray(log_evidence, dtype=np.float64)
    if not found.size:
        return []
    if np.isnan(found).any():
        raise ValueError("an e-value is missing")
    ranked = np.sort(found)[::-1]
    enough = ranked >= log(found.size / rate) - np.log(np.arange(1, found.size + 1))
    if not enough.any():
        return [False] * found.size
    least = ranked[np.flatnonzero(enough)[-1]]
    return [bool(one >= least) for one in found]
