"""Differences of two models on the same items, as a sample of a fixed size says them."""

from __future__ import annotations

from math import ceil, copysign, isclose, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

from routing.evidence.types import Interval

_HALVINGS: Final = 60


class Table(NamedTuple):
    """Items by who did them: `both`, the candidate alone (`gained`), the incumbent alone (`lost`), and `neither`."""

    both: int
    gained: int
    lost: int
    neither: int

    @property
    def items(self) -> int:
        return sum(self)

    @property
    def difference(self) -> float:
        """Of the shares that were done, candidate minus incumbent."""
        return (self.gained - self.lost) / self.items


def newcombe(table: Table, *, confidence: float = 0.9) -> Interval:
    """Two-sided, of the difference of two shares: Newcombe's "method 10", from the score intervals of each share and
    how they go together. Statistics in Medicine 17 (1998) 2635-2650.
    """
    both, gained, lost, neither = table
    items = table.items
    z = two_sided(confidence)
    ours, theirs = (both + gained) / items, (both + lost) / items
    (low, high), (their_low, their_high) = (wilson(share, items, z) for share in (ours, theirs))
    sizes = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    cross = both * neither - gained * lost
    # Newcombe corrects for continuity where they go together, and not where they go apart.
    corrected = max(cross - items / 2, 0.0) if cross > 0 else float(cross)
    phi = corrected / sqrt(sizes) if sizes else 0.0
    below, above = ours - low, their_high - theirs
    up, down = high - ours, theirs - their_low
    return Interval(
        table.difference - sqrt(max(0.0, below**2 - 2 * phi * below * above + above**2)),
        table.difference + sqrt(max(0.0, up**2 - 2 * phi * up * down + down**2)),
    )


def tango(table: Table, *, confidence: float = 0.9) -> Interval:
    """Two-sided, of the difference of two shares: where Tango's score statistic is as large as the confidence allows.
    Statistics in Medicine 17 (1998) 891-908.
    """
    z = two_sided(confidence)

    def limit(side: float) -> float:
        inside, outside = table.difference, side
        for _ in range(_HALVINGS):
            tried = (inside + outside) / 2
            if abs(tango_score(table, tried)) <= z:
                inside = tried
            else:
                outside = tried
        return inside

    return Interval(limit(-1.0), limit(1.0))


def tango_score(table: Table, difference: float) -> float:
    """How many standard errors the observed difference lies above a supposed one, were that the truth."""
    items, gained, lost = table.items, table.gained, table.lost
    gap = gained - lost - items * difference
    # The share that the incumbent alone does, as likely as can be under that difference.
    linear = -gained - lost + (2 * items - gained + lost) * difference
    constant = -lost * difference * (1 - difference)
    share = (sqrt(max(0.0, linear**2 - 8 * items * constant)) - linear) / (4 * items)
    variance = items * (2 * share + difference * (1 - difference))
    if variance <= 0 or isclose(variance, 0.0, abs_tol=1e-12):
        return 0.0 if isclose(gap, 0.0, abs_tol=1e-9) else copysign(float("inf"), gap)
    return gap / sqrt(variance)


def items_needed(margin: float, disagreeing: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """How many items tell with this power that a candidate that is equal is not worse by the margin, where so large a
    share of them has different outcomes.
    """
    z = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
    return ceil(z**2 * disagreeing / margin**2)


def two_sided(confidence: float) -> float:
    """So many standard errors to either side."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(share: float, items: int, z: float) -> Interval:
    """The score interval of one share of `items` (at least 1): Wilson (1927)."""
    middle = share + z**2 / (2 * items)
    half = z * sqrt(share * (1 - share) / items + z**2 / (4 * items**2))
    return Interval((middle - half) / (1 + z**2 / items), (middle + half) / (1 + z**2 / items))
