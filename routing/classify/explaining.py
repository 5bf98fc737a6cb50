"""Whether a task type says anything of quality: where it does not, a rule by type is a coin. Pure.

The share of the spread of scores that lies between types (omega squared, which unlike eta squared does not grow with
the number of types: Hays, "Statistics", 1963), and a permutation test: how often types that were dealt out at random
explain as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from finops.core.errors import Invalid

LEAST_ITEMS: Final = 20
SHUFFLES: Final = 999
SURE: Final = 0.01
# Less than this is nothing to route by, however sure it is.
WORTH: Final = 0.02
_SEED: Final = 7


class CannotExplain(Invalid):
    """Too few items, or all of one type."""

    code = "classify.cannot_explain"


class Explained(NamedTuple):
    """`share` is of the variance, 0 to 1; `p_value` how often chance explains as much."""

    items: int
    types: int
    share: float
    p_value: float
    in_words: str

    @property
    def splits(self) -> bool:
        return self.p_value <= SURE and self.share >= WORTH


def explains(types: Sequence[str], scores: NDArray[np.float64], *, shuffles: int = SHUFFLES) -> Explained:
    """Of items of these types, whose scores (or differences of two models' scores) have the shape (n,). Raises
    CannotExplain.
    """
    values = np.asarray(scores, dtype=np.float64)
    names, which = np.unique(list(types), return_inverse=True)
    if len(values) != len(which) or len(values) < LEAST_ITEMS or len(names) < 2 or len(names) >= len(values):
        raise CannotExplain(f"at least {LEAST_ITEMS} items of two types, and more items than types", field="types")
    number, sizes = len(values), np.bincount(which)
    centred = values - values.mean()
    whole = float(centred @ centred)

    def between(given: NDArray[np.float64]) -> float:
        sums = np.bincount(which, weights=given)
        return float((sums**2 / sizes).sum())

    seen, draw = between(centred), np.random.default_rng(_SEED)
    # Rounding must not make two equal dealings differ.
    as_much = sum(between(draw.permutation(centred)) >= seen - 1e-12 * whole for _ in range(shuffles))
    p_value = (1 + as_much) / (1 + shuffles)
    free = len(names) - 1
    within = (whole - seen) / (number - len(names))
    share = max(0.0, (seen - free * within) / (whole + within)) if whole > 0 else 0.0
    found = Explained(number, len(names), min(share, 1.0), p_value, "")
    return found._replace(in_words=_in_words(found))


def _in_words(found: Explained) -> str:
    of = f"{found.items:,} items of {found.types} types"
    if found.splits:
        return (
            f"Types explain {found.share:.0%} of how scores differ between {of}: rules by type have something to go by."
        )
    if found.p_value > SURE:
        return (
            f"Types say nothing of scores: dealt out at random to the {of}, they explain as much in "
            f"{found.p_value:.0%} of tries. A rule by type does no better here than a coin."
        )
    return (
        f"Types explain {found.share:.1%} of how scores differ between {of}: not by chance, and still too little to "
        "route by."
    )
