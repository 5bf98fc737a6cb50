"""Events of coding agents, each one answered call: Claude Code, Codex CLI and Gemini CLI.

They tell other things by events too (prompts, tools, errors, the same call again in another vocabulary), which are
counted and left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from finops.connectors.anthropic.usage import messages_usage, tier_of
from finops.connectors.counting import Meters, meters, ordered
from finops.connectors.openai.usage import responses_usage
from finops.connectors.otlp import decode
from finops.connectors.otlp.types import Attributes, Calls, Cut, Encoding, Log, Rows, kept
from finops.connectors.otlp.values import (
    ALWAYS,
    PROVIDER,
    Wrong,
    amount,
    count,
    decimal,
    event,
    kept_of_resource,
    moment,
    read,
    refused,
    text,
    whose,
    word,
    written,
)
from finops.connectors.types import NO_TIME, Problem, Received, UsageEvent

PARSER: Final = "otlp_logs"

CLAUDE_CODE: Final = "claude_code.api_request"
CODEX: Final = "codex.sse_event"
GEMINI_CLI: Final = "gemini_cli.api_response"
_CLAUDE_SHORT: Final = "api_request"
_CLAUDE: Final = ("claude-code", "claude_code", "com.anthropic.claude_code")
_NAME: Final = "event.name"
# What names of events begin with. A body may be anything somebody wrote, and is not repeated.
_NAMES: Final = ("claude_code.", "codex.", "gemini_cli.", "gen_ai.")
_TIME: Final = "event.timestamp"
_KIND: Final = "event.kind"
_COMPLETED: Final = "response.completed"
_NORMAL: Final = "normal"
_SESSION: Final = "session.id"

_CLAUDE_COUNTS: Final[Mapping[str, str]] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_creation_tokens",
}
_CODEX_COUNTS: Final = (
    "input_token_count",
    "output_token_count",
    "cached_token_count",
    "cache_write_token_count",
    "reasoning_token_count",
)
_GEMINI_COUNTS: Final = (
    "input_token_count",
    "output_token_count",
    "cached_content_token_count",
    "thoughts_token_count",
    "tool_token_count",
    "total_token_count",
)
_CLAUDE_TAGS: Final = (
    "query_source", "speed", "effort", "agent.name", "skill.name", "plugin.name", "mcp_server.name", "mcp_tool.name",
    "workflow.run_id", "terminal.type", "app.version",
)  # fmt: skip
_CODEX_TAGS: Final = (
    "auth_mode",
    "service_tier",
    "model_reasoning_effort",
    "terminal.type",
    "app.version",
    "originator",
)
_GEMINI_TAGS: Final = ("auth_type", "role")


class _Tool(NamedTuple):
    """What of an event is read, and how."""

    attributes: frozenset[str]
    make: Callable[[Log], UsageEvent]


_record: Final = msgspec.json.Decoder(Log, float_hook=decimal)


def cut(body: bytes, encoding: Encoding = Encoding.JSON) -> Cut:
    """A body of `/v1/logs`: its answered calls, and how many events of what name were none.

    Raises BodyUnreadable, TooManyRecords and ProtobufMissing.
    """
    logs, rejected = decode.logs(body, encoding)
    rows = Rows()
    resources: dict[int, dict[str, object]] = {}
    tellers: set[str] = set()
    for log in logs:
        name = _name(log)
        reason = _not_counted(name, log)
        if reason:
            rows.ignore(reason)
            continue
        known = resources.get(id(log.resource))
        if known is None:
            known = resources[id(log.resource)] = kept_of_resource(log.resource)
        attributes = kept(log.attributes, _TOOLS[name].attributes)
        rows.add(msgspec.structs.replace(log, event=name, attributes=attributes, resource=known))
        tellers.add(name.partition(".")[0])
    return rows.cut(rejected, frozenset(tellers))


def calls(body: bytes, encoding: Encoding) -> Calls:
    """A body's answered calls. Raises as `cut` does."""
    found = cut(body, encoding)
    return Calls([parse(row) for row in found.rows], found.rejected, found.tellers)


