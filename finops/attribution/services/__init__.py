"""Writes: keyword-only, audited in the same transaction. The database restamps the organization (see models)."""

from __future__ import annotations

from finops.attribution.services.rules import change_rule, create_rule, move_rule, retire_rule
from finops.attribution.services.shared import (
    add_shared_cost_rule,
    change_shared_cost_rule,
    check_shared_cost,
    retire_shared_cost_rule,
)
from finops.attribution.services.tags import promote_tag, retire_tag

__all__ = [
    "add_shared_cost_rule",
    "change_rule",
    "change_shared_cost_rule",
    "check_shared_cost",
    "create_rule",
    "move_rule",
    "promote_tag",
    "retire_rule",
    "retire_shared_cost_rule",
    "retire_tag",
]
