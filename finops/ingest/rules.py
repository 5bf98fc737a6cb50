"""What follows from an event alone: may it be booked, and which id of its charge counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from finops.connectors.types import UsageEvent
from finops.core.money import MAX_PICO
from finops.core.tokens import MAX_COUNT, METER_INDEX, METERS
from finops.ingest.types import Problem

# No provider sold tokens before; an earlier time is a clock gone wrong.
EARLIEST: Final = datetime(2019, 1, 1, tzinfo=UTC)
# Clocks disagree, and a bucket may be stamped with its end.
LATEST_AHEAD: Final = timedelta(days=1)
CATEGORIES: Final = frozenset({"Usage", "Purchase", "Credit", "Adjustment", "Tax"})
# What may lower a total: anything else below nothing is a mistake of the sender's.
_MAY_BE_NEGATIVE: Final = frozenset({"Credit", "Adjustment"})
EVIDENCE: Final = frozenset({"billed", "metered", "reported", "estimated", "allocated"})
_REQUESTS: Final = METER_INDEX["requests"]


def check(event: UsageEvent, *, now: datetime) -> Problem | None:
    """Why an event cannot be booked, or None. The doors checked its form; this checks its sense."""
    if not EARLIEST <= event.occurred_at <= now + LATEST_AHEAD:
        return Problem(
            "ingest.time_out_of_range",
            "occurred_at",
            f"{event.occurred_at.isoformat()} is not between {EARLIEST.date()} and tomorrow",
        )
    for index, count in enumerate(event.counts):
        if not 0 <= count <= MAX_COUNT:
            return Problem("ingest.count_out_of_range", f"usage.{METERS[index]}", f"{count} is not a believable count")
    if event.category not in CATEGORIES:
        return Problem("ingest.unknown_category", "category", f"{event.category!r} is no charge category")
    if event.evidence not in EVIDENCE:
        return Problem("ingest.unknown_evidence", "evidence", f"{event.evidence!r} is no evidence level")
    if event.category != "Usage" and event.cost is None:
        return Problem("ingest.cost_missing", "cost", f"a {event.category} is money: it needs its cost")
    if event.cost is not None and abs(event.cost.pico) > MAX_PICO:
        return Problem("ingest.cost_out_of_range", "cost.amount", "no single charge is this large")
    if event.cost is not None and event.cost.pico < 0 and event.category not in _MAY_BE_NEGATIVE:
        return Problem("ingest.negative_cost", "cost.amount", "only a Credit or an Adjustment may cost less than 0")
    return None


def calls_of(event: UsageEvent) -> int:
    """How many calls an event stands for: its requests, or one; a purchase, a credit or a tax is no call."""
    if event.category != "Usage":
        return 0
    return event.counts[_REQUESTS] or 1


def request_key(provider: str, provider_request_id: str) -> str:
    """The key under which a provider's own request is charged once, whichever source saw it first; '' for none."""
    return f"req:{provider}:{provider_request_id}" if provider_request_id else ""
