"""Writes of budgets: their terms, their accounts, and the leases on them."""

from __future__ import annotations

from finops.budgets.services.accounts import follow_increases
from finops.budgets.services.leases import fold_observed
from finops.budgets.services.limits import forget_minutes

__all__ = ["fold_observed", "follow_increases", "forget_minutes"]
