"""OpenAI's embeddings: `/embeddings`. Nothing is written, so all that is paid for stands in the call."""

from __future__ import annotations

from typing import Final

from finops.connectors.openai.usage import chat_usage
from routing.gateway.dialects import fields, openai_answers, openai_parts
from routing.gateway.dialects.answers import none_written
from routing.gateway.dialects.inputs import Inputs, fingerprint, openai_told
from routing.gateway.dialects.types import OPENAI, Answered, Dialect, ModelCall

_KNOWN: Final = frozenset({"model", "input"})


class Embeddings(Dialect):
    name = "openai.embeddings"
    family = OPENAI
    path = "/embeddings"

    def read(self, body: bytes) -> ModelCall:
        """Tokens that were made by the caller have two bytes at least: their digits and what divides them."""
        given = fields.read(body)
        fields.refuse_lookalikes(given, _KNOWN)
        inputs = Inputs()
        openai_parts.look_elsewhere(inputs, given)
        said = given.values.get("input")
        for part in said if isinstance(said, list) else ():
            if isinstance(part, dict):
                # Of hosts that embed more than text.
                openai_parts.parts(inputs, [part])
        several = isinstance(said, list) and bool(said) and not isinstance(said[0], int)
        return ModelCall(
            dialect=self.name,
            model=fields.required(given, "model"),
            body=given.raw,
            input=inputs.bounds(given.size, messages=len(said) if isinstance(said, list) and several else 1, tools=0),
            max_output_tokens=0,
            least_output_tokens=0,
            server_input=tuple(inputs.server),
            hosted_tools=tuple(inputs.hosted),
            service_tier="",
            modalities=frozenset(inputs.modalities),
            told=openai_told(given.values),
            fingerprint=fingerprint(given.raw, ("input",)),
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        return fields.write(call.body, fields.named(call.body, call.model, model))

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        return openai_answers.whole(chat_usage, none_written)
