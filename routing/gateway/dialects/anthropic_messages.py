"""Anthropic's Messages: `/v1/messages`, and `/v1/messages/count_tokens`, which costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from finops.connectors.anthropic.usage import tier_of
from finops.pricing.rules.names import canonical_tier
from routing.gateway.dialects import anthropic_answers, fields
from routing.gateway.dialects.fields import Fields
from routing.gateway.dialects.inputs import ANTHROPIC_IMAGE, Inputs, fingerprint, kind_of, pairs, said
from routing.gateway.dialects.types import ANTHROPIC, Answered, Dialect, ModelCall, Told
from routing.gateway.requests import FieldInvalid, Input

_LIMIT: Final = "max_tokens"
_KNOWN: Final = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "stream", _LIMIT, "metadata", "service_tier", "speed"}
    | {"inference_geo", "thinking", "container", "mcp_servers", "context_management", "fallbacks"}
)
_READ: Final = ("system", "messages", "tools")
# Blocks that are text as they stand; what is sealed in them is longer than what it holds.
_TEXT: Final = frozenset(
    {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use", "tool_reference"}
    | {"compaction", "web_search_result", "web_search_tool_result_error", "code_execution_result"}
)
# Blocks that hold others, in `content`.
_RESULTS: Final = frozenset(
    {"tool_result", "mcp_tool_result", "search_result", "web_search_tool_result", "web_fetch_tool_result"}
    | {"web_fetch_result", "code_execution_tool_result", "bash_code_execution_tool_result"}
    | {"text_editor_code_execution_tool_result", "tool_search_tool_result"}
)
# What the caller runs, of which Anthropic has the schema.
_CALLERS: Final = ("bash_", "text_editor_", "computer_", "memory_")
_FREE_EDITS: Final = "clear_"
_DEEPEST: Final = 8
# As much as an authorization may ask for at least.
_MOST_LEAST: Final = 10**6


class Messages(Dialect):
    name = "anthropic.messages"
    family = ANTHROPIC
    path = "/v1/messages"

    def read(self, body: bytes) -> ModelCall:
        given = fields.read(body)
        fields.refuse_lookalikes(given, _KNOWN)
        limit = fields.number(given, _LIMIT, least=0)
        if limit is None:
            raise FieldInvalid(f"{_LIMIT} is required", field=_LIMIT)
        inputs = Inputs()
        messages = _messages(inputs, given)
        tools, own = _tools(inputs, given)
        _elsewhere(inputs, given)
        return ModelCall(
            dialect=self.name,
            model=fields.required(given, "model"),
            body=given.raw,
            input=inputs.bounds(given.size, messages=messages, tools=tools),
            stream=fields.flag(given, "stream"),
            max_output_tokens=limit,
            least_output_tokens=_least(given.values.get("thinking"), limit),
            server_input=tuple(inputs.server),
            hosted_tools=tuple(inputs.hosted),
            service_tier=_tier(given),
            tools=own,
            modalities=frozenset(inputs.modalities),
            told=told(given.values.get("metadata")),
            fingerprint=fingerprint(given.raw, _READ),
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        replaced = fields.named(call.body, call.model, model)
        limit = fields.least_of((max_output_tokens, call.max_output_tokens))
        if limit != call.max_output_tokens:
            replaced[_LIMIT] = limit
        return fields.write(call.body, replaced)

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        return anthropic_answers.MessageStream() if stream else anthropic_answers.message()


class CountTokens(Dialect):
    """Counts what a message would read. Nobody pays for it."""

    name = "anthropic.count_tokens"
    family = ANTHROPIC
    path = "/v1/messages/count_tokens"

    def read(self, body: bytes) -> ModelCall:
        given = fields.read(body)
        return ModelCall(
            dialect=self.name,
            model=fields.required(given, "model"),
            body=given.raw,
            input=Input(),
            max_output_tokens=0,
            least_output_tokens=0,
            service_tier="",
            free=True,
        )

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        return fields.write(call.body, fields.named(call.body, call.model, model))

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        return anthropic_answers.free()


def _messages(inputs: Inputs, given: Fields) -> int:
    messages = fields.items(given, "messages")
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise FieldInvalid(f"messages[{place}] is an object", field=f"messages[{place}]")
        _blocks(inputs, message.get("content"), 0)
    _blocks(inputs, given.values.get("system"), 0)
    return len(messages) + 1


def _blocks(inputs: Inputs, content: Any, depth: int) -> None:
    """What is not known may be anything, and is bounded like what stands elsewhere."""
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        return
    if depth > _DEEPEST:
        raise FieldInvalid("messages are nested too deeply", field="messages")
    for block in content:
        kind = kind_of(block)
        if kind in _TEXT:
            continue
        if kind in _RESULTS:
            _blocks(inputs, block.get("content"), depth + 1)
        elif kind == "image":
            _image(inputs, block.get("source"))
        elif kind == "document":
            _document(inputs, block.get("source"), depth)
        elif kind == "container_upload":
            inputs.elsewhere("file_id")
        elif not isinstance(block, str):
            inputs.elsewhere("other")


def _image(inputs: Inputs, source: Any) -> None:
    """Wherever it is, it is scaled to what a model sees."""
    inputs.image_data(source.get("data") if isinstance(source, Mapping) else None, ANTHROPIC_IMAGE)


def _document(inputs: Inputs, source: Any, depth: int) -> None:
    kind = kind_of(source)
    if kind == "text":
        return
    if kind == "content":
        _blocks(inputs, source.get("content"), depth + 1)
    elif kind == "url":
        inputs.elsewhere("url")
    elif kind == "file":
        inputs.elsewhere("file_id")
    else:
        inputs.document(source.get("data") if isinstance(source, Mapping) else None)


def _tools(inputs: Inputs, given: Fields) -> tuple[int, int]:
    """How many there are, and how many of them the caller runs."""
    tools = fields.items(given, "tools")
    own = 0
    for tool in tools:
        kind = kind_of(tool)
        if kind not in ("", "custom") and not kind.startswith(_CALLERS):
            inputs.runs(kind, tool.get("max_uses"))
        else:
            own += 1
    return len(tools), own


def _elsewhere(inputs: Inputs, given: Fields) -> None:
    values = given.values
    if values.get("container"):
        inputs.elsewhere("other")
    if values.get("mcp_servers"):
        inputs.runs("mcp", None)
    if values.get("fallbacks"):
        # Another model's price, which nobody here was asked about.
        inputs.runs("fallbacks", None)
    management = values.get("context_management")
    edits = management.get("edits") if isinstance(management, Mapping) else None
    for edit in edits if isinstance(edits, list) else ():
        if not kind_of(edit).startswith(_FREE_EDITS):
            # The model reads all of it once more, and writes what it makes of it.
            inputs.runs("compaction", 1)


def _tier(given: Fields) -> str | None:
    """What it may be served as; None when that is Anthropic's choice. Speed and place have prices of their own."""
    asked = fields.text(given, "service_tier", longest=60)
    special = tier_of(
        service_tier="",
        speed=fields.text(given, "speed", longest=60),
        geo=fields.text(given, "inference_geo", longest=60),
    )
    if special:
        return special
    return None if asked in ("", "auto") else canonical_tier(asked)


