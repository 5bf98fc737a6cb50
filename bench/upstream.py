"""A provider that costs next to nothing: canned answers of OpenAI's chat over a raw protocol, in a process of its own.

A request that says `"stream": true` gets events, one write each: as many and as slowly as `events=40 pace_ms=20` says
somewhere in its text, which every gateway passes on. Usage stands in the last of them, as with `include_usage`.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from multiprocessing.connection import Connection
from typing import Any, Final, cast

import uvloop

_STREAM: Final = re.compile(rb'"stream":\s*true')
_SCRIPT: Final = re.compile(rb"events=(\d+) pace_ms=(\d+)")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
MODEL: Final = "gpt-5-mini"
USAGE: Final = {
    "prompt_tokens": 350,
    "completion_tokens": 120,
    "total_tokens": 470,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
# Where the number of an answer goes.
_NUMBER: Final = b"##########"
_WORDS: Final = "The quick brown fox jumps over the lazy dog. "


def serve(told: Connection, served: Any) -> None:
    """Tells its port, and counts in `served` (one unsigned long) how many requests it answered. Until it is ended."""
    uvloop.run(_serve(told, served))


async def _serve(told: Connection, served: Any) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Provider(served), "127.0.0.1", 0, backlog=2048)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _Provider(asyncio.Protocol):
    """One connection: requests one after the other, each answered when it is there as a whole."""

    def __init__(self, served: Any) -> None:
        self._served = served
        self._buffer = b""
        self._transport: asyncio.Transport = None  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A real one of uvloop is none by its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(buffer, 0, end + 2)
        if length is None:
            # Nobody sends a body in pieces; who asks without one wants to know whether somebody is here.
            self._buffer = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        elif len(buffer) >= end + 4 + int(length[1]):
            self._buffer = b""
            self._served.value += 1
            self._answer(buffer[end + 4 :], b"%010x" % self._served.value)

    def _answer(self, body: bytes, number: bytes) -> None:
        """`number` is another one each time: whoever keeps books takes what has the same id for the same call."""
        if not _STREAM.search(body):
            self._transport.write(_WHOLE.replace(_NUMBER, number))
            return
        script = _SCRIPT.search(body)
        events, pace_ms = (int(script[1]), int(script[2])) if script else (1, 1)
        event = _EVENT.replace(_NUMBER, number)
        self._transport.write(_STREAM_HEAD.replace(_NUMBER, number) + event)
        self._go_on(event, _LAST.replace(_NUMBER, number), events - 1, pace_ms / 1000)

    def _go_on(self, event: bytes, last: bytes, left: int, pace_s: float) -> None:
        loop, write, closing = asyncio.get_running_loop(), self._transport.write, self._transport.is_closing
        due = time.monotonic()

        def next_one() -> None:
            nonlocal left, due
            if closing():
                return
            if left:
                left -= 1
                write(event)
                # By the clock, so that streams that are late do not become slower streams.
                due += pace_s
                loop.call_later(max(0.0, due - time.monotonic()), next_one)
            else:
                write(last)

        due += pace_s
        loop.call_later(pace_s, next_one)


def _whole() -> bytes:
    body = json.dumps(
        {
            "id": f"chatcmpl-{_NUMBER.decode()}",
            "object": "chat.completion",
            "created": 1760000000,
            "model": MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": _WORDS * 10, "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": USAGE,
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
        }
    ).encode()
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_"
        + _NUMBER
        + b"\r\ncontent-length: %d\r\n\r\n"
    )
    return head % len(body) + body


def _event(choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
    chunk = {
        "id": f"chatcmpl-{_NUMBER.decode()}",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
        "choices": choices,
        "usage": usage,
    }
    return _piece(b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n")


def _piece(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _delta(delta: dict[str, str], finish: str | None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]


_WHOLE: Final = _whole()
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_" + _NUMBER + b"\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_EVENT: Final = _event(_delta({"role": "assistant", "content": " word"}, None), None)
# In one write, as providers send them: that it stopped, what was used, and the end.
_LAST: Final = _event(_delta({}, "stop"), None) + _event([], USAGE) + _piece(b"data: [DONE]\n\n") + b"0\r\n\r\n"
# Events of `_LAST`, with the one that says it is over.
LAST_EVENTS: Final = 3
