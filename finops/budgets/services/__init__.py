"""Writes of budgets: their terms, their accounts, and the leases on them."""
