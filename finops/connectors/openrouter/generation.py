"""Reads `GET /api/v1/generation?id=…`: one call. After OpenRouter's SDK (`openrouter.components.GenerationResponse`).

Two counts of tokens are told: normalised ones, of one tokenizer for all models, and the model's own (`native_…`), by
which it is billed. Only the latter are read.
"""

from __future__ import annotations

from typing import Final

import msgspec

from finops.connectors.openrouter.activity import CURRENCY, PROVIDER
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.reports import Row, Wrong, cost, counted, event, parsed, people, plain, tags
from finops.connectors.types import Counts, Received, UsageEvent
from finops.connectors.wording import clean

PARSER: Final = "openrouter_generation"
_NO_REGION: Final = frozenset({"", "global"})


class _Answer(msgspec.Struct):
    data: msgspec.Raw


def parse(raw: bytes) -> Received:
    """One generation, as it stands in `data`."""
    return parsed(raw, _event)


def cut(body: bytes) -> Page:
    """The answer; it is one record. Raises BodyUnreadable: for a call of this moment there may be none yet (404)."""
    try:
        return Page((bytes(msgspec.json.decode(body, type=_Answer).data),))
    except RecursionError:
        raise BodyUnreadable("The body is no generation: it is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyUnreadable(f"The body is no generation: {clean(str(error))[:200]}") from None


def _event(said: Row) -> UsageEvent:
    call = said.text("id")
    if not call:
        raise Wrong("connectors.field_missing", "id", "id is required")
    said.external_id = call[:300]
    region = said.text("data_region")
    return event(
        external_id=call,
        occurred_at=said.instant("created_at"),
        provider=PROVIDER,
        model=said.text("model"),
        counts=_counts(said),
        service_tier=said.text("service_tier"),
        region="" if region in _NO_REGION else region,
        provider_account=said.text("workspace_id"),
        provider_request_id=call,
        session=said.text("session_id"),
        evidence="metered",
        identities=people(provider_user=said.text("external_user")),
        tags=tags(
            {
                "upstream_provider": said.text("provider_name"),
                "upstream_id": said.text("upstream_id"),
                "request_id": said.text("request_id"),
                "byok": "true" if said.flag("is_byok") else "",
                "upstream_inference_cost": plain(said.number("upstream_inference_cost")),
                "cache_discount": plain(said.number("cache_discount")),
                "cancelled": "true" if said.flag("cancelled") else "",
            }
        ),
        cost=cost(said, "total_cost", CURRENCY) if said.has("total_cost") else None,
    )


def _counts(said: Row) -> Counts:
    """Totals include their parts. What has no tokens of its own (speech, video) may still say what it cost."""
    told = said.has("native_tokens_prompt") or said.has("native_tokens_completion")
    if not told and not said.has("total_cost"):
        message = "the call says neither its own tokens nor a cost"
        raise Wrong("connectors.usage_unreadable", "native_tokens_prompt", message)
    return counted(
        said,
        input_tokens=said.count("native_tokens_prompt"),
        cache_read_tokens=said.count("native_tokens_cached"),
        output_tokens=said.count("native_tokens_completion"),
        reasoning_tokens=said.count("native_tokens_reasoning"),
        output_image_tokens=said.count("native_tokens_completion_images"),
    )
