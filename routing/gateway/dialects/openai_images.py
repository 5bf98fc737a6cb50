"""OpenAI's images: `/images/generations` is JSON, `/images/edits` a form with files, or JSON."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import msgspec

from finops.connectors.openai.usage import images_usage
from routing.gateway.bounds import BYTES_OF_TOKEN
from routing.gateway.dialects import fields, openai_parts
from routing.gateway.dialects.answers import Stream, Whole, mapping, tolerant
from routing.gateway.dialects.inputs import Inputs, fingerprint, openai_told
from routing.gateway.dialects.openai_forms import FORM, form_call, form_written
from routing.gateway.dialects.types import OPENAI, Answered, Dialect, ModelCall

_KNOWN: Final = frozenset({"model", "prompt", "n", "stream", "size", "quality", "partial_images"})
# OpenAI, image generation: the most one picture of the GPT Image 1 models is (high, 1024 by 1536), and 100 for each of
# three pictures on its way. Of other models nobody says, or they are paid for by the picture.
_MODELS: Final = re.compile(r"^gpt-image-1(?:\.5|-mini)?(?:-20\d\d-\d\d-\d\d)?$")
_SIZES: Final = frozenset({"", "auto", "1024x1024", "1024x1536", "1536x1024"})
_MOST_TOKENS: Final = 6_240 + 3 * 100
# As many bytes of text come to as much.
_BYTES_OF_PICTURE: Final = _MOST_TOKENS * BYTES_OF_TOKEN
_MOST_PICTURES: Final = 10
# It does not say its name where it makes one.
_DEFAULT: Final = "dall-e-2"


class Generations(Dialect):
    name = "openai.images"
    family = OPENAI
    path = "/images/generations"

    def read(self, body: bytes) -> ModelCall:
        given = fields.read(body)
        fields.refuse_lookalikes(given, _KNOWN)
        model = fields.text(given, "model") or _DEFAULT
        inputs = Inputs()
        openai_parts.look_elsewhere(inputs, given)
        bounded = bool(_MODELS.match(model)) and fields.text(given, "size", longest=60) in _SIZES
        if not bounded:
            inputs.runs(self.name, None)
        return ModelCall(
            dialect=self.name,
            model=model,
            body=given.raw,
            input=inputs.bounds(given.size, messages=1, tools=0),
            stream=fields.flag(given, "stream"),
            max_output_tokens=_MOST_TOKENS if bounded else None,
            # No field of the call makes it less.
            least_output_tokens=_MOST_TOKENS if bounded else 1,
            choices=fields.number(given, "n", least=1, most=_MOST_PICTURES) or 1,
            server_input=tuple(inputs.server),
            hosted_tools=tuple(inputs.hosted),
            service_tier="",
            modalities=frozenset({"text", "image"}),
            told=openai_told(given.values),
            fingerprint=fingerprint(given.raw, ("prompt", "size", "quality")),
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        if FORM in call.body:
            return form_written(call, model)
        return fields.write(call.body, fields.named(call.body, call.model, model))

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        return ImageStream() if stream else Whole(_understand, _written)


class Edits(Generations):
    """Pictures made of pictures: how much of those is read, depends on what nobody documents for all models."""

    name = "openai.edits"
    path = "/images/edits"

    def read(self, body: bytes) -> ModelCall:
        if body.lstrip().startswith(b"{"):
            call = super().read(body)
            inputs = Inputs()
            inputs.runs(self.name, None)
            return call._replace(hosted_tools=tuple(inputs.hosted), max_output_tokens=None, least_output_tokens=1)
        return form_call(self.name, body, "image")


class _Answer(msgspec.Struct):
    type: Any = None
    usage: Any = None
    error: Any = None


_event: Final = tolerant(_Answer)
_pictures: Final = re.compile(rb'"(?:b64_json|url)":\s*"').findall
_answer: Final = msgspec.json.Decoder(_Answer).decode


class ImageStream(Stream):
    """Several pictures are several ends, each with the usage of its own; all of them are one request."""

    __slots__ = ("_pictures",)

    def __init__(self) -> None:
        super().__init__()
        self._pictures = 0

    def says_nothing(self, events: bytes) -> bool:
        if b'.partial_image"' in events:
            # One is being made, whether or not its end is waited for.
            self.output_bytes = _BYTES_OF_PICTURE
        return b'.completed"' not in events and b'"error"' not in events

    def end(self) -> bytes:
        # Nothing says which of them is the last.
        self.complete = self._pictures > 0
        return super().end()

    def understood(self, data: bytes) -> bool:
        event = _event(data)
        if event is not None and event.error:
            self.failed_with(event.error)
        elif event is not None and isinstance(event.type, str) and event.type.endswith(".completed"):
            self._pictures += 1
            self.output_bytes = 0
            before, usage = self.usage or {}, mapping(event.usage)
            if usage is not None:
                self.used(images_usage(usage))
            if self.usage is not None and usage is not None:
                self.usage = dict(Counter(before) + Counter(self.usage)) | {"requests": 1}
        return True


def _written(said: bytes) -> int:
    """Whoever does not say what its pictures were is taken to have made the largest."""
    return _BYTES_OF_PICTURE * len(_pictures(said))


def _understand(reader: Whole, body: bytes) -> None:
    usage = mapping(_answer(body).usage)
    if usage is not None:
        reader.used(images_usage(usage))
