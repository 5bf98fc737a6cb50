"""Answers and refusals in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def exceeded(budgets: Sequence[Mapping[str, Any]], currency: str, worst: str) -> str:
    """Why a call is refused: which budgets are short, and by what."""
    if not budgets:
        return "A budget of this call has no account."
    first = budgets[0]
    name = first["budget"] + (f" of {first['subject']}" if first["subject"] else "")
    others = f" (and {len(budgets) - 1} more)" if len(budgets) > 1 else ""
    if "limit" not in first:
        return f"The budget {name}{others} cannot be asked."
    resets = f" It begins anew at {first['resets_at']:%Y-%m-%d %H:%M} UTC." if first["resets_at"] else ""
    return (
        f"The budget {name}{others} has {_short(first['left'])} {currency} left of {_short(first['limit'])}: "
        f"{_short(first['spent'])} is spent and {_short(first['held'])} held by calls under way. This call may cost "
        f"{_short(worst)}.{resets} Ask for more at /api/v1/increases."
    )


def _short(amount: str) -> str:
    """Without zeros that say nothing: `1.500000000000` is `1.50`."""
    whole, _, places = amount.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"
