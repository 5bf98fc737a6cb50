"""Rows of LiteLLM's log of spend, as `GET /spend/logs/v2` of LiteLLM 1.106 pages them (`LiteLLM_SpendLogs`). Pure.

The same call told by the `generic_api` callback is the same event: see README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.foreign import Part, received, rows_of
from finops.connectors.keeping import ALL, Shape, kept, object_of, unwrapped, written
from finops.connectors.litellm.call import Told, batched, event_of, named, owners, tier_said, usage_said
from finops.connectors.litellm.webhook import cost_of, is_usage, only_host
from finops.connectors.pages import Page
from finops.connectors.telling import first, mapping, words
from finops.connectors.types import Received, UsageEvent

PARSER: Final = "litellm_spend_logs"
_WHAT: Final = "a page of LiteLLM's /spend/logs/v2"
_SHAPE: Final[Shape] = {
    **dict.fromkeys(("request_id", "litellm_call_id", "call_type", "status", "cache_hit", "api_key", "spend"), ALL),
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "startTime", "model", "model_id"), ALL),
    **dict.fromkeys(("model_group", "custom_llm_provider", "api_base", "user", "team_id", "organization_id"), ALL),
    **dict.fromkeys(("end_user", "session_id", "request_tags"), ALL),
}
_METADATA: Final[Shape] = {
    **dict.fromkeys(("user_api_key_alias", "user_api_key_team_id", "user_api_key_team_alias"), ALL),
    **dict.fromkeys(("user_api_key_org_id", "user_api_key_project_id", "user_api_key_project_alias"), ALL),
    **dict.fromkeys(("usage_object", "additional_usage_values", "spend_logs_metadata", "status"), ALL),
    **dict.fromkeys(("litellm_call_id", "batch_successful_requests"), ALL),
    "cost_breakdown": {"total_cost": ALL, "service_tier": ALL},
    "model_map_information": {"model_map_key": ALL},
}
_NOBODY: Final[Mapping[str, str]] = {}


def cut(body: bytes, *, emails: Mapping[str, str] = _NOBODY) -> Page:
    """A page's rows that are usage, and the number of the next page. Raises BodyUnreadable.

    `emails` are the addresses of LiteLLM's users by their ids, from its directory: its log has none, its callback has.
    """
    said = object_of(body, _WHAT)
    found = rows_of(said, "data", _WHAT)
    rows = [written(_record(one, emails)) for one in found]
    return Page(tuple([row for row in rows if is_usage(parse(row))]), _next(said, len(found)))


def parse(raw: bytes) -> Received:
    """One row, whole or as `cut` leaves it."""
    return received(raw, _event, lambda record: named(record, key="request_id"))


def _record(row: Any, emails: Mapping[str, str]) -> dict[str, Any] | None:
    made = only_host(kept(row, _SHAPE))
    if made is None:
        return None
    metadata = kept(unwrapped(row.get("metadata")), _METADATA)
    if metadata is not None:
        made["metadata"] = metadata
    email = emails.get(words(row.get("user")))
    if email:
        made["user_email"] = email
    return made


def _event(record: Part) -> UsageEvent:
    metadata = mapping(unwrapped(record.get("metadata")))
    usage, is_whole = _usage(record, metadata)
    key = record.get("api_key")
    return event_of(
        Told(
            call_id=first(record.get("litellm_call_id"), metadata.get("litellm_call_id")),
            response_id=words(record.get("request_id")),
            call_type=words(record.get("call_type")),
            status=first(record.get("status"), metadata.get("status")).lower(),
            from_cache=words(record.get("cache_hit")).lower() == "true",
            at=record.moment("startTime"),
            provider=words(record.get("custom_llm_provider")),
            model=words(record.get("model")),
            priced_as=words(mapping(metadata.get("model_map_information")).get("model_map_key")),
            api_base=words(record.get("api_base")),
            tier=tier_said(usage, None, mapping(metadata.get("cost_breakdown")).get("service_tier")),
            usage=usage,
            is_whole=is_whole,
            waits=False,
            batched=batched(Part(metadata), "batch_successful_requests"),
            cost=cost_of(record, "spend"),
            email=words(record.get("user_email")),
            user=words(record.get("user")),
            key_alias=words(metadata.get("user_api_key_alias")),
            key=words(key),
            session=words(record.get("session_id")),
            tags=owners(
                metadata,
                team=first(record.get("team_id"), metadata.get("user_api_key_team_id")),
                organization=first(record.get("organization_id"), metadata.get("user_api_key_org_id")),
                end_user=record.get("end_user"),
                key=key,
                group=record.get("model_group"),
                deployment=record.get("model_id"),
                tags=unwrapped(record.get("request_tags")),
            ),
        )
    )


def _usage(record: Part, metadata: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, bool]:
    """An operator may leave parts of the metadata out of the log; the totals have columns of their own."""
    if metadata.get("usage_object"):
        return usage_said(whole=metadata["usage_object"], flat=record.values)
    usage, _ = usage_said(whole=None, flat=record.values)
    details = metadata.get("additional_usage_values")
    if usage is None or not isinstance(details, Mapping):
        return usage, False
    return {**details, **usage}, bool(details)


def _next(said: Mapping[str, Any], rows: int) -> str:
    """Of very many rows LiteLLM counts only the first; then the pages go on until one is empty."""
    page, pages = said.get("page"), said.get("total_pages")
    if not rows or type(page) is not int or page < 1:
        return ""
    more = said.get("total_is_capped") is True or (type(pages) is int and page < pages)
    return str(page + 1) if more else ""
