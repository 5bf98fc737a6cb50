"""OpenAI's audio: `/audio/speech` is JSON, `/audio/transcriptions` and `/audio/translations` are forms with a file.

How much is spoken, or how long a file plays, nobody says beforehand: nothing bounds what they cost, and a hard budget
refuses them.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from finops.connectors.openai.usage import transcription_usage
from routing.gateway.bounds import BYTES_OF_TOKEN
from routing.gateway.dialects import fields
from routing.gateway.dialects.answers import Reader, Stream, Whole, mapping, tolerant
from routing.gateway.dialects.inputs import Inputs, fingerprint, openai_told
from routing.gateway.dialects.openai_forms import form_call, form_written
from routing.gateway.dialects.types import OPENAI, Answered, Dialect, ModelCall

# MP3, which comes where no format is asked for: 128 kbit/s, and speech that is written has 20 tokens a second.
_SOUND_OF_TOKEN: Final = 800
_KNOWN: Final = frozenset({"model", "input", "instructions"})


class Speech(Dialect):
    name = "openai.speech"
    family = OPENAI
    path = "/audio/speech"

    def read(self, body: bytes) -> ModelCall:
        given = fields.read(body)
        fields.refuse_lookalikes(given, _KNOWN)
        inputs = Inputs()
        inputs.runs(self.name, None)
        return ModelCall(
            dialect=self.name,
            model=fields.required(given, "model"),
            body=given.raw,
            input=inputs.bounds(given.size, messages=1, tools=0),
            stream=fields.text(given, "stream_format") == "sse",
            hosted_tools=tuple(inputs.hosted),
            service_tier="",
            modalities=frozenset({"text", "audio"}),
            told=openai_told(given.values),
            fingerprint=fingerprint(given.raw, ("input", "instructions")),
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        return fields.write(call.body, fields.named(call.body, call.model, model))

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        return AudioStream() if stream else Sound()


class _Form(Dialect):
    """A file that is listened to."""

    family = OPENAI

    def read(self, body: bytes) -> ModelCall:
        return form_call(self.name, body, "audio")

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        return form_written(call, model)

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        return AudioStream() if stream else Whole(_understand, _written)


class Transcriptions(_Form):
    name = "openai.transcriptions"
    path = "/audio/transcriptions"


class Translations(_Form):
    name = "openai.translations"
    path = "/audio/translations"


class Sound(Reader):
    """An answer that is sound: it says nothing of what it was, and is not kept. It counts as text of as many tokens."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        self._size += len(chunk)
        self.output_bytes = BYTES_OF_TOKEN * (self._size // _SOUND_OF_TOKEN + 1)
        return chunk

    def end(self) -> bytes:
        self.complete = True
        self.note("sound says no usage")
        return b""


class _Answer(msgspec.Struct):
    type: Any = None
    usage: Any = None
    error: Any = None


_event: Final = tolerant(_Answer)
_answer: Final = msgspec.json.Decoder(_Answer).decode
# What was heard: in the events of a stream, and in an answer as a whole, which may say it again in parts.
_deltas: Final = re.compile(rb'"delta":\s*"((?:[^"\\]++|\\.)*+)"').findall
_texts: Final = re.compile(rb'"text":\s*"((?:[^"\\]++|\\.)*+)"').findall


class AudioStream(Stream):
    __slots__ = ()

    def says_nothing(self, events: bytes) -> bool:
        if b'.done"' in events or b'"error"' in events:
            return False
        self.output_bytes += sum(map(len, _deltas(events)))
        return True

    def understood(self, data: bytes) -> bool:
        event = _event(data)
        if event is None:
            # Some end with a word that is no JSON, as chat does.
            return True
        if event.error:
            self.failed_with(event.error)
        if event.type in ("speech.audio.done", "transcript.text.done"):
            self.complete = True
        usage = mapping(event.usage)
        if usage is not None:
            self.used(transcription_usage(usage))
        return True


def _written(said: bytes) -> int:
    return sum(map(len, _texts(said)))


def _understand(reader: Whole, body: bytes) -> None:
    usage = mapping(_answer(body).usage)
    if usage is not None:
        reader.used(transcription_usage(usage))
