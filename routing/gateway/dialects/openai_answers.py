"""Answers in OpenAI's dialects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from finops.connectors.counting import Meters
from finops.connectors.openai.usage import chat_usage
from finops.connectors.types import Problem
from routing.gateway.dialects.answers import Stream, Whole, mapping, tolerant

# What a model writes, in the chunks of a stream.
_texts: Final = re.compile(
    rb'"(?:content|text|arguments|reasoning_content|reasoning|refusal)":\s*"((?:[^"\\]++|\\.)*+)"'
).findall
_DONE: Final = b"[DONE]"


class Chunk(msgspec.Struct):
    id: Any = None
    model: Any = None
    service_tier: Any = None
    usage: Any = None
    error: Any = None
    choices: msgspec.Raw = msgspec.Raw(b"")


_chunk: Final = tolerant(Chunk)
_answer: Final = msgspec.json.Decoder(Chunk).decode


class ChatStream(Stream):
    """Of chat and of completions. Usage comes in a chunk of its own, without choices; where that was asked for on our
    own account (`hides_usage`) the client does not see it. It does see the `"usage": null` that every other chunk has
    then: clients take it for what it says. Hosts that say usage in every chunk say totals; the last one holds.
    """

    __slots__ = ("_begun", "_hides_usage", "_web_searches")

    def __init__(self, *, hides_usage: bool, web_searches: int = 0) -> None:
        super().__init__()
        self._begun = False
        self._hides_usage = hides_usage
        self._web_searches = web_searches

    def says_nothing(self, events: bytes) -> bool:
        if not self._begun or events.count(b'"usage"') != events.count(b'"usage":null'):
            return False
        if _DONE in events or b'"error"' in events:
            return False
        self.output_bytes += written(events)
        return True

    def end(self) -> bytes:
        # Not every host says that it is done; whoever has said the usage is.
        self.complete = self.complete or self.usage is not None
        return super().end()

    def understood(self, data: bytes) -> bool:
        if data == _DONE:
            self.complete = True
            return True
        chunk = _chunk(data)
        if chunk is None:
            self.note("a chunk is not the JSON it should be")
            return True
        self.output_bytes += written(data)
        self.identified(model=chunk.model, request_id=chunk.id, service_tier=chunk.service_tier)
        # Azure begins with a chunk that names nothing.
        self._begun = self._begun or bool(self.model and self.request_id)
        if chunk.error:
            self.failed_with(chunk.error)
        if chunk.usage is None:
            return True
        usage = mapping(chunk.usage)
        if usage is None:
            self.note("usage is not an object")
            return True
        self.used(chat_usage(usage, web_searches=self._web_searches))
        return not (self._hides_usage and not msgspec.json.decode(bytes(chunk.choices) or b"[]"))


def written(said: bytes) -> int:
    return sum(map(len, _texts(said)))


def whole(usage_of: Callable[[dict[str, Any]], Meters | Problem], of: Callable[[bytes], int] = written) -> Whole:
    """`of` is as `Whole.written`."""

    def understand(reader: Whole, body: bytes) -> None:
        said = _answer(body)
        reader.identified(model=said.model, request_id=said.id, service_tier=said.service_tier)
        usage = mapping(said.usage)
        if usage is not None:
            reader.used(usage_of(usage))

    return Whole(understand, of)
