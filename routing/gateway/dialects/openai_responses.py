"""OpenAI's responses: `/responses`, what Codex and the Agents SDK speak."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from finops.connectors.openai.usage import responses_usage, untold
from routing.gateway.dialects import fields, openai_parts
from routing.gateway.dialects.answers import Reader, Stream, Whole, mapping, tolerant
from routing.gateway.dialects.fields import Fields
from routing.gateway.dialects.inputs import OPENAI_IMAGE, Inputs, fingerprint, kind_of, openai_told
from routing.gateway.dialects.openai_chat import lowered
from routing.gateway.dialects.types import OPENAI, Answered, Dialect, ModelCall
from routing.gateway.requests import FieldInvalid

# Bounds what is thought as well, of the whole response.
_LIMIT: Final = "max_output_tokens"
# Bounds all tools together that OpenAI runs. Codex offers a search with every call, and says no maximum.
_MOST_CALLS: Final = "max_tool_calls"
USUAL_CALLS: Final = 4
# A smaller limit OpenAI refuses.
_LEAST: Final = 16
_KNOWN: Final = frozenset(
    {"model", "input", "instructions", "tools", "stream", _LIMIT, _MOST_CALLS, "service_tier", "background"}
    | {"previous_response_id", "conversation", "prompt", "context_management", "text", "models", "fallbacks", "plugins"}
)
_READ: Final = ("instructions", "input", "tools", "text")
# Items that are text as they stand; what is sealed in them is longer than what it holds.
_TEXT: Final = frozenset(
    {"function_call", "custom_tool_call", "reasoning", "local_shell_call", "local_shell_call_output", "shell_call"}
    | {"apply_patch_call", "computer_call", "web_search_call", "file_search_call", "code_interpreter_call", "mcp_call"}
    | {"mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "tool_search_call", "tool_search_output"}
    | {"shell_call_output", "apply_patch_call_output"}
)
# Items whose `output` is a text or a list of parts.
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output", "computer_call_output"})


class Responses(Dialect):
    name = "openai.responses"
    family = OPENAI
    path = "/responses"
    kept = True

    def read(self, body: bytes) -> ModelCall:
        given = fields.read(body)
        fields.refuse_lookalikes(given, _KNOWN)
        if fields.flag(given, "background"):
            # It says what it used to whoever fetches it, later, past this door.
            raise FieldInvalid("background: responses made in the background are not offered here", field="background")
        inputs = Inputs()
        messages = _input(inputs, given)
        most_calls = fields.number(given, _MOST_CALLS, least=0)
        tools, own = openai_parts.tools(inputs, given, most_calls=most_calls)
        _elsewhere(inputs, given)
        return ModelCall(
            dialect=self.name,
            model=fields.required(given, "model"),
            body=given.raw,
            input=inputs.bounds(given.size, messages=messages + 1, tools=tools),
            stream=fields.flag(given, "stream"),
            max_output_tokens=fields.number(given, _LIMIT, least=1),
            least_output_tokens=_LEAST,
            server_input=tuple(inputs.server),
            hosted_tools=tuple(inputs.hosted),
            service_tier=openai_parts.tier(given),
            tools=own,
            modalities=frozenset(inputs.modalities),
            told=openai_told(given.values),
            fingerprint=fingerprint(given.raw, _READ),
            follows=_follows(given.values),
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        replaced = fields.named(call.body, call.model, model)
        replaced.update(lowered(call.body, (_LIMIT,), _LIMIT, max_output_tokens))
        return fields.write(call.body, replaced)

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        return ResponseStream() if stream else Whole(_understand, _written)

    def bounded(self, call: ModelCall) -> ModelCall | None:
        """The most calls of its tools, where none is said and it bounds them."""
        if not _runs_unbounded(call) or bytes(call.body.get(_MOST_CALLS, b"null")) != b"null":
            return None
        again = self.read(fields.write(call.body, {_MOST_CALLS: USUAL_CALLS}))
        return None if _runs_unbounded(again) else again._replace(bounded=f"{_MOST_CALLS}={USUAL_CALLS}")


def _runs_unbounded(call: ModelCall) -> bool:
    return any(tool.max_uses is None for tool in call.hosted_tools)


def _input(inputs: Inputs, given: Fields) -> int:
    said = given.values.get("input")
    if said is None or isinstance(said, str):
        return 1
    if not isinstance(said, list):
        raise FieldInvalid("input is text or a list", field="input")
    for place, item in enumerate(said):
        if not isinstance(item, Mapping):
            raise FieldInvalid(f"input[{place}] is an object", field=f"input[{place}]")
        _item(inputs, item)
    return len(said)


def _item(inputs: Inputs, item: Mapping[str, Any]) -> None:
    """What is not known may be anything, and is bounded like what stands elsewhere."""
    kind = kind_of(item)
    if kind in _TEXT:
        return
    if kind in _OUTPUTS:
        openai_parts.parts(inputs, item.get("output"))
    elif kind == "message" or (not kind and "role" in item):
        openai_parts.parts(inputs, item.get("content"))
    elif kind == "image_generation_call":
        inputs.image_data(item.get("result"), OPENAI_IMAGE)
    elif kind == "item_reference":
        inputs.elsewhere("previous_response_id")
    else:
        inputs.elsewhere("other")


def _follows(values: Mapping[str, Any]) -> str:
    said = values.get("previous_response_id") or values.get("conversation")
    if isinstance(said, Mapping):
        said = said.get("id")
    return said if isinstance(said, str) else ""


def _elsewhere(inputs: Inputs, given: Fields) -> None:
    values = given.values
    openai_parts.look_elsewhere(inputs, given)
    for name in ("previous_response_id", "conversation"):
        if values.get(name):
            inputs.elsewhere(name)
    if values.get("prompt"):
        # A prompt that OpenAI keeps, with tools and limits of its own.
        inputs.elsewhere("other")
        inputs.runs("prompt", None)
    if values.get("context_management"):
        # The model reads all of it once more, and writes what it makes of it.
        inputs.runs("compaction", 1)


class _Response(msgspec.Struct):
    id: Any = None
    model: Any = None
    service_tier: Any = None
    status: Any = None
    usage: Any = None
    output: Any = None
    error: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    response: _Response | None = None
    # Of an event that is an error: some hosts say one within it, as of the other dialects.
    code: Any = None
    error: Any = None


_event: Final = tolerant(_Event)
_response: Final = msgspec.json.Decoder(_Response).decode
# What a model writes: in the events of a stream, and in a response as a whole.
_deltas: Final = re.compile(rb'"delta":\s*"((?:[^"\\]++|\\.)*+)"').findall
_texts: Final = re.compile(rb'"(?:text|arguments|input|refusal)":\s*"((?:[^"\\]++|\\.)*+)"').findall
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponseStream(Stream):
    """Its events tell a response as a whole when it begins and when it ends; between them, what is new."""

    __slots__ = ()

    def says_nothing(self, events: bytes) -> bool:
        # Whole responses have the first, whatever it holds; an error that ends a stream the second.
        if b'"usage"' in events or b'"error"' in events:
            return False
        self.output_bytes += sum(map(len, _deltas(events)))
        return True

    def understood(self, data: bytes) -> bool:
        event = _event(data)
        if event is None:
            self.note("an event is not the JSON it should be")
        elif event.response is not None:
            self.complete = self.complete or event.type in _ENDS
            _told(self, event.response)
            if event.type == "response.failed":
                self.failed_with(event.response.error)
        elif event.type == "error":
            self.failed_with(event.error or {"code": event.code})
        else:
            self.output_bytes += sum(map(len, _deltas(data)))
        return True


def _written(said: bytes) -> int:
    return sum(map(len, _texts(said)))


def _understand(reader: Whole, body: bytes) -> None:
    _told(reader, _response(body))


def _told(reader: Reader, said: _Response) -> None:
    reader.identified(model=said.model, request_id=said.id, service_tier=said.service_tier)
    output = said.output if isinstance(said.output, list) else ()
    reader.partial = reader.partial or untold(output)
    usage = mapping(said.usage)
    if usage is not None:
        reader.used(responses_usage(usage, output=output))
    if said.status == "failed":
        reader.note("the provider says that the response failed")
