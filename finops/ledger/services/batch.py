"""Charges that are posted together."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from finops.core.periods import month_start
from finops.ledger.services import partitions, rows
from finops.ledger.types import Posting


class Batch:
    """Charges to be posted together, with their words interned. Build it outside the transaction that posts it."""

    def __init__(self, *, organization_id: int, postings: Sequence[Posting]) -> None:
        self.organization_id = organization_id
        self.postings = postings
        partitions.ensure_months({month_start(posting.occurred_at.date()) for posting in postings})
        self.segments = rows.Segments(organization_id, postings)

    def only(self, positions: Sequence[int]) -> Batch:
        """The same batch with some of its postings."""
        part = copy(self)
        part.postings = [self.postings[n] for n in positions]
        return part
