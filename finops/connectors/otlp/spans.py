"""OpenTelemetry's GenAI spans: one call of a model each, by the semantic conventions, current and previous.

Only spans of a model's own call are counted. A span around them (an agent, a workflow, a tool) may repeat their totals;
so may a model's span around another that is in the same body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.capstan.usage import DISJOINT, INCLUSIVE
from finops.connectors.counting import counts
from finops.connectors.otlp import decode
from finops.connectors.otlp.types import Attributes, Calls, Cut, Encoding, Rows, Span, genai_teller, kept
from finops.connectors.otlp.values import (
    ALWAYS,
    CONVENTION,
    PROVIDER,
    Whose,
    Wrong,
    count,
    decimal,
    event,
    kept_of_resource,
    moment,
    read,
    refused,
    tags_of,
    text,
    whose,
    word,
)
from finops.connectors.types import Counts, Problem, Received, UsageEvent

PARSER: Final = "otlp_spans"

_OPERATION: Final = ("gen_ai.operation.name", "llm.request.type")
# An operation as it is named, now and by OpenLLMetry before, and its family: a call of another family than the span
# around it is one of its own.
MODEL_OPERATIONS: Final[Mapping[str, str]] = {
    "chat": "text",
    "generate_content": "text",
    "text_completion": "text",
    "completion": "text",
    "embeddings": "embeddings",
    "embedding": "embeddings",
}
# Between two calls of models, these make the inner one a call of its own.
_BETWEEN: Final = frozenset({"invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "plan", "retrieval"})
# Spans that a tool makes of what it tells by its events too.
_TOLD_BY_EVENTS: Final = ("claude_code.", "gemini_cli.", "codex.")
_PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system")
_MODEL: Final = ("gen_ai.response.model", "gen_ai.request.model")
_RESPONSE: Final = ("gen_ai.response.id",)
_SESSION: Final = ("gen_ai.conversation.id", "session.id")
_TIER: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_ERROR: Final = "error.type"
_INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_CACHE_READ: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.details.cache_read_tokens",
)
_CACHE_WRITE: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_creation_tokens",
    "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.details.cache_write_tokens",
)
_REASONING: Final = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
)
_USAGE: Final = (*_INPUT, *_OUTPUT, *_CACHE_READ, *_CACHE_WRITE, *_REASONING)
_TAGS: Final = ("gen_ai.operation.name", "gen_ai.agent.name", "gen_ai.workflow.name")
_READ: Final = frozenset((*_OPERATION, *_PROVIDER, *_MODEL, *_RESPONSE, *_SESSION, *_TIER, *_USAGE, *_TAGS, *ALWAYS))
_WANTED: Final = _READ | {_ERROR}
# What each call says of itself alone. All else that is read makes its kind.
_OF_ONE: Final = frozenset((*_RESPONSE, *_SESSION, *_USAGE))
_MOST_STEPS: Final = 50
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_HEX: Final = frozenset("0123456789abcdef")
_record: Final = msgspec.json.Decoder(Span, float_hook=decimal)


def cut(body: bytes, encoding: Encoding = Encoding.JSON) -> Cut:
    """A body of `/v1/traces`: its calls of models, and how many spans of what kind were none.

    Raises BodyUnreadable, TooManyRecords and ProtobufMissing.
    """
    rows, tellers = Rows(), set[str]()
    spans, rejected = decode.spans(body, encoding, _WANTED)
    for span in _calls(spans, rows, tellers):
        rows.add(span)
    return rows.cut(rejected, frozenset(tellers))


def calls(body: bytes, encoding: Encoding) -> Calls:
    """A body's calls, as `parse` would say each row of `cut`: they are not written out to be read again.

    Raises as `cut` does.
    """
    rows, tellers = Rows(), set[str]()
    spans, rejected = decode.spans(body, encoding, _WANTED)
    known = _Known()
    received = [_received(span, b"", span, known) for span in _calls(spans, rows, tellers)]
    return Calls(received, rejected, frozenset(tellers))


def parse(raw: bytes) -> Received:
    """One span as `cut` wrote it. Never raises."""
    span = read(_record, raw)
    if isinstance(span, Problem):
        return refused(raw, span)
    return _received(span, raw)


def _calls(spans: Sequence[Span], rows: Rows, tellers: set[str]) -> Iterator[Span]:
    """Those that count, as they are kept; the others are ignored in `rows`."""
    around = _around(spans)
    resources: dict[int, dict[str, Any]] = {}
    for span in spans:
        reason = _not_counted(span)
        if reason or (span.trace_id, span.span_id) in around:
            rows.ignore(reason or "a span around the call it repeats")
            continue
        # Spans of one resource share it as they were decoded.
        known = resources.get(id(span.resource))
        if known is None:
            known = resources[id(span.resource)] = kept_of_resource(span.resource)
            tellers.add(genai_teller(span.resource))
        yield msgspec.structs.replace(span, attributes=kept(span.attributes, _READ), resource=known)


class _Kind(NamedTuple):
    """What many calls have in common: whose they are, and of what model."""

    whose: Whose
    provider: str
    model: str
    service_tier: str
    convention: str


class _Known:
    """The kinds of a body's calls: few people make them, each many. Resources are told apart by who they are, so they
    must live as long as this does.
    """

    def __init__(self) -> None:
        self._tags: dict[int, dict[str, str]] = {}
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def kind(self, span: Span) -> _Kind:
        said = [pair for pair in span.attributes.items() if pair[0] not in _OF_ONE]
        # Only of texts: 1 and true are the same key.
        for _, value in said:
            if type(value) is not str:
                return self._made(span)
        key = (id(span.resource), *said)
        found = self._kinds.get(key)
        if found is None:
            found = self._kinds[key] = self._made(span)
        return found

    def _made(self, span: Span) -> _Kind:
        of_resource = self._tags.get(id(span.resource))
        if of_resource is None:
            of_resource = self._tags[id(span.resource)] = tags_of(span.resource)
        return _kind(span, of_resource)


def _kind(span: Span, of_resource: Mapping[str, str] | None = None) -> _Kind:
    said, resource = span.attributes, span.resource
    tier = text(said, *_TIER).lower()[:60]
    return _Kind(
        whose(said, resource, _TAGS, of_resource=of_resource),
        provider=text(said, PROVIDER, *_PROVIDER) or text(resource, PROVIDER),
        model=text(said, *_MODEL),
        service_tier="" if tier == "auto" else tier,
        convention=text(said, CONVENTION) or text(resource, CONVENTION),
    )


def _received(span: Span, raw: bytes, unwritten: Span | None = None, known: _Known | None = None) -> Received:
    external_id = ""
    try:
        external_id = _external_id(span)
        made = _event(span, external_id, _kind(span) if known is None else known.kind(span))
        return Received(raw, made, None, external_id, unwritten)
    except Wrong as wrong:
        return refused(raw, wrong.problem, external_id)._replace(unwritten=unwritten)


def _operation(span: Span) -> str:
    for name in _OPERATION:
        if said := word(span.attributes, name):
            return said
    return ""


def _not_counted(span: Span) -> str:
    """Why a span is no call of a model, or a call that cost nothing; '' for one that is counted."""
    if span.name.startswith(_TOLD_BY_EVENTS):
        return "a span of a tool that tells its calls by events"
    operation = _operation(span)
    if not operation:
        return "no GenAI span"
    if operation not in MODEL_OPERATIONS:
        return f"operation {operation}"
    failed = span.failed or _ERROR in span.attributes
    return "a failed call without usage" if failed and not _says_usage(span.attributes) else ""


def _says_usage(attributes: Attributes) -> bool:
    return any(attributes.get(name) is not None for name in _USAGE)


def _around(spans: Sequence[Span]) -> set[tuple[str, str]]:
    """The calls of models around another of their family that says its usage: what they say is that, again."""
    known = {(span.trace_id, span.span_id): span for span in spans if span.span_id}
    found: set[tuple[str, str]] = set()
    for span in spans:
        family = MODEL_OPERATIONS.get(_operation(span))
        if family is None or not _says_usage(span.attributes):
            continue
        inner = span
        for _ in range(_MOST_STEPS):
            outer = known.get((inner.trace_id, inner.parent_id))
            operation = "" if outer is None else _operation(outer)
            if outer is None or operation in _BETWEEN:
                break
            if MODEL_OPERATIONS.get(operation) == family:
                if outer is not span:
                    found.add((outer.trace_id, outer.span_id))
                break
            inner = outer
    return found


def _external_id(span: Span) -> str:
    for field, said, digits in (("trace_id", span.trace_id, _TRACE_DIGITS), ("span_id", span.span_id, _SPAN_DIGITS)):
        if len(said) != digits or not set(said) <= _HEX or not said.strip("0"):
            raise Wrong("connectors.field_invalid", field, f"{field}: expected {digits} digits of hex, not all zero")
    return f"{span.trace_id}:{span.span_id}"


def _event(span: Span, external_id: str, kind: _Kind) -> UsageEvent:
    said = span.attributes
    return event(
        external_id=external_id,
        # When it ended, for it is then that its usage was known.
        occurred_at=moment(span.end or span.start, "end"),
        provider=kind.provider,
        model=kind.model,
        counts=_counts(said, kind.convention),
        service_tier=kind.service_tier,
        provider_request_id=text(said, *_RESPONSE),
        session=text(said, *_SESSION),
        whose=kind.whose,
    )


def _counts(said: Attributes, convention: str) -> Counts | Problem:
    """Input and output are totals, by the conventions. Producers that leave the cache out of the input are told apart
    where they say more cached than all, which is a Problem; or where whoever runs them says so.
    """
    if convention not in ("", INCLUSIVE, DISJOINT):
        raise Wrong("connectors.field_invalid", CONVENTION, f"{CONVENTION} is {INCLUSIVE!r} or {DISJOINT!r}")
    told_in, told_out = count(said, *_INPUT), count(said, *_OUTPUT)
    if told_in is None and told_out is None:
        raise Wrong("connectors.field_missing", _INPUT[0], f"{_INPUT[0]} and {_OUTPUT[0]} are missing")
    cached, written = count(said, *_CACHE_READ) or 0, count(said, *_CACHE_WRITE) or 0
    beside = cached + written if convention == DISJOINT else 0
    return counts(
        input_tokens=(told_in or 0) + beside,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=told_out or 0,
        reasoning_tokens=count(said, *_REASONING) or 0,
    )
