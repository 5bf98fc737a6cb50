"""Posts, reverses and corrects charges; keeps partitions and rollups."""

from __future__ import annotations

from finops.ledger.services.announce import Spending, listen
from finops.ledger.services.batch import Batch
from finops.ledger.services.claims import ClaimMoved
from finops.ledger.services.correct import Correction, correct, correction_key
from finops.ledger.services.fold import compact_day, fold, fold_all, settle_days
from finops.ledger.services.matching import KEPT, forget_lone, post_lone, rematch, with_lone
from finops.ledger.services.partitions import ensure_months, months_ahead
from finops.ledger.services.post import post
from finops.ledger.services.rebuild import rebuild
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.services.scrub import forget_identities, names_of_others

__all__ = [
    "KEPT",
    "Batch",
    "ClaimMoved",
    "Correction",
    "Spending",
    "compact_day",
    "correct",
    "correction_key",
    "ensure_months",
    "fold",
    "fold_all",
    "forget_identities",
    "forget_lone",
    "listen",
    "months_ahead",
    "names_of_others",
    "post",
    "post_lone",
    "rebuild",
    "rematch",
    "reverse_in_transaction",
    "settle_days",
    "with_lone",
]