def parse(raw: bytes) -> Received:
    """One event as `cut` wrote it. Never raises."""
    log = read(_record, raw)
    if isinstance(log, Problem):
        return refused(raw, log)
    try:
        tool = _TOOLS.get(log.event)
        if tool is None:
            raise Wrong("connectors.field_invalid", "event", f"event is one of {', '.join(_TOOLS)}")
        made = tool.make(log)
        return Received(raw, made, None, made.external_id)
    except Wrong as wrong:
        return refused(raw, wrong.problem)


def _name(log: Log) -> str:
    """What an event is called: Claude Code says its short name as an attribute and the long one as body, the others the
    long one as attribute. Where Codex was built from stands as the event's own name, which is none.
    """
    said = word(log.attributes, _NAME)
    if said == _CLAUDE_SHORT and (log.event == CLAUDE_CODE or _is_claude(log)):
        return CLAUDE_CODE
    return said or (log.event if log.event.startswith(_NAMES) else "")


def _is_claude(log: Log) -> bool:
    service = word(log.resource, "service.name")
    return service.startswith(_CLAUDE) or log.scope.startswith(_CLAUDE)


def _not_counted(name: str, log: Log) -> str:
    if name not in _TOOLS:
        return f"event {name}" if name else "no event with a name"
    if name == CODEX:
        kind = word(log.attributes, _KIND)
        if kind != _COMPLETED:
            return f"event {CODEX} {kind}"
        # Of one answer it says thrice that it was completed: as it streams, where that failed, and once with counts.
        if not any(log.attributes.get(count_name) is not None for count_name in _CODEX_COUNTS):
            return f"event {CODEX} {kind} without counts"
    return ""


def _claude_code(log: Log) -> UsageEvent:
    """Counts are disjoint, Anthropic's own. What it costs is estimated there at list prices, and priced here again."""
    said = log.attributes
    counts = {theirs: count(said, ours) for theirs, ours in _CLAUDE_COUNTS.items()}
    request, session, sequence = text(said, "request_id"), text(said, _SESSION), text(said, "event.sequence")
    if not request and not (session and sequence):
        raise Wrong(
            "connectors.field_missing", "request_id", "request_id, or session.id and event.sequence, is required"
        )
    speed = text(said, "speed").lower()
    found = event(
        external_id=request or f"claude_code:{session}:{sequence}",
        occurred_at=_when(log),
        provider=_provider(log, "anthropic"),
        model=text(said, "model"),
        counts=ordered(messages_usage({name: number for name, number in counts.items() if number is not None})),
        service_tier=tier_of(service_tier="", speed="" if speed == _NORMAL else speed, geo=""),
        provider_account=text(said, "organization.id") or text(log.resource, "organization.id"),
        provider_request_id=request,
        session=session,
        evidence="reported",
        whose=whose(said, log.resource, _CLAUDE_TAGS, cost_usd=amount(said.get("cost_usd"))),
    )
    return undated(found)


def _codex(log: Log) -> UsageEvent:
    """Input includes what was cached, output what was thought. What it calls tool tokens is the total of all."""
    said = log.attributes
    conversation, at = text(said, "conversation.id"), text(said, _TIME)
    if not conversation or not at:
        missing = _TIME if conversation else "conversation.id"
        raise Wrong("connectors.field_missing", missing, f"{missing} is required: with the other, it is the call's id")
    numbers = {name: count(said, name) for name in _CODEX_COUNTS}
    usage = {
        "input_tokens": numbers["input_token_count"],
        "output_tokens": numbers["output_token_count"],
        "input_tokens_details": {
            "cached_tokens": numbers["cached_token_count"],
            "cache_write_tokens": numbers["cache_write_token_count"],
        },
        "output_tokens_details": {"reasoning_tokens": numbers["reasoning_token_count"]},
    }
    return event(
        external_id=f"codex:{conversation}:{at}",
        occurred_at=_when(log),
        provider=_provider(log, "openai"),
        model=text(said, "model", "slug"),
        counts=ordered(responses_usage(usage)),
        provider_account=text(said, "user.account_id"),
        session=conversation,
        evidence="reported",
        whose=whose(without(said, "user.account_id"), log.resource, _CODEX_TAGS),
    )


