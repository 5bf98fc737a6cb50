"""What is true of charges and spend. Organization first, total order, never stale: cubes and deltas together."""

from __future__ import annotations

from finops.ledger.selectors.charges import (
    charge,
    charge_steps,
    charges,
    content_matches,
    corrections,
    find_charges,
    origin_of,
    sightings,
)
from finops.ledger.selectors.discovered import Discovered, discovered, looked_back
from finops.ledger.selectors.history import daily_spend, hours_of_day
from finops.ledger.selectors.labels import freshness, labels, options, term_ids
from finops.ledger.selectors.names import NOBODY, Named, dimensions, ids_of, named
from finops.ledger.selectors.sessions import SessionRow, sessions
from finops.ledger.selectors.spend import crossed, settled_until, spend
from finops.ledger.selectors.trees import SessionTree, handed_on, names_of, session_tree
from finops.ledger.selectors.unpriced import UnpricedGroup, unpriced
from finops.ledger.selectors.used import Standing, Used, on_a_bill, standing, used

__all__ = [
    "NOBODY",
    "Discovered",
    "Named",
    "SessionRow",
    "SessionTree",
    "Standing",
    "UnpricedGroup",
    "Used",
    "charge",
    "charge_steps",
    "charges",
    "content_matches",
    "corrections",
    "crossed",
    "daily_spend",
    "dimensions",
    "discovered",
    "find_charges",
    "freshness",
    "handed_on",
    "hours_of_day",
    "ids_of",
    "labels",
    "looked_back",
    "named",
    "names_of",
    "on_a_bill",
    "options",
    "origin_of",
    "session_tree",
    "sessions",
    "settled_until",
    "sightings",
    "spend",
    "standing",
    "term_ids",
    "unpriced",
    "used",
]
