"""Reads `GET /v1/organizations/cost_report`: what a day cost, in cents as decimal text. Priority Tier is not in it.

From Anthropic's Admin API as its documentation has it; its SDK has no types for this report.
"""

from __future__ import annotations

from typing import Final

from finops.connectors import cutting
from finops.connectors.anthropic.reported import PROVIDER, meter_of
from finops.connectors.anthropic.usage import tier_of
from finops.connectors.pages import Page
from finops.connectors.reports import METER, Row, bucket, category, cost, event, key, parsed, tags
from finops.connectors.types import NO_COUNTS, Received, UsageEvent

PARSER: Final = "anthropic_cost_report"
# What it is grouped by, and what follows from a description it is grouped by; null otherwise.
GROUPS: Final = (
    "workspace_id",
    "description",
    "cost_type",
    "token_type",
    "model",
    "service_tier",
    "context_window",
    "inference_geo",
    "speed",
)
CENTS: Final = 2
_REPORT: Final = "cost"
_KEPT: Final = ("description", "cost_type", "token_type", "context_window", "inference_geo")


def parse(raw: bytes) -> Received:
    """One row with its bucket, `{"bucket": {"starting_at", "ending_at"}, "row": {…}}`."""
    return parsed(raw, _event)


def cut(body: bytes) -> Page:
    """A page of the report. Raises BodyUnreadable."""
    return cutting.buckets(body)


def _event(record: Row) -> UsageEvent:
    row, times = record.needed("row"), record.needed("bucket")
    starts = times.instant("starting_at")
    found = bucket(starts, times.instant("ending_at"), "bucket.ending_at", days=True)
    said = {name: row.text(name) for name in GROUPS}
    record.external_id = key(_REPORT, starts, [*said.items(), ("currency", row.text("currency"))])
    given = cost(row, "amount", row.text("currency"), places=CENTS)
    return event(
        external_id=record.external_id,
        occurred_at=starts,
        provider=PROVIDER,
        model=said["model"],
        counts=NO_COUNTS,
        service_tier=tier_of(service_tier=said["service_tier"], speed=said["speed"], geo=said["inference_geo"]),
        provider_account=said["workspace_id"],
        category=category(given),
        evidence="billed",
        tags=tags({"bucket": found.width, METER: meter_of(said), **{name: said[name] for name in _KEPT}}),
        cost=given,
    )
