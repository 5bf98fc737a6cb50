"""A call made again as a rule wants it, and what an answer says: for rules that choose how a model is asked, and look
at what it answered. The rest of the body stays as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from routing.gateway.dialects.types import ANTHROPIC, ModelCall

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
# Where each dialect has how much a model is to think: OpenAI's API reference, and Anthropic's for messages.
_EFFORT: Final = {
    "openai.chat": ("reasoning_effort", ""),
    "openai.responses": ("reasoning", "effort"),
    "anthropic.messages": ("output_config", "effort"),
}
# How answers say that they were cut short.
_CUT: Final = frozenset({"length", "max_tokens", "incomplete", "content_filter", "refusal"})


class Said(NamedTuple):
    """The text of an answer, and whether the model ended it itself."""

    text: str
    ended: bool


def with_effort(call: ModelCall, effort: str) -> ModelCall:
    """The call where a model thinks so much; as it is where the dialect has no word for that."""
    place = _EFFORT.get(call.dialect)
    if place is None:
        return call
    name, inner = place
    value: Any = effort
    if inner:
        before = _decode(call.body[name]) if name in call.body else {}
        value = {**(before if isinstance(before, Mapping) else {}), inner: effort}
    return call._replace(body={**call.body, name: msgspec.Raw(_encode(value))})


def said(dialect: str, body: bytes) -> Said | None:
    """Of a whole answer; None where it cannot be looked at: it has no text, or calls tools."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(answer, Mapping):
        return None
    if dialect == "openai.chat":
        return _of_chat(answer)
    if dialect == "anthropic.messages":
        parts = _list(answer.get("content"))
        if any(part.get("type") == "tool_use" for part in parts):
            return None
        return Said(_joined(parts, "text"), answer.get("stop_reason") not in _CUT)
    if dialect == "openai.responses":
        items = _list(answer.get("output"))
        if any(str(item.get("type", "")).endswith("_call") for item in items):
            return None
        parts = [part for item in items for part in _list(item.get("content"))]
        return Said(_joined(parts, "output_text"), answer.get("status") not in _CUT)
    return None


def checking(family: str, model: str, question: str, most_output_tokens: int) -> tuple[str, bytes]:
    """A dialect and the body of a call that asks a model one thing."""
    body: dict[str, Any] = {
        "model": model, "max_tokens": most_output_tokens, "messages": [{"role": "user", "content": question}],
    }  # fmt: skip
    return ("anthropic.messages" if family == ANTHROPIC else "openai.chat"), _encode(body)


def _of_chat(answer: Mapping[str, Any]) -> Said | None:
    choices = _list(answer.get("choices"))
    if len(choices) != 1:
        return None
    message = choices[0].get("message")
    if not isinstance(message, Mapping) or message.get("tool_calls") or message.get("function_call"):
        return None
    content = message.get("content")
    text = content if isinstance(content, str) else _joined(_list(content), "text")
    return Said(text, choices[0].get("finish_reason") not in _CUT)


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _joined(parts: list[Mapping[str, Any]], kind: str) -> str:
    return "".join(str(part.get("text") or "") for part in parts if part.get("type") == kind)
