"""Reads `GET /v1/organization/costs`: what a day cost. After the types of OpenAI's SDK
(`openai.types.admin.organization.usage_costs_response`).

The amount is a JSON number in dollars, read as the decimal it is written as. What it was for is free text; of most that
can be made out, and all of it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from finops.connectors import cutting
from finops.connectors.openai.usage_report import PROVIDER
from finops.connectors.pages import Page
from finops.connectors.reports import METER, Row, Wrong, bucket, category, cost, event, key, parsed, people, plain, tags
from finops.connectors.types import NO_COUNTS, Received, UsageEvent

PARSER: Final = "openai_cost_report"
GROUPS: Final = ("project_id", "user_id", "api_key_id", "line_item", "api_source")
_REPORT: Final = "costs"
_OBJECT: Final = "organization.costs.result"
# Kinds of tokens as line items name them, in either spelling.
TOKEN_TYPES: Final[Mapping[str, str]] = {
    "input": "input",
    "cached input": "cached_input",
    "input cached": "cached_input",
    "cache write": "cache_write",
    "cache writes": "cache_write",
    "input cache write": "cache_write",
    "output": "output",
}
# The meter of a kind and a modality; text where none is said.
_METERS: Final[Mapping[tuple[str, str], str]] = {
    ("input", "text"): "input_uncached",
    ("input", "audio"): "input_audio",
    ("input", "image"): "input_image",
    ("cached_input", "text"): "cache_read",
    ("cached_input", "audio"): "cache_read_audio",
    ("cache_write", "text"): "cache_write_5m",
    ("output", "text"): "output",
    ("output", "audio"): "output_audio",
    ("output", "image"): "output_image",
}
# `priority | gpt-5-mini audio, cached input, long context`: a tier, a model, a modality, a kind of tokens, and more.
_LINE: Final = re.compile(
    r"(?:(?P<tier>[A-Za-z][A-Za-z _-]{0,40}) \| )?(?P<model>[^\s,|]{1,200})(?: (?P<modality>text|audio|image|video))?"
    r", (?P<kind>[A-Za-z][A-Za-z _]{0,40})(?:, (?P<more>[^|]{1,200}))?"
)


class LineItem(NamedTuple):
    """What a line item says; '' where it does not, or it cannot be told."""

    model: str = ""
    token_type: str = ""
    modality: str = ""
    tier: str = ""
    more: str = ""


def parse(raw: bytes) -> Received:
    """One row with its bucket, `{"bucket": {"start_time", "end_time"}, "row": {…}}`."""
    return parsed(raw, _event)


def cut(body: bytes) -> Page:
    """A page of the report. Raises BodyUnreadable."""
    return cutting.buckets(body)


def line_item(text: str) -> LineItem:
    """A line item's parts; nothing of it where it is not of tokens by words known here: no model is guessed."""
    found = _LINE.fullmatch(text.strip())
    if found is None:
        return LineItem()
    words = found["kind"].lower().replace("_", " ").removesuffix(" tokens").strip()
    token_type = TOKEN_TYPES.get(words)
    if token_type is None:
        return LineItem()
    tier = (found["tier"] or "").strip().lower().replace(" ", "_")
    return LineItem(found["model"], token_type, found["modality"] or "", tier, found["more"] or "")


def _event(record: Row) -> UsageEvent:
    row, times = record.needed("row"), record.needed("bucket")
    starts = times.seconds("start_time")
    found = bucket(starts, times.seconds("end_time"), "bucket.end_time", days=True)
    if row.has("object") and row.text("object") != _OBJECT:
        raise Wrong("connectors.report_unknown", "row.object", f"{row.text('object')[:80]!r} is no cost")
    said = {name: row.text(name) for name in GROUPS}
    amount = row.needed("amount")
    currency = amount.text("currency")
    unit = row.text("quantity_unit")
    # One line item may be told in several units, each a row.
    record.external_id = key(_REPORT, starts, [*said.items(), ("unit", unit), ("currency", currency.lower())])
    given = cost(amount, "value", currency)
    item = line_item(said["line_item"])
    return event(
        external_id=record.external_id,
        occurred_at=starts,
        provider=PROVIDER,
        model=item.model,
        counts=NO_COUNTS,
        service_tier=item.tier,
        provider_account=said["project_id"],
        category=category(given),
        evidence="billed",
        identities=people(email=row.text("user_email"), provider_user=said["user_id"], key_alias=said["api_key_id"]),
        tags=tags(
            {
                "bucket": found.width,
                "line_item": said["line_item"],
                METER: _METERS.get((item.token_type, item.modality or "text"), ""),
                "token_type": item.token_type,
                "modality": item.modality,
                "line_item_more": item.more,
                "quantity": plain(row.number("quantity")),
                "quantity_unit": unit,
                "api_source": said["api_source"],
            }
        ),
        cost=given,
    )
