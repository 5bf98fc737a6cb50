"""Errors and lists of models, as clients of each family expect them.

What we know and a family has no word for (our stable code, how budgets stand, where to ask for more) stands beside its
words: the families' own clients let it be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from finops.core.errors import FinopsError
from routing.gateway.dialects.types import ANTHROPIC, OPENAI, Wording

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode
_ASK: Final = "/api/v1/increases"
# Somebody's money is at its end, which is not said by asking too fast.
_SPENT: Final = frozenset({"budgets.exceeded", "budgets.stopped"})
_OPENAI_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class OpenAIWording:
    def error(self, error: FinopsError, call_id: str = "") -> bytes:
        return _encode({"error": _openai(error)})

    def event(self, error: FinopsError, call_id: str = "") -> bytes:
        return b"data: " + self.error(error, call_id) + b"\n\n"


class ResponsesWording(OpenAIWording):
    """Its streams have a kind of event for errors; `error` is there besides, which OpenAI's clients raise."""

    def event(self, error: FinopsError, call_id: str = "") -> bytes:
        inner = _openai(error)
        said = {"type": "error", "code": inner["code"], "message": inner["message"], "param": inner["param"]}
        return b"event: error\ndata: " + _encode({**said, "sequence_number": 0, "error": inner}) + b"\n\n"


class AnthropicWording:
    def error(self, error: FinopsError, call_id: str = "") -> bytes:
        inner = {"type": _anthropic_type(error.status), "message": error.message, "code": error.code}
        if error.field is not None:
            inner["param"] = error.field
        said = {"type": "error", "error": {**inner, **_budgets(error)}}
        return _encode({**said, "request_id": call_id or None})

    def event(self, error: FinopsError, call_id: str = "") -> bytes:
        return b"event: error\ndata: " + self.error(error, call_id) + b"\n\n"


_OPENAI_WORDING: Final = OpenAIWording()
_RESPONSES_WORDING: Final = ResponsesWording()
_ANTHROPIC_WORDING: Final = AnthropicWording()


def wording(family: str, dialect: str = "") -> Wording:
    """`dialect` is the name of the one that is spoken, where that is known."""
    if family == ANTHROPIC:
        return _ANTHROPIC_WORDING
    return _RESPONSES_WORDING if dialect == "openai.responses" else _OPENAI_WORDING


def models_answer(family: str, names: Iterable[str]) -> bytes:
    """A list of models. Nobody here knows when they were made."""
    if family == OPENAI:
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "capstan"} for name in names]
        return _encode({"object": "list", "data": listed})
    data = [_anthropic_model(name) for name in names]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return _encode({"data": data, "first_id": first, "last_id": last, "has_more": False})


def model_answer(family: str, name: str) -> bytes:
    if family == OPENAI:
        return _encode({"id": name, "object": "model", "created": 0, "owned_by": "capstan"})
    return _encode(_anthropic_model(name))


def _anthropic_model(name: str) -> dict[str, str]:
    """What their client's own model demands; the epoch is their word for a day that nobody knows."""
    model = {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {**model, "lifecycle": "active"}


def _openai(error: FinopsError) -> dict[str, Any]:
    if error.code in _SPENT:
        kind = "insufficient_quota"
    else:
        kind = _OPENAI_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    return {"message": error.message, "type": kind, "param": error.field, "code": error.code, **_budgets(error)}


def _anthropic_type(status: int) -> str:
    return _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def _budgets(error: FinopsError) -> dict[str, Any]:
    budgets = getattr(error, "budgets", None)
    return {} if budgets is None else {"budgets": budgets, "ask": _ASK}
