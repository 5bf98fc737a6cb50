"""Reads `GET /api/v1/activity`: what each model at each endpoint used and cost on a day. After OpenRouter's SDK
(`openrouter.components.ActivityItem`) and its documentation.

`usage` is what OpenRouter charges, in dollars. Where a key of one's own at the provider was used, that is its fee
alone; `byok_usage_inference` is what the provider charges, on a bill of its own, so it is a tag here and no cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from finops.connectors import cutting
from finops.connectors.pages import Page
from finops.connectors.reports import Row, Wrong, category, cost, counted, event, key, parsed, people, plain, tags
from finops.connectors.types import Counts, Received, UsageEvent

PARSER: Final = "openrouter_activity"
PROVIDER: Final = "openrouter"
# Credits are dollars.
CURRENCY: Final = "USD"
GROUPS: Final = ("workspace_id", "model", "model_permaslug", "endpoint_id", "provider_name")
# No row says whose it is; who asks for one key or one user at a time knows.
ASKED: Final = ("api_key_hash", "user_id")
_REPORT: Final = "activity"


def parse(raw: bytes) -> Received:
    """One row, `{"row": {…}}`, with what was asked for (`{"asked": {"api_key_hash": …}}`)."""
    return parsed(raw, _event)


def cut(body: bytes, *, asked: Mapping[str, str] | None = None) -> Page:
    """The report; it has one page. `asked` is what it was narrowed to, of ASKED. Raises BodyUnreadable."""
    told = {name: value for name, value in (asked or {}).items() if name in ASKED and value}
    before = {"asked": msgspec.json.encode(told)} if told else {}
    page = cutting.read(body)
    return Page(tuple([cutting.framed({**before, "row": bytes(one)}) for one in page.data]), page.next)


def _event(record: Row) -> UsageEvent:
    row, asked = record.needed("row"), record.inside("asked")
    day = row.day("date")
    said = {name: row.text(name) for name in GROUPS}
    of = {name: asked.text(name) for name in ASKED}
    record.external_id = key(_REPORT, day, [*of.items(), *said.items()])
    given = cost(row, "usage", CURRENCY)
    return event(
        external_id=record.external_id,
        occurred_at=day,
        provider=PROVIDER,
        model=said["model"],
        counts=_counts(row),
        provider_account=said["workspace_id"],
        category=category(given),
        evidence="billed",
        identities=people(provider_user=of["user_id"], key_alias=of["api_key_hash"]),
        tags=tags(
            {
                "bucket": "1d",
                "model_permaslug": said["model_permaslug"],
                "endpoint_id": said["endpoint_id"],
                "upstream_provider": said["provider_name"],
                "byok_usage_inference": plain(row.number("byok_usage_inference")),
            }
        ),
        cost=given,
    )


def _counts(row: Row) -> Counts:
    """Totals include their parts: the prompt what was cached, the completion what was thought. But what was answered
    again from OpenRouter's own cache may count as cached and not as prompted, so that there is more of it: then the two
    are told apart, and what is paid for is in the row's cost all the same.
    """
    if not row.has("prompt_tokens") and not row.has("completion_tokens"):
        raise Wrong("connectors.usage_unreadable", f"{row.where}prompt_tokens", "the row says no usage")
    prompted, cached = row.count("prompt_tokens"), row.count("cached_tokens")
    return counted(
        row,
        input_tokens=prompted if cached <= prompted else prompted + cached,
        cache_read_tokens=cached,
        output_tokens=row.count("completion_tokens"),
        reasoning_tokens=row.count("reasoning_tokens"),
        requests=row.count("requests"),
    )
