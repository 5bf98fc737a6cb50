"""A captured call, read to be made again at another model: what was asked, what was answered, and whether it may be
made again at all. Pure. Nothing that a model answers is ever executed: a call of a tool is text here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from finops.core.errors import FinopsError
from routing.captures.hot import Exchange
from routing.experiments.types import Answer
from routing.gateway.dialects.registry import DIALECTS
from routing.gateway.dialects.sse import data_of
from routing.gateway.dialects.types import ModelCall

CHAT: Final = "openai.chat"
RESPONSES: Final = "openai.responses"
MESSAGES: Final = "anthropic.messages"
# A judge is shown no more of what was asked.
MOST_CHARACTERS: Final = 60_000
# Says whose call it was, where its answer is to be kept, or who else may answer; and that it is streamed.
_LEFT_OUT: Final = frozenset(
    {
        "stream", "stream_options", "user", "metadata", "store", "service_tier", "safety_identifier", "background",
        "prompt_cache_key", "prompt_cache_retention", "models", "fallbacks", "provider", "route", "transforms",
    }
)  # fmt: skip
_CUT: Final = frozenset({"length", "max_tokens", "incomplete", "content_filter", "refusal"})
_PLACES: Final = ("system", "instructions", "messages", "input", "tools", "functions", "response_format", "text")


class NotAgain(Exception):
    """A call that cannot be made again here; `code` is stable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def call_of(exchange: Exchange) -> ModelCall:
    """The call as a gateway reads it. Raises NotAgain."""
    if exchange.dialect not in (CHAT, RESPONSES, MESSAGES):
        raise NotAgain("dialect")
    if exchange.status != 200 or not exchange.whole:
        raise NotAgain("answer_not_whole")
    try:
        call = DIALECTS[exchange.dialect].read(exchange.body)
    except FinopsError:
        raise NotAgain("unreadable") from None
    if call.follows or call.choices != 1 or call.free:
        raise NotAgain("not_alone")
    if call.hosted_tools or call.server_input or "plugins" in call.body:
        # The provider would run them.
        raise NotAgain("hosted_tools")
    if call.modalities != {"text"}:
        raise NotAgain("not_text")
    return call


def again_of(raw: bytes, model: str) -> bytes:
    """The same request of another model, in one piece, as nobody's in particular."""
    body = _object(raw)
    kept = {name: value for name, value in body.items() if name not in _LEFT_OUT}
    return msgspec.json.encode(kept | {"model": model})


def fingerprint(exchange: Exchange) -> str:
    """Of what was asked, whoever asked for it: 32 hex digits."""
    body = _object(exchange.body)
    said = {name: body[name] for name in _PLACES if name in body}
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()


def asked_of(exchange: Exchange) -> str:
    """What a judge is shown of the request: the conversation as it stands, and the tools there were. Raises NotAgain
    where that is too long to be shown whole.
    """
    body = _object(exchange.body)
    said = {name: body[name] for name in _PLACES if name in body}
    text = json.dumps(said, ensure_ascii=False, indent=1)
    if len(text) > MOST_CHARACTERS:
        raise NotAgain("too_long")
    return text


def answer_of(exchange: Exchange) -> Answer:
    """What was answered then. Raises NotAgain."""
    found = read_answer(exchange.dialect, exchange.answer, stream=exchange.stream)
    if found is None or not found.text.strip():
        raise NotAgain("no_text")
    return found


def read_answer(dialect: str, body: bytes, *, stream: bool = False) -> Answer | None:
    """None where it cannot be read."""
    try:
        if stream:
            return _streamed(dialect, body)
        answer = _object(body)
        if dialect == CHAT:
            return _chat(answer)
        return _responses(answer) if dialect == RESPONSES else _messages(answer)
    except (NotAgain, RecursionError):
        return None


