"""What crosses rooms about polling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from finops.ingest.types import Outcome, Status

Clock = Callable[[], datetime]


class Tally(NamedTuple):
    """What became of rows that were read. `duplicates` were in the books already, by this or by another source; `held`
    are in quarantine.
    """

    rows: int = 0
    booked: int = 0
    revised: int = 0
    duplicates: int = 0
    held: int = 0


_PLACE = {
    Status.CHARGED: "booked",
    Status.REVISED: "revised",
    Status.DUPLICATE: "duplicates",
    Status.SIGHTED: "duplicates",
    Status.CONFLICT: "held",
    Status.QUARANTINED: "held",
}


def tally(outcomes: Sequence[Outcome]) -> Tally:
    counts = dict.fromkeys(("booked", "revised", "duplicates", "held"), 0)
    for outcome in outcomes:
        counts[_PLACE[outcome.status]] += 1
    return Tally(rows=len(outcomes), **counts)
