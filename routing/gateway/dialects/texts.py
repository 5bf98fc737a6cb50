"""What was written in a call, for whoever has to look: which type of work it is, and whether it is sensitive. Nothing
of it is kept or logged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from routing.classify.reading import Call, read
from routing.classify.types import Content
from routing.gateway.dialects.types import ModelCall

# Larger bodies are not looked through while a call waits.
MOST_BYTES: Final = 2**18
# Where the dialects have what a model reads, in the order of a conversation, and who says it where that is not said.
_PLACES: Final = (
    ("system", "system"),
    ("instructions", "system"),
    ("messages", ""),
    ("input", "user"),
    ("prompt", "user"),
)
# What no model reads, and the places above.
_NOT_READ: Final = frozenset({name for name, _ in _PLACES} | {"model", "stream", "stream_options", "service_tier"})
_decode: Final = msgspec.json.Decoder().decode


def read_texts(call: ModelCall, *, depth: int, tags: Mapping[str, str]) -> Call:
    """Never raises: what cannot be looked through is unreadable, and so not known to be harmless."""
    raw = [(value, role) for name, role in _PLACES if (value := call.body.get(name)) is not None]
    size = sum(len(bytes(value)) for value, _ in raw)
    messages: list[Any] = []
    if raw and size <= MOST_BYTES and call.form is None:
        try:
            for value, role in raw:
                messages += _messages(_decode(value), role)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            messages = []
    found = read(messages, tools=call.tools, depth=depth, tags=tags)
    beside = _beside(call) if messages else []
    unread = [*found.content.unreadable, *sorted(call.modalities - {"text"}), *call.server_input]
    if not messages or beside is None:
        unread.append("what was asked")
    return found._replace(content=Content((*found.content.texts, *(beside or ())), tuple(unread)))


def _beside(call: ModelCall) -> list[str] | None:
    """Everything else of a body: a model reads tools, schemas and predictions too. None where it is too much to look
    through.
    """
    others = [bytes(value) for name, value in call.body.items() if name not in _NOT_READ]
    if sum(map(len, others)) > MOST_BYTES:
        return None
    return [text for value in others if any(letter in value for letter in b'"[{') and (text := _plain(value))]


def _plain(value: bytes) -> str:
    """JSON as text, with what is escaped in it as what it stands for."""
    try:
        return json.dumps(_decode(value), ensure_ascii=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return "\ufffd"


def _messages(said: Any, role: str) -> list[Any]:
    if role == "":
        return said if isinstance(said, list) else []
    if isinstance(said, str):
        return [{"role": role, "content": said}]
    if not isinstance(said, list):
        return []
    # Of a list some are messages of their own, and others are parts of what one says.
    return [
        one if isinstance(one, Mapping) and ("role" in one or "content" in one) else {"role": role, "content": [one]}
        for one in said
    ]
