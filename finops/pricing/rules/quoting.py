"""A call's cost with everything that led to it: for the page of a charge, and for asking before calling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from finops.pricing.rules.pricer import Pricer
from finops.pricing.rules.rating import Found, Line, explain, rate
from finops.pricing.types import Rated


@dataclass(frozen=True, slots=True)
class Quote:
    """Whose price was found, what the call comes to, and by which lines. No lines when it is unpriced."""

    found: Found
    rated: Rated
    lines: list[Line]


def quote(
    pricer: Pricer, *, provider: str, model: str, tier: str, host: str, counts: Sequence[int], at: datetime
) -> Quote:
    """What a call would cost at an instant. `counts` are in the order of METERS; names as a source writes them."""
    found = pricer.find(provider, model, tier, host, at.astimezone(UTC).date())
    return Quote(found, rate(found, counts, at), explain(found, counts, at))