def _least(thinking: Any, limit: int) -> int:
    """Less than its budget of thinking is refused by Anthropic."""
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        return min(1, limit)
    return min(budget + 1, limit, _MOST_LEAST)


def told(metadata: Any) -> Told:
    """`user_id` is Claude Code's word for who and which session: one word of three parts, JSON in a text, or an object;
    of anybody else it is an end user.
    """
    if not isinstance(metadata, Mapping):
        return Told()
    rest = {name: value for name, value in metadata.items() if name != "user_id"}
    user_id = metadata.get("user_id")
    if isinstance(user_id, str) and user_id.startswith("{"):
        try:
            user_id = msgspec.json.decode(user_id)
        except (msgspec.DecodeError, RecursionError):
            user_id = str(user_id)
    if isinstance(user_id, Mapping):
        user = said(user_id.get("account_uuid")) or said(user_id.get("device_id"))
        return Told(said(user_id.get("session_id")), user, pairs(rest, user_id))
    word = said(user_id)
    whose, session_mark, session = word.partition("_session_")
    if not session_mark or not whose.startswith("user_"):
        return Told("", word, pairs(rest))
    device, _, account = whose.removeprefix("user_").partition("_account_")
    return Told(session, account.strip("_") or device.removesuffix("_account"), pairs(rest, {"device_id": device}))
