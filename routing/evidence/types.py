"""What crosses evidence: arrays of numbers, and where a number is."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


class Interval(NamedTuple):
    lower: float
    upper: float
