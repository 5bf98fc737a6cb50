"""Answers in Anthropic's dialect."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from finops.connectors.anthropic.usage import messages_usage, tier_of
from routing.gateway.dialects.answers import Reader, Stream, Whole, mapping, none_written, tolerant

# What a model writes, in the deltas of a stream.
_texts: Final = re.compile(rb'"(?:text|partial_json|thinking)":\s*"((?:[^"\\]++|\\.)*+)"').findall


class _Message(msgspec.Struct):
    id: Any = None
    model: Any = None
    usage: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    message: _Message | None = None
    usage: Any = None
    error: Any = None


_event: Final = tolerant(_Event)
_message: Final = msgspec.json.Decoder(_Message).decode


def _written(said: bytes) -> int:
    return sum(map(len, _texts(said)))


class MessageStream(Stream):
    """Its usage is told when it begins, with what was read, and again in totals until it ends. Of its output the
    beginning knows nothing: where no total came after it, none was told.
    """

    __slots__ = ("_told", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] = {}
        self._told = False

    def says_nothing(self, events: bytes) -> bool:
        # message_start, message_delta and message_stop.
        if b'"message_' in events or b'"error"' in events:
            return False
        self.output_bytes += _written(events)
        return True

    def understood(self, data: bytes) -> bool:
        event = _event(data)
        if event is None:
            self.note("an event is not the JSON it should be")
        elif event.type == "message_start" and event.message is not None:
            self.identified(model=event.message.model, request_id=event.message.id, service_tier="")
            self._counted(event.message.usage)
        elif event.type == "message_delta":
            self._counted(event.usage)
            self._told = self._told or (mapping(event.usage) or {}).get("output_tokens") is not None
        elif event.type == "message_stop":
            self.complete = True
            if not self._told and self.usage is not None:
                self.note("the stream says no output")
                self._counted({"output_tokens": 0})
        elif event.type == "error":
            self.failed_with(event.error)
        else:
            self.output_bytes += _written(data)
        return True

    def _counted(self, told: Any) -> None:
        usage = mapping(told)
        if usage is None:
            if told is not None:
                self.note("usage is not an object")
            return
        self._usage.update({name: value for name, value in usage.items() if value is not None})
        _used(self, self._usage)


def message() -> Whole:
    return Whole(_understand, _written)


def _understand(reader: Whole, body: bytes) -> None:
    said = _message(body)
    reader.identified(model=said.model, request_id=said.id, service_tier="")
    usage = mapping(said.usage)
    if usage is not None:
        _used(reader, usage)


def _used(reader: Reader, usage: dict[str, Any]) -> None:
    reader.used(messages_usage(usage))
    reader.service_tier = tier_of(
        service_tier=usage.get("service_tier"), speed=usage.get("speed"), geo=usage.get("inference_geo")
    )


def free() -> Whole:
    """Of an answer that costs nothing."""
    return Whole(_free, none_written)


def _free(reader: Whole, body: bytes) -> None:
    reader.usage = {}
