"""What LiteLLM knows of an answer, what a call is limited to, and what is said where none is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from capstan_litellm.body import LIMITS, Ask
from capstan_litellm.calls import Call
from capstan_litellm.values import get, text

# The deployments' own answers to "which request was that", as LiteLLM keeps their headers.
_REQUEST_IDS: Final = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")


def clamp(data: dict[str, Any], ask: Ask, call: Call) -> None:
    if call.limit is None:
        return
    fields = LIMITS[ask.family]
    named = [field for field in fields if data.get(field) is not None] or fields[:1]
    for field in named:
        data[field] = call.limit


def request_id(data: Any, response: Any) -> str:
    details = get(get(data, "litellm_logging_obj"), "model_call_details")
    hidden = get(response, "_hidden_params")
    for headers in (get(hidden, "headers"), get(details, "response_headers")):
        if isinstance(headers, Mapping):
            for name in _REQUEST_IDS:
                if found := text(headers, name):
                    return found
    more = get(hidden, "additional_headers")
    return next((found for name in _REQUEST_IDS if (found := text(more, f"llm_provider-{name}"))), "")


def from_cache(data: dict[str, Any], response: Any) -> bool:
    details = get(get(data, "litellm_logging_obj"), "model_call_details")
    return get(details, "cache_hit") is True or get(response, "custom_llm_provider") == "cached_response"


def unmetered(kind: str) -> dict[str, Any]:
    return {
        "error": f"Calls of this kind ({kind}) cannot be held to a budget, so this proxy does not make them.",
        "type": "capstan_refused",
        "code": "budgets.unmetered",
    }


def not_held(why: str) -> dict[str, Any]:
    return {"error": f"This try is not made: {why}.", "type": "capstan_refused", "code": "budgets.not_held"}
