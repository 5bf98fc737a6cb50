"""What LiteLLM's `generic_api` callback posts: its StandardLoggingPayload, as LiteLLM 1.106 defines it
(`litellm/types/utils.py`) and sends it: a JSON array, NDJSON, or one object. Pure.

`prompt_tokens` holds what was read from and written to the cache. Its `response_cost` is LiteLLM's estimate: a tag, and
the cost only of calls that no meter of ours counts, like pictures. See README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from finops.connectors.foreign import Part, Wrong, received
from finops.connectors.keeping import ALL, UNREADABLE, Shape, kept, values_of, written
from finops.connectors.litellm.call import (
    NOT_USAGE,
    Told,
    batched,
    event_of,
    host_of,
    named,
    owners,
    tier_said,
    usage_said,
)
from finops.connectors.pages import Page
from finops.connectors.telling import first, mapping, words
from finops.connectors.types import Received, UsageEvent

PARSER: Final = "litellm_webhook"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 10**11
MOST_COST: Final = Decimal(10) ** 12
_WAITING: Final = frozenset({"queued", "in_progress"})
_SHAPE: Final[Shape] = {
    **dict.fromkeys(("id", "litellm_call_id", "trace_id", "session_id", "call_type", "status", "cache_hit"), ALL),
    **dict.fromkeys(("custom_llm_provider", "model", "model_id", "model_group", "api_base", "startTime"), ALL),
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "response_cost"), ALL),
    **dict.fromkeys(("request_tags", UNREADABLE), ALL),
    "cost_breakdown": {"total_cost": ALL, "service_tier": ALL},
    "model_map_information": {"model_map_key": ALL},
    "hidden_params": {"batch_successful_requests": ALL},
    "response": {"service_tier": ALL, "status": ALL, "usage": ALL},
    "metadata": {
        **dict.fromkeys(("user_api_key_hash", "user_api_key_alias", "user_api_key_user_id"), ALL),
        **dict.fromkeys(("user_api_key_user_email", "user_api_key_team_id", "user_api_key_team_alias"), ALL),
        **dict.fromkeys(("user_api_key_org_id", "user_api_key_project_id", "user_api_key_project_alias"), ALL),
        # `end_user` beside it falls back to what the client wrote; the log does not.
        **dict.fromkeys(("user_api_key_end_user_id", "usage_object", "spend_logs_metadata"), ALL),
        "requester_metadata": {"session_id": ALL},
    },
}


def cut(body: bytes) -> Page:
    """Each call that is usage, with the fields that are read of it; prompts, answers and headers are left out.

    Calls that failed and used nothing are no rows. Raises BodyUnreadable.
    """
    found = values_of(body, "a body of LiteLLM's generic_api callback")
    rows = [written(only_host(kept(one, _SHAPE))) for one in found]
    return Page(tuple([row for row in rows if is_usage(parse(row))]))


def parse(raw: bytes) -> Received:
    """One StandardLoggingPayload, whole or as `cut` leaves it."""
    return received(raw, _event, lambda record: named(record, key="id"))


def only_host(made: dict[str, Any] | None) -> dict[str, Any] | None:
    if made is not None:
        host = host_of(made.pop("api_base", None))
        if host:
            made["api_base"] = f"//[{host}]" if ":" in host else f"//{host}"
    return made


def is_usage(found: Received) -> bool:
    """A record that cannot be read may be usage, and is kept to be looked at."""
    return found.problem is None or found.problem.code != NOT_USAGE


def whole_line(record: Part) -> None:
    """Raises Wrong for what stands for a line that was no JSON."""
    if record.has(UNREADABLE):
        raise Wrong("malformed", "$", "a line of the body was no JSON; what it said is not kept")


def cost_of(record: Part, name: str) -> Decimal | None:
    """LiteLLM's own reckoning in US dollars, with its parts where it says them."""
    parts = mapping(record.get("cost_breakdown") or mapping(record.get("metadata")).get("cost_breakdown"))
    total = Part(parts, "cost_breakdown").decimal("total_cost")
    found = record.decimal(name) if total is None else total
    if found is not None and abs(found) >= MOST_COST:
        raise record.invalid(name, "no single call costs this much")
    return found


def _event(record: Part) -> UsageEvent:
    whole_line(record)
    metadata = mapping(record.get("metadata"))
    answer = mapping(record.get("response"))
    usage, is_whole = usage_said(whole=metadata.get("usage_object") or answer.get("usage"), flat=record.values)
    return event_of(
        Told(
            call_id=words(record.get("litellm_call_id")),
            response_id=words(record.get("id")),
            call_type=words(record.get("call_type")),
            status=words(record.get("status")).lower(),
            from_cache=record.get("cache_hit") is True,
            at=_moment(record),
            provider=words(record.get("custom_llm_provider")),
            model=words(record.get("model")),
            priced_as=words(mapping(record.get("model_map_information")).get("model_map_key")),
            api_base=words(record.get("api_base")),
            tier=tier_said(
                usage, answer.get("service_tier"), mapping(record.get("cost_breakdown")).get("service_tier")
            ),
            usage=usage,
            is_whole=is_whole,
            waits=answer.get("status") in _WAITING,
            batched=batched(Part(mapping(record.get("hidden_params"))), "batch_successful_requests"),
            cost=cost_of(record, "response_cost"),
            email=words(metadata.get("user_api_key_user_email")),
            user=words(metadata.get("user_api_key_user_id")),
            key_alias=words(metadata.get("user_api_key_alias")),
            key=words(metadata.get("user_api_key_hash")),
            session=_session(record, metadata),
            tags=owners(
                metadata,
                team=metadata.get("user_api_key_team_id"),
                organization=metadata.get("user_api_key_org_id"),
                end_user=metadata.get("user_api_key_end_user_id"),
                key=metadata.get("user_api_key_hash"),
                group=record.get("model_group"),
                deployment=record.get("model_id"),
                tags=record.get("request_tags"),
            ),
        )
    )


def _session(record: Part, metadata: Mapping[str, Any]) -> str:
    """LiteLLM fills `session_id` only where it is told to keep the two apart; else the trace is the session."""
    asked = mapping(metadata.get("requester_metadata")).get("session_id")
    return first(record.get("session_id"), record.get("trace_id"), asked)


def _moment(record: Part) -> datetime:
    """Seconds since 1970, with a fraction."""
    if isinstance(record.get("startTime"), str):
        return record.moment("startTime")
    seconds = record.decimal("startTime")
    if seconds is None:
        raise record.missing("startTime")
    if not 0 <= seconds < _LAST:
        raise record.invalid("startTime", "expected seconds since 1970")
    return _EPOCH + timedelta(milliseconds=int(seconds * 1000))
