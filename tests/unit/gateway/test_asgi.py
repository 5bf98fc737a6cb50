"""Bodies of whoever asks a gateway for anything but a model: bounded in size and time, and never taken for whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from routing.gateway import asgi
from routing.gateway.answers import Answer, Asked
from routing.gateway.process import BODY_MOST

PART = {"type": "http.request", "body": b"{", "more_body": True}


class Door:
    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked.body)
        return Answer(200, b"{}", {})


def posted(*messages: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Door]:
    """What is said to a client that sends these, and nothing more; and what the door heard."""
    door = Door()
    said: list[dict[str, Any]] = []
    gateway = asgi.Gateway()
    process: Any = SimpleNamespace(relay=SimpleNamespace(takes=lambda path: False), door=door)
    gateway._process = process
    coming = iter(messages)

    async def receive() -> Mapping[str, Any]:
        found = next(coming, None)
        return await asyncio.Future() if found is None else found

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/authorizations", "query_string": b"", "headers": [],
        "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asyncio.run(gateway(scope, receive, send))
    return said, door


def test_a_body_that_does_not_come_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.gateway.asgi.BODY_WITHIN_S", 0.05)
    (head, body), door = posted(PART)
    assert (head["status"], door.asked) == (408, [])
    assert b"gateway.body_slow" in body["body"]


def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    said, door = posted(PART, {"type": "http.disconnect"})
    assert (said, door.asked) == ([], [])


def test_a_body_that_is_too_large_is_answered_before_its_end() -> None:
    (head, _), door = posted(PART | {"body": b"x" * (BODY_MOST + 1)})
    assert (head["status"], door.asked) == (413, [])


def test_a_whole_body_is_what_all_its_parts_are() -> None:
    (head, _), door = posted(PART, {"type": "http.request", "body": b"}", "more_body": False})
    assert (head["status"], door.asked) == (200, [b"{}"])
