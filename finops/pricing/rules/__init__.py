"""What follows from prices: whose name is it, which price holds that day, what did the call cost. Pure."""

from __future__ import annotations

from finops.pricing.rules.exchange import DatedRate, Exchange
from finops.pricing.rules.names import Names
from finops.pricing.rules.pricer import Catalogue, Overrides, Pricer
from finops.pricing.rules.quoting import Quote, quote
from finops.pricing.rules.rating import Found, Line, explain, rate

__all__ = [
    "Catalogue",
    "DatedRate",
    "Exchange",
    "Found",
    "Line",
    "Names",
    "Overrides",
    "Pricer",
    "Quote",
    "explain",
    "quote",
    "rate",
]
