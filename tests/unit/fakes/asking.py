"""A client that shows every byte: over a socket, or read as lines of events."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

HELLO = [{"role": "user", "content": "hello there"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


class There(Protocol):
    @property
    def port(self) -> int: ...


class Got(NamedTuple):
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def events(self) -> list[Any]:
        """Of each event its data, as JSON where it is."""
        found = [line[6:] for line in self.raw.decode().split("\n") if line.startswith("data: ")]
        return [one if one == "[DONE]" else json.loads(one) for one in found]


def ask(upstream: There, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Got:
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=20)
    try:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        connection.request(method, path, None if body is None else raw, dict(headers or {}))
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return Got(answer.status, told, answer.read())
    finally:
        connection.close()


def chat(upstream: There, **more: Any) -> Got:
    return ask(upstream, "/v1/chat/completions", {"model": "gpt", "messages": HELLO, **more})


def respond(upstream: There, **more: Any) -> Got:
    return ask(upstream, "/v1/responses", {"model": "gpt", "input": "hello there", **more})


def message(upstream: There, **more: Any) -> Got:
    body = {"model": "claude", "max_tokens": 100, "messages": HELLO, **more}
    return ask(upstream, "/v1/messages", body, {"anthropic-version": "2023-06-01"})