def _chat(answer: Mapping[str, Any]) -> Answer | None:
    choices = _mappings(answer.get("choices"))
    if len(choices) != 1:
        return None
    message = choices[0].get("message")
    message = message if isinstance(message, Mapping) else {}
    calls = [_mapping(one.get("function")) for one in _mappings(message.get("tool_calls"))]
    if isinstance(message.get("function_call"), Mapping):
        calls.append(message["function_call"])
    content = message.get("content")
    text = content if isinstance(content, str) else _joined(_mappings(content), "text")
    return _answer(text, [(one.get("name"), one.get("arguments")) for one in calls], choices[0].get("finish_reason"))


def _responses(answer: Mapping[str, Any]) -> Answer:
    items = _mappings(answer.get("output"))
    text = "".join(_joined(_mappings(item.get("content")), "output_text") for item in items)
    calls = [
        (item.get("name") or item.get("type"), item.get("arguments"))
        for item in items
        if str(item.get("type", "")).endswith("_call")
    ]
    return _answer(text, calls, answer.get("status"))


def _messages(answer: Mapping[str, Any]) -> Answer:
    parts = _mappings(answer.get("content"))
    calls = [
        (part.get("name"), json.dumps(part.get("input"), ensure_ascii=False))
        for part in parts
        if part.get("type") == "tool_use"
    ]
    return _answer(_joined(parts, "text"), calls, answer.get("stop_reason"))


def _streamed(dialect: str, body: bytes) -> Answer | None:
    events = list(_events(body))
    if dialect == RESPONSES:
        whole = [one["response"] for one in events if isinstance(one.get("response"), Mapping)]
        return _responses(whole[-1]) if whole else None
    return _streamed_chat(events) if dialect == CHAT else _streamed_messages(events)


def _streamed_chat(events: list[Mapping[str, Any]]) -> Answer:
    text, reason = "", None
    calls: dict[int, list[str]] = {}
    for event in events:
        for choice in _mappings(event.get("choices"))[:1]:
            delta = _mapping(choice.get("delta"))
            text += delta["content"] if isinstance(delta.get("content"), str) else ""
            reason = choice.get("finish_reason") or reason
            for one in _mappings(delta.get("tool_calls")):
                index, function = one.get("index"), _mapping(one.get("function"))
                known = calls.setdefault(index if isinstance(index, int) else 0, ["", ""])
                known[0] += str(function.get("name") or "")
                known[1] += str(function.get("arguments") or "")
    return _answer(text, [(name, arguments) for name, arguments in calls.values()], reason)


def _streamed_messages(events: list[Mapping[str, Any]]) -> Answer:
    text, reason = "", None
    calls: dict[Any, list[str]] = {}
    for event in events:
        block, delta = _mapping(event.get("content_block")), _mapping(event.get("delta"))
        if block.get("type") == "tool_use":
            calls[event.get("index")] = [str(block.get("name") or ""), ""]
        text += delta["text"] if isinstance(delta.get("text"), str) else ""
        if isinstance(delta.get("partial_json"), str) and event.get("index") in calls:
            calls[event.get("index")][1] += delta["partial_json"]
        reason = delta.get("stop_reason") or reason
    return _answer(text, [(name, arguments) for name, arguments in calls.values()], reason)


def _answer(text: str, calls: list[tuple[Any, Any]], reason: Any) -> Answer:
    """Calls of tools are written out: nobody makes them."""
    said = [f"[calls {name} with {arguments}]" for name, arguments in calls]
    return Answer("\n".join([*([text] if text else []), *said]), reason not in _CUT, bool(calls))


def _events(body: bytes) -> Iterator[Mapping[str, Any]]:
    for event in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = data_of(event)
        if data and data != b"[DONE]":
            yield _object(data)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotAgain("unreadable") from None
    if not isinstance(found, Mapping):
        raise NotAgain("unreadable")
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _joined(parts: list[Mapping[str, Any]], kind: str) -> str:
    return "".join(str(part.get("text") or "") for part in parts if part.get("type") == kind)