def _gemini_cli(log: Log) -> UsageEvent:
    """Input includes what was cached; output leaves out what was thought, and tools' prompts stand beside the input."""
    said = log.attributes
    session, at = text(said, _SESSION), text(said, _TIME)
    if not session or not at:
        missing = _TIME if session else _SESSION
        raise Wrong("connectors.field_missing", missing, f"{missing} is required: with the other, it is the call's id")
    model = text(said, "model")
    return event(
        # Several calls may answer one prompt, some of them at once and by other models.
        external_id=f"gemini_cli:{session}:{text(said, 'prompt_id')}:{at}:{model}",
        occurred_at=_when(log),
        provider=_provider(log, "gcp.gemini"),
        model=model,
        counts=ordered(_gemini_meters(said)),
        session=session,
        evidence="reported",
        whose=whose(said, log.resource, _GEMINI_TAGS),
    )


def _gemini_meters(said: Attributes) -> Meters | Problem:
    given, made, cached, thought, tools, total = (count(said, name) for name in _GEMINI_COUNTS)
    if given is None and made is None:
        raise Wrong(
            "connectors.field_missing", _GEMINI_COUNTS[0], "input_token_count and output_token_count are missing"
        )
    return gemini_usage(given or 0, made or 0, cached or 0, thought or 0, tools or 0, total)


def gemini_usage(
    given: int, made: int, cached: int, thought: int, tools: int, total: int | None = None
) -> Meters | Problem:
    """Counts of Gemini's usage, as its own tool tells them. A total that leaves the tools' prompts out says that they
    are part of the input already.
    """
    beside = 0 if total == given + made + thought else tools
    return meters(
        input_tokens=given + beside, cache_read_tokens=cached, output_tokens=made + thought, reasoning_tokens=thought
    )


def without(attributes: Attributes, name: str) -> Attributes:
    return {key: value for key, value in attributes.items() if key != name}


def undated(found: UsageEvent) -> UsageEvent:
    """An event without a time is dated when it is received."""
    return msgspec.structs.replace(found, undated=True) if found.occurred_at == NO_TIME else found


def _when(log: Log) -> datetime:
    """The event's own time; where it says none, the one beside it, then when somebody saw it."""
    if log.time > 0:
        return moment(log.time, "time")
    said = text(log.attributes, _TIME)
    if said:
        return written(said, _TIME)
    return moment(log.observed, "observed") if log.observed > 0 else NO_TIME


def _provider(log: Log, usual: str) -> str:
    """No event says which provider answered (a cloud's, for one), so whoever runs the tool may."""
    return text(log.attributes, PROVIDER) or text(log.resource, PROVIDER) or usual


_TOOLS: Final[Mapping[str, _Tool]] = {
    CLAUDE_CODE: _Tool(
        frozenset((
            *_CLAUDE_COUNTS.values(), *_CLAUDE_TAGS, "model", "cost_usd", "request_id", "event.sequence",
            "organization.id", _TIME, *ALWAYS,
        )),
        _claude_code,
    ),
    CODEX: _Tool(
        frozenset((_KIND, *_CODEX_COUNTS, *_CODEX_TAGS, "model", "slug", "conversation.id", _TIME, *ALWAYS)), _codex
    ),
    GEMINI_CLI: _Tool(
        frozenset((*_GEMINI_COUNTS, *_GEMINI_TAGS, "model", "prompt_id", _TIME, *ALWAYS)), _gemini_cli
    ),
}  # fmt: skip
