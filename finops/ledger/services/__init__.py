"""Posts, reverses and corrects charges; keeps partitions and rollups."""

from __future__ import annotations

from finops.ledger.services.fold import compact_day, fold, fold_all, rebuild
from finops.ledger.services.partitions import ensure_months, months_ahead
from finops.ledger.services.post import Batch, post
from finops.ledger.services.reverse import reverse_in_transaction

__all__ = [
    "Batch",
    "compact_day",
    "ensure_months",
    "fold",
    "fold_all",
    "months_ahead",
    "post",
    "rebuild",
    "reverse_in_transaction",
]
