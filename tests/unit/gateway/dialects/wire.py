"""Bodies and streams in the providers' documented shapes, as short as they can be; and a client that reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from routing.gateway.dialects.registry import DIALECTS
from routing.gateway.dialects.types import Answered, Dialect, ModelCall

CHAT = DIALECTS["openai.chat"]
RESPONSES = DIALECTS["openai.responses"]
EMBEDDINGS = DIALECTS["openai.embeddings"]
MESSAGES = DIALECTS["anthropic.messages"]
COMPLETIONS = DIALECTS["openai.completions"]
IMAGES = DIALECTS["openai.images"]

OPENAI_USAGE: dict[str, Any] = {
    "prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 128},
}  # fmt: skip
OPENAI_METERS = {
    "input_uncached": 176, "cache_read": 1024, "output_text": 172, "output_reasoning": 128, "requests": 1,
}  # fmt: skip
RESPONSES_USAGE: dict[str, Any] = {
    "input_tokens": 1200, "input_tokens_details": {"cached_tokens": 1024}, "output_tokens": 300,
    "output_tokens_details": {"reasoning_tokens": 128}, "total_tokens": 1500,
}  # fmt: skip


def body(**given: Any) -> bytes:
    return json.dumps(given).encode()


def chat(**given: Any) -> ModelCall:
    usual = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
    return CHAT.read(body(**usual | given))


def responses(**given: Any) -> ModelCall:
    return RESPONSES.read(body(**{"model": "gpt-5-codex", "input": "Hello"} | given))


def messages(**given: Any) -> ModelCall:
    usual = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
    return MESSAGES.read(body(**usual | given))


def written(dialect: Dialect, call: ModelCall, *, model: str = "", most: int | None = None) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(dialect.write(call, model=model or call.model, max_output_tokens=most))
    return sent


def heard(reader: Answered, chunks: Iterable[bytes]) -> bytes:
    """What the client sees of an answer."""
    return b"".join([*[reader.feed(chunk) for chunk in chunks], reader.end()])


def event(data: Any, name: str = "") -> bytes:
    said = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return (f"event: {name}\n" if name else "").encode() + f"data: {said}\n\n".encode()


def chunk(text: str = "", *, usage: Any = None, **given: Any) -> bytes:
    """One chunk of a chat whose usage was asked for."""
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5-mini-2026"}
    return event(said | {"service_tier": "default", "choices": choices, "usage": usage} | given)


def chat_stream(texts: Sequence[str] = ("Hel", "lo")) -> list[bytes]:
    return [*[chunk(text) for text in texts], chunk(usage=OPENAI_USAGE, choices=[]), event("[DONE]")]


def message_stream(
    *, begins: Mapping[str, Any], ends: Mapping[str, Any], texts: Sequence[str] = ("Hel", "lo")
) -> list[bytes]:
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "usage": begins}
    return [
        event({"type": "message_start", "message": start}, "message_start"),
        event({"type": "ping"}, "ping"),
        *[delta(text) for text in texts],
        event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": ends}, "message_delta"),
        event({"type": "message_stop"}, "message_stop"),
    ]


def delta(text: str) -> bytes:
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return event(said, "content_block_delta")


def response_stream(*, usage: Any = RESPONSES_USAGE, ended: str = "completed", **given: Any) -> list[bytes]:
    response = {"id": "resp_1", "object": "response", "model": "gpt-5-codex", "service_tier": "auto", "usage": None}
    final = {**response, "service_tier": "default", "status": ended, "error": None, "usage": usage, **given}
    return [
        event({"type": "response.created", "response": response, "sequence_number": 0}, "response.created"),
        event(
            {"type": "response.output_text.delta", "delta": "Hello", "sequence_number": 1}, "response.output_text.delta"
        ),
        event({"type": f"response.{ended}", "response": final, "sequence_number": 2}, f"response.{ended}"),
    ]
