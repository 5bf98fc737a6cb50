"""OpenAI's chat completions: `/chat/completions`, the dialect that most hosts speak."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from finops.connectors.openai.usage import chat_usage
from routing.gateway.dialects import fields, openai_answers, openai_parts
from routing.gateway.dialects.fields import Fields
from routing.gateway.dialects.inputs import Inputs, fingerprint, openai_told
from routing.gateway.dialects.types import OPENAI, Answered, Dialect, ModelCall
from routing.gateway.requests import FieldInvalid, HostedTool

# The newer one bounds what is thought as well; OpenAI takes one of them, hosts that know both take either.
_LIMITS: Final = ("max_completion_tokens", "max_tokens")
# OpenAI's models that think refuse the older one; every other host understands it.
_THINKS: Final = re.compile(r"(?:^|/)(?:o[1-9]|gpt-(?:[5-9]|\d\d)|codex)")
# Names that are no alias of one of those, whatever was asked for: where a budget or a failover sent the call, the newer
# one may not be heeded.
_DOES_NOT: Final = re.compile(
    r"gpt-(?:[34]|oss)|claude|command|deepseek|gemini|gemma|glm|grok|kimi|llama|minimax|mi[sx]tral|nova|phi|qwen"
)
_KNOWN: Final = frozenset(
    {"model", "messages", "tools", "functions", "stream", "stream_options", *_LIMITS, "n", "best_of", "service_tier"}
    | {"prediction", "modalities", "audio", "web_search_options", "response_format", "models", "fallbacks", "plugins"}
)
_READ: Final = ("messages", "tools", "functions", "response_format")
_SEARCH: Final = "web_search"
_MOST_CHOICES: Final = 128


class Chat(Dialect):
    name = "openai.chat"
    family = OPENAI
    path = "/chat/completions"

    def read(self, body: bytes) -> ModelCall:
        given = fields.read(body)
        fields.refuse_lookalikes(given, _KNOWN)
        inputs = Inputs()
        messages = _messages(inputs, given)
        tools, own = openai_parts.tools(inputs, given)
        _beside(inputs, given)
        limits = [fields.number(given, name, least=1) for name in _LIMITS]
        return ModelCall(
            dialect=self.name,
            model=fields.required(given, "model"),
            body=given.raw,
            input=inputs.bounds(given.size, messages=messages, tools=tools),
            stream=fields.flag(given, "stream"),
            # Where both are said, nobody knows which of them is heeded.
            max_output_tokens=max([limit for limit in limits if limit is not None], default=None),
            choices=choices(given),
            server_input=tuple(inputs.server),
            hosted_tools=tuple(inputs.hosted),
            service_tier=openai_parts.tier(given),
            tools=own,
            modalities=frozenset(inputs.modalities),
            told=openai_told(given.values),
            fingerprint=fingerprint(given.raw, _READ),
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        replaced = fields.named(call.body, call.model, model)
        proper = _LIMITS[0] if _thinks(model.lower(), call.model.lower()) else _LIMITS[1]
        replaced.update(lowered(call.body, _LIMITS, proper, max_output_tokens))
        if call.stream:
            replaced.update(told_usage(call.body))
        return fields.write(call.body, replaced)

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        searches = sum(tool.max_uses or 0 for tool in call.hosted_tools if tool.type == _SEARCH)
        if stream:
            return openai_answers.ChatStream(hides_usage=bool(told_usage(call.body)), web_searches=searches)
        return openai_answers.whole(partial(chat_usage, web_searches=searches))


def _thinks(model: str, asked: str) -> bool:
    """A deployment whose own name says nothing, as Azure's often do, is what it was asked for as."""
    return bool(_THINKS.search(model) or (_THINKS.search(asked) and not _DOES_NOT.search(model)))


def choices(given: Fields) -> int:
    said = [fields.number(given, name, least=1, most=_MOST_CHOICES) for name in ("n", "best_of")]
    return max([number for number in said if number is not None], default=1)


def lowered(raw: Mapping[str, msgspec.Raw], names: tuple[str, ...], proper: str, most: int | None) -> dict[str, int]:
    """The limits a body says, none of them over `most`; or the proper one, where it says none."""
    if most is None:
        return {}
    said = {name: msgspec.json.decode(raw[name]) for name in names if name in raw}
    said = {name: limit for name, limit in said.items() if limit is not None}
    return {name: most for name, limit in said.items() if limit > most} if said else {proper: most}


def told_usage(raw: Mapping[str, msgspec.Raw]) -> dict[str, bytes]:
    """What makes a stream tell its usage, where the client did not ask for that itself."""
    options = fields.members(raw.get("stream_options"))
    if bytes(options.get("include_usage", b"")) == b"true":
        return {}
    return {"stream_options": fields.write(options, {"include_usage": True})}


def _messages(inputs: Inputs, given: Fields) -> int:
    messages = fields.items(given, "messages")
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise FieldInvalid(f"messages[{place}] is an object", field=f"messages[{place}]")
        content = message.get("content")
        if content.__class__ is not str:
            openai_parts.parts(inputs, content)
        if message.get("audio") is not None:
            # What the model said before, by its id.
            inputs.elsewhere("other")
    return len(messages)


def _beside(inputs: Inputs, given: Fields) -> None:
    values = given.values
    openai_parts.look_elsewhere(inputs, given)
    if values.get("prediction") is not None:
        # What of it is not taken is paid for as output, and no limit of output is documented to hold for it.
        inputs.runs("prediction", None)
    if values.get("web_search_options") is not None or openai_parts.searches_itself(fields.text(given, "model")):
        # Models that search do so once, before they answer.
        inputs.hosted.append(HostedTool(_SEARCH, 1))
    modalities: Any = values.get("modalities")
    if isinstance(modalities, list):
        inputs.modalities.update({kind for kind in modalities if kind in ("audio", "image")})
