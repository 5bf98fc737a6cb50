"""What was written in a call, for whoever has to look: which type of work it is, and whether it is sensitive. Nothing
of it is kept or logged.
"""

from __future__ import annotations

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
    unread = [*found.content.unreadable, *sorted(call.modalities - {"text"}), *call.server_input]
    if not messages:
        unread.append("what was asked")
    return Call(found.known, Content(found.content.texts, tuple(unread)))


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
