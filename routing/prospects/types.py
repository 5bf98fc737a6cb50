"""What is known of how likely models do calls well: learned, and seen since."""

from __future__ import annotations

from typing import NamedTuple

from routing.classify.types import Signs
from routing.classify.types.learned import Bin


class Came(NamedTuple):
    """What a call came to at one model: the mean of its scores (0 to 1) and of its costs (dollars), None where nobody
    said; `drawn` where its model was drawn. `chance` is what was foreseen of it there, None where nothing was.
    """

    call: int
    model: str
    score: float
    cost: float | None
    drawn: bool
    chance: float | None


class Sampled(NamedTuple):
    """A call as it was sampled."""

    signs: Signs
    session: str


class Since(NamedTuple):
    """Of one model, calls that came to something after their chance was told: how far the two are apart."""

    model: str
    calls: int
    bins: tuple[Bin, ...]
    error: float
    is_off: bool
