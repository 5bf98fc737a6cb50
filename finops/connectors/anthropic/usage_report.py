"""Reads `GET /v1/organizations/usage_report/messages`: what was used in a bucket, by whatever it is grouped by.

From Anthropic's Admin API as its documentation has it; its SDK has no types for this report.
"""

from __future__ import annotations

from typing import Final

from finops.connectors import cutting
from finops.connectors.anthropic.reported import PROVIDER, reported_counts
from finops.connectors.anthropic.usage import tier_of
from finops.connectors.pages import Page
from finops.connectors.reports import Row, bucket, event, key, parsed, people, tags
from finops.connectors.types import Received, UsageEvent

PARSER: Final = "anthropic_usage_report"
# Everything it can be grouped by; what it is not grouped by is null.
GROUPS: Final = (
    "workspace_id",
    "api_key_id",
    "account_id",
    "service_account_id",
    "model",
    "service_tier",
    "context_window",
    "inference_geo",
    "speed",
)
_REPORT: Final = "usage"


def parse(raw: bytes) -> Received:
    """One row with its bucket, `{"bucket": {"starting_at", "ending_at"}, "row": {…}}`."""
    return parsed(raw, _event)


def cut(body: bytes) -> Page:
    """A page of the report. Raises BodyUnreadable."""
    return cutting.buckets(body)


def _event(record: Row) -> UsageEvent:
    row, times = record.needed("row"), record.needed("bucket")
    starts = times.instant("starting_at")
    found = bucket(starts, times.instant("ending_at"), "bucket.ending_at")
    said = {name: row.text(name) for name in GROUPS}
    record.external_id = key(_REPORT, starts, said.items())
    return event(
        external_id=record.external_id,
        occurred_at=starts,
        provider=PROVIDER,
        model=said["model"],
        counts=reported_counts(row, window=said["context_window"]),
        service_tier=tier_of(service_tier=said["service_tier"], speed=said["speed"], geo=said["inference_geo"]),
        provider_account=said["workspace_id"],
        evidence="metered",
        identities=people(provider_user=said["account_id"] or said["service_account_id"], key_alias=said["api_key_id"]),
        tags=tags(
            {
                "bucket": found.width,
                "context_window": said["context_window"],
                "inference_geo": said["inference_geo"],
                "requests": "at least",
            }
        ),
    )
