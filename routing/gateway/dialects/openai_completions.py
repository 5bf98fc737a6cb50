"""OpenAI's older completions: `/completions`. Several prompts in one call are each answered."""

from __future__ import annotations

from typing import Any, Final

from finops.connectors.openai.usage import chat_usage
from routing.gateway.dialects import fields, openai_answers, openai_parts
from routing.gateway.dialects.inputs import Inputs, fingerprint, openai_told
from routing.gateway.dialects.openai_chat import choices, lowered, told_usage
from routing.gateway.dialects.types import OPENAI, Answered, Dialect, ModelCall
from routing.gateway.requests import FieldInvalid

_LIMIT: Final = "max_tokens"
_KNOWN: Final = frozenset({"model", "prompt", "suffix", "stream", "stream_options", _LIMIT, "n", "best_of"})
_MOST_ANSWERS: Final = 128


class Completions(Dialect):
    name = "openai.completions"
    family = OPENAI
    path = "/completions"

    def read(self, body: bytes) -> ModelCall:
        given = fields.read(body)
        fields.refuse_lookalikes(given, _KNOWN)
        inputs = Inputs()
        openai_parts.look_elsewhere(inputs, given)
        prompts = _prompts(given.values.get("prompt"))
        answers = choices(given) * prompts
        if answers > _MOST_ANSWERS:
            raise FieldInvalid(f"prompt: at most {_MOST_ANSWERS} answers to all prompts together", field="prompt")
        return ModelCall(
            dialect=self.name,
            model=fields.required(given, "model"),
            body=given.raw,
            input=inputs.bounds(given.size, messages=prompts, tools=0),
            stream=fields.flag(given, "stream"),
            # Some servers take 0 for no limit, so less than one token is not to be had.
            max_output_tokens=fields.number(given, _LIMIT, least=1),
            choices=answers,
            server_input=tuple(inputs.server),
            hosted_tools=tuple(inputs.hosted),
            service_tier=openai_parts.tier(given),
            told=openai_told(given.values),
            fingerprint=fingerprint(given.raw, ("prompt", "suffix")),
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        replaced = fields.named(call.body, call.model, model)
        replaced.update(lowered(call.body, (_LIMIT,), _LIMIT, max_output_tokens))
        if call.stream:
            replaced.update(told_usage(call.body))
        return fields.write(call.body, replaced)

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        if stream:
            return openai_answers.ChatStream(hides_usage=bool(told_usage(call.body)))
        return openai_answers.whole(chat_usage)


def _prompts(prompt: Any) -> int:
    """A text is one, and so is a list of tokens."""
    if not isinstance(prompt, list) or not prompt or isinstance(prompt[0], int):
        return 1
    return len(prompt)
