"""OpenAI's chat completions and embeddings, as its API reference writes them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.fakes.upstream.answers import CREATED, Answer, BadRequest, Event, Ids, data
from tests.fakes.upstream.errors import OPENAI, openai_error
from tests.fakes.upstream.script import Plan


class Chat(Answer):
    family = OPENAI
    limits = ("max_completion_tokens", "max_tokens")
    required = ("messages",)
    prefix = "chatcmpl-"

    def __init__(self, body: dict[str, Any], plan: Plan, ids: Ids) -> None:
        super().__init__(body, plan, ids)
        options = body.get("stream_options")
        if options is not None and not body.get("stream"):
            raise BadRequest(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
            )
        self._wants_usage = bool((options or {}).get("include_usage"))
        self._common = {"created": CREATED, "model": self.model, "service_tier": plan.service_tier or "default"}

    def usage(self) -> dict[str, Any]:
        output = self.output * self.choices
        return {
            "prompt_tokens": self.input,
            "completion_tokens": output,
            "total_tokens": self.input + output,
            "prompt_tokens_details": {
                "cached_tokens": self.cached,
                "audio_tokens": 0,
                **({"cache_write_tokens": written} if (written := self.written_5m + self.written_1h) else {}),
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning * self.choices,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def whole(self) -> dict[str, Any]:
        usage = self.told_usage()
        return {
            "id": self.id,
            "object": "chat.completion",
            **self._common,
            "choices": [
                {"index": index, "message": self._message(), "logprobs": None, "finish_reason": self._finish()}
                for index in range(self.choices)
            ],
            **({} if usage is None else {"usage": usage}),
            "system_fingerprint": "fp_fake",
        }

    def _message(self) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if self.tool else self.text(),
            "refusal": None,
            "annotations": [],
        }
        if self.tool:
            function = {"name": self.tool, "arguments": self.arguments()}
            message["tool_calls"] = [{"id": self.ids.of("call_"), "type": "function", "function": function}]
        return message

    def _finish(self) -> str:
        return "length" if self.cut else "tool_calls" if self.tool else "stop"

    def events(self) -> Iterator[Event]:
        choices = range(self.choices)
        for index in choices:
            yield Event(
                self._chunk(index, {"role": "assistant", "content": None if self.tool else "", "refusal": None})
            )
        if self.tool:
            function = {"name": self.tool, "arguments": ""}
            call = {"index": 0, "id": self.ids.of("call_"), "type": "function", "function": function}
            yield Event(self._chunk(0, {"tool_calls": [call]}))
            for piece, tokens in self.pieces(self.arguments()):
                yield Event(self._chunk(0, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), tokens)
        else:
            for index in choices:
                for piece, tokens in self.told():
                    yield Event(self._chunk(index, {"content": piece}), tokens)
        for index in choices:
            yield Event(self._chunk(index, {}, self._finish()))

    def ending(self) -> bytes:
        usage = self.told_usage() if self._wants_usage else None
        end = b"data: [DONE]\n\n"
        return end if usage is None else self._data(choices=[], usage=usage) + end

    def failing(self) -> bytes:
        return data(openai_error(500, "The server had an error while processing your request."))

    def huge_event(self) -> bytes:
        return self._chunk(0, {"content": "x" * self.plan.huge_bytes})

    def _chunk(self, index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        # Whoever asked for usage finds it null in every chunk but the last.
        return self._data(choices=[choice], **({"usage": None} if self._wants_usage else {}))

    def _data(self, **more: Any) -> bytes:
        head = {"id": self.id, "object": "chat.completion.chunk", **self._common, "system_fingerprint": "fp_fake"}
        return data({**head, **more})


class Embeddings(Answer):
    family = OPENAI
    required = ("input",)
    prefix = "emb-"
    _DIMENSIONS: ClassVar[int] = 8

    def __init__(self, body: dict[str, Any], plan: Plan, ids: Ids) -> None:
        super().__init__(body, plan, ids)
        self.output = self.reasoning = self.visible = 0
        # There is no cache of them.
        self.cached = self.written_5m = self.written_1h = 0

    def usage(self) -> dict[str, Any]:
        return {"prompt_tokens": self.input, "total_tokens": self.input}

    def whole(self) -> dict[str, Any]:
        texts = self.body["input"] if isinstance(self.body["input"], list) else [self.body["input"]]
        count = self.body.get("dimensions") or self._DIMENSIONS
        vector: Any = [round(0.1 * (place + 1), 1) for place in range(count)]
        if self.body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{count}f", *vector)).decode()
        usage = self.told_usage()
        return {
            "object": "list",
            "data": [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))],
            "model": self.model,
            **({} if usage is None else {"usage": usage}),
        }
