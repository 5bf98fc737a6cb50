"""What an account is opened by: the arguments of the SQL functions that do it (`sql/0004_gateways.sql`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from finops.budgets.rules.matching import limit_of
from finops.budgets.rules.periods import before, window
from finops.budgets.types import Account, Terms
from finops.core.money import from_pico

# Placeholders for `columns`, with their types.
ARGUMENTS: Final = (
    "%s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::timestamptz[]"
)


def columns(wanted: Iterable[tuple[Terms, Account]]) -> list[list[Any]]:
    """Budgets, subjects, starts, ends, own limits, the most that is carried over, and when the period before began.

    Raises ValueError for an account that is in none of its budget's periods.
    """
    rows = []
    for terms, account in wanted:
        period = window(terms, account.start)
        if period is None:
            raise ValueError(f"budget {terms.budget_id} has no period at {account.start}")
        earlier = before(terms, period) if terms.rollover_pico else None
        own, rollover = from_pico(limit_of(terms, account.subject)), from_pico(terms.rollover_pico)
        rows.append((*account, period.end, own, rollover, earlier.start if earlier else None))
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(7)]
