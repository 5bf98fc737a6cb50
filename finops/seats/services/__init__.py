"""Plans begun, changed from a day on, corrected and withdrawn; and the charges that follow from them."""

from __future__ import annotations

from finops.seats.services.booking import book, run_job
from finops.seats.services.plans import NameTaken, begin, change, correct, forget_holder, withdraw

__all__ = ["NameTaken", "begin", "book", "change", "correct", "forget_holder", "run_job", "withdraw"]
