"""Whose is it: pure decisions from values. No clock, no query."""

from __future__ import annotations

from finops.attribution.rules.allocation import percentage_weights, split
from finops.attribution.rules.conditions import (
    FIELDS,
    MAX_CONDITIONS,
    BadCondition,
    check_assignment,
    check_conditions,
    check_pattern,
)
from finops.attribution.rules.owning import attribute
from finops.attribution.rules.preview import PreviewRow, preview
from finops.attribution.rules.snapshot import Snapshot, place_of, with_rule

__all__ = [
    "FIELDS",
    "MAX_CONDITIONS",
    "BadCondition",
    "PreviewRow",
    "Snapshot",
    "attribute",
    "check_assignment",
    "check_conditions",
    "check_pattern",
    "percentage_weights",
    "place_of",
    "preview",
    "split",
    "with_rule",
]
