"""What crosses rooms about a batch: records as received, and what became of each."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from finops.connectors.types import Problem, Received

__all__ = ["Outcome", "Problem", "Received", "Status"]


class Status(StrEnum):
    """What became of one record. The words are public: the API answers with them."""

    CHARGED = "charged"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REVISED = "revised"
    # The same provider request is charged under another source; this view of it is kept beside that charge.
    SIGHTED = "sighted"
    # Not understood, or not bookable yet; kept whole with its reason, to be replayed.
    QUARANTINED = "quarantined"


class Outcome(NamedTuple):
    """The answer for one record, in the order the records came. `external_id` is '' where it could not be read."""

    external_id: str
    status: Status
    problem: Problem | None = None
