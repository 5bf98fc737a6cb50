"""What is true of charges and spend. Organization first, total order, never stale: cubes and deltas together."""

from __future__ import annotations

from finops.ledger.selectors.charges import (
    charge,
    charge_steps,
    charges,
    corrections,
    find_charges,
    origin_of,
    sightings,
)
from finops.ledger.selectors.labels import freshness, labels, options, term_ids
from finops.ledger.selectors.sessions import SessionRow, sessions
from finops.ledger.selectors.spend import spend

__all__ = [
    "SessionRow",
    "charge",
    "charge_steps",
    "charges",
    "corrections",
    "find_charges",
    "freshness",
    "labels",
    "options",
    "origin_of",
    "sessions",
    "sightings",
    "spend",
    "term_ids",
]
