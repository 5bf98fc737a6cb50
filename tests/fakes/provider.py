"""An OpenAI and Anthropic on loopback. What it does is in the first part of the path, as a deployment's api_base says:
`ok`, `refuses` (429), `fails` (500), `hangs` (answers never), `dies` (closes the connection), `breaks` (half a stream),
`slow` (a word every 50 ms, for ever so long), `mute` (streams without usage).

Run as a program it prints its port, and keeps a line for every answer that it has charged for in the file it is given.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

from tests.fakes.web import Asked, Said, port_of, serve

# What each answer uses, unless `max_tokens` is less: no tokenizer, so that tests can say what a call costs.
WORDS: Final = 40
_numbers = itertools.count(1)


class Provider:
    def __init__(self, log: int) -> None:
        self._log = log
        # Pieces written in all streams together.
        self._words = 0

    async def answer(self, asked: Asked) -> Said:
        how = asked.path.split("/")[1]
        if how == "words":
            return Said(200, {"words": self._words})
        if how == "refuses":
            return Said(429, {"error": {"message": "slow down", "type": "rate_limit_error"}})
        if how == "fails":
            return Said(500, {"error": {"message": "our fault", "type": "server_error"}})
        if how == "hangs":
            await asyncio.sleep(3600)
        if how == "dies":
            return Said(0)
        number = next(_numbers)
        headers = {"x-request-id": f"req_{number}", "request-id": f"req_{number}"}
        kind = asked.path.rsplit("/", 1)[-1]
        make = {
            "completions": _Chat,
            "embeddings": _Embeddings,
            "responses": _Responses,
            "messages": _Messages,
        }[kind](asked.body, number)
        if not asked.body.get("stream"):
            self._charged(make)
            return Said(200, make.whole(), headers)
        return Said(200, None, headers, self._stream(make, how))

    def _charged(self, made: _Answer) -> None:
        line = {"model": made.model, "in": made.read, "out": made.words, "limit": made.limit}
        os.write(self._log, json.dumps(line).encode() + b"\n")

    async def _stream(self, made: _Answer, how: str) -> AsyncIterator[bytes]:
        for piece in made.begin():
            yield piece
        words = 100_000 if how == "slow" else made.words
        # As providers do it: several words at a time where there are many.
        at_once = 1 if how == "slow" else max(1, words // 20)
        for word in range(0, words, at_once):
            if how == "breaks" and word >= words // 2:
                raise ConnectionResetError
            # No two alike in a row: LiteLLM takes a hundred of those for a model gone mad.
            self._words += 1
            yield made.word("".join(f"word{(word + n) % 7} " for n in range(min(at_once, words - word))))
            await asyncio.sleep(0.05 if how == "slow" else 0)
        self._charged(made)
        for piece in made.end(mute=how == "mute"):
            yield piece


class _Answer:
    limit_field = "max_tokens"

    def __init__(self, body: dict[str, Any], number: int) -> None:
        self.body, self.number, self.model = body, number, body["model"]
        limit = body.get(self.limit_field) or body.get("max_completion_tokens")
        self.limit = limit
        wanted = (
            int(str(body).rpartition("words=")[2].split(" ")[0].split("'")[0] or WORDS)
            if "words=" in str(body)
            else WORDS
        )
        self.words = min(wanted, limit or wanted)
        self.read = max(1, len(json.dumps(body.get("messages") or body.get("input") or "")) // 6)

    def whole(self) -> dict[str, Any]:
        raise NotImplementedError

    def begin(self) -> list[bytes]:
        return []

    def word(self, said: str) -> bytes:
        raise NotImplementedError

    def end(self, *, mute: bool) -> list[bytes]:
        raise NotImplementedError


class _Chat(_Answer):
    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.read,
            "completion_tokens": self.words,
            "total_tokens": self.read + self.words,
            "prompt_tokens_details": {"cached_tokens": self.read // 2},
            "completion_tokens_details": {"reasoning_tokens": self.words // 4},
        }

    def whole(self) -> dict[str, Any]:
        said = {"role": "assistant", "content": "word " * self.words}
        finish = "length" if self.words == self.limit else "stop"
        return {
            "id": f"chatcmpl-{self.number}",
            "object": "chat.completion",
            "created": 1,
            "model": self.model,
            "service_tier": "default",
            "choices": [{"index": 0, "message": said, "finish_reason": finish}],
            "usage": self._usage(),
        }

    def _chunk(self, **more: Any) -> bytes:
        base = {"id": f"chatcmpl-{self.number}", "object": "chat.completion.chunk", "created": 1, "model": self.model}
        return _data({**base, **more})

    def word(self, said: str) -> bytes:
        return self._chunk(choices=[{"index": 0, "delta": {"content": said}, "finish_reason": None}])

    def end(self, *, mute: bool) -> list[bytes]:
        finish = "length" if self.words == self.limit else "stop"
        made = [self._chunk(choices=[{"index": 0, "delta": {}, "finish_reason": finish}])]
        if not mute and (self.body.get("stream_options") or {}).get("include_usage"):
            made.append(self._chunk(choices=[], usage=self._usage()))
        return [*made, b"data: [DONE]\n\n"]


class _Embeddings(_Answer):
    def whole(self) -> dict[str, Any]:
        self.words = 0
        rows = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        usage = {"prompt_tokens": self.read, "total_tokens": self.read}
        return {"object": "list", "data": rows, "model": self.model, "usage": usage}


class _Responses(_Answer):
    limit_field = "max_output_tokens"

    def whole(self) -> dict[str, Any]:
        text = [{"type": "output_text", "text": "word " * self.words, "annotations": []}]
        message = {"type": "message", "id": "m1", "status": "completed", "role": "assistant", "content": text}
        return {
            "id": f"resp_{self.number}",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": self.model,
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": self.read,
                "output_tokens": self.words,
                "total_tokens": self.read + self.words,
                "input_tokens_details": {"cached_tokens": self.read // 2},
                "output_tokens_details": {"reasoning_tokens": self.words // 4},
            },
        }

    def begin(self) -> list[bytes]:
        response = {**self.whole(), "status": "in_progress", "usage": None, "output": []}
        return [_event("response.created", response=response)]

    def word(self, said: str) -> bytes:
        return _event("response.output_text.delta", item_id="m1", output_index=0, content_index=0, delta=said)

    def end(self, *, mute: bool) -> list[bytes]:
        return [_event("response.completed", response=self.whole())]


class _Messages(_Answer):
    def _usage(self, words: int) -> dict[str, Any]:
        return {
            "input_tokens": self.read,
            "cache_creation_input_tokens": 7,
            "cache_read_input_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
            "output_tokens": words,
            "service_tier": "standard",
        }

    def whole(self) -> dict[str, Any]:
        return {
            "id": f"msg_{self.number}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [{"type": "text", "text": "word " * self.words}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": self._usage(self.words),
        }

    def begin(self) -> list[bytes]:
        message = {**self.whole(), "content": [], "stop_reason": None, "usage": self._usage(1)}
        start = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        return [_event("message_start", message=message), start]

    def word(self, said: str) -> bytes:
        return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": said})

    def end(self, *, mute: bool) -> list[bytes]:
        over = {"stop_reason": "end_turn", "stop_sequence": None}
        usage = {} if mute else {"usage": {"output_tokens": self.words}}
        return [
            _event("content_block_stop", index=0),
            _event("message_delta", delta=over, **usage),
            _event("message_stop"),
        ]


def _data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _event(kind: str, **value: Any) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, "sequence_number": 1, **value})


async def main(log: str) -> None:
    provider = Provider(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    server = await serve(provider.answer)
    sys.stdout.write(f"{port_of(server)}\n")
    sys.stdout.flush()
    # Until whoever started it closes its input.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    os._exit(0)
