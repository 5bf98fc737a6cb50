"""Metrics of tokens: sums and histograms of coding agents and of the GenAI conventions, as usage of an interval.

A metric has a data point per kind of token. Those that say the same but for their kind are one event. Deltas are taken
as they are; of cumulative ones what was told before is subtracted (`cumulative.py`), which needs a memory that the
caller keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.anthropic.usage import messages_usage, tier_of
from finops.connectors.counting import Meters, meters, ordered
from finops.connectors.otlp import decode
from finops.connectors.otlp.cumulative import NOTHING_SEEN, State, increments
from finops.connectors.otlp.logs import gemini_usage
from finops.connectors.otlp.spans import MODEL_OPERATIONS
from finops.connectors.otlp.types import Encoding, Number, Point, Rows, genai_teller, kept
from finops.connectors.otlp.values import (
    ALWAYS,
    PROVIDER,
    Wrong,
    amount,
    decimal,
    event,
    kept_of_resource,
    moment,
    read,
    refused,
    text,
    whole,
    whose,
    word,
)
from finops.connectors.types import Problem, Received, UsageEvent

PARSER: Final = "otlp_metrics"

COST: Final = "cost_usd"
_OPERATION: Final = "gen_ai.operation.name"
_SESSION: Final = "session.id"
_TOTAL: Final = "total"
# These tell their tokens by a metric of their own, and some of them by the conventions' too.
_OWN_METRICS: Final = ("claude-code", "claude_code", "codex", "gemini-cli", "gemini_cli")


class Use(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was used in an interval, as a record: counts by their kinds in the metric's own words. `key` is what sets it
    apart from others of its family and time. Times are nanoseconds since 1970.
    """

    family: str
    key: str
    time: int
    start: int = 0
    counts: dict[str, Any] = {}
    calls: int = 0
    unsaid: bool = False
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}


class MetricsCut(NamedTuple):
    """As `Cut`, with the memory that the next body's cumulative sums are to be read by. Keep it with the records, in
    one transaction: one without the other counts twice, or not at all.
    """

    rows: tuple[bytes, ...]
    ignored: Mapping[str, int]
    rejected: int
    state: State


class Told(NamedTuple):
    """A body read: the points that may count, and by whom each is told (see `types.Cut.tellers`); why others do not."""

    points: tuple[Point, ...]
    tellers: tuple[str, ...]
    ignored: Mapping[str, int]
    rejected: int


class _Metric(NamedTuple):
    """Which family's counts a metric tells, and the attribute that says their kind; '' where all are of one kind."""

    family: str
    kind: str


class _Family(NamedTuple):
    provider: str
    model: tuple[str, ...]
    tags: tuple[str, ...]
    kinds: tuple[str, ...]
    usage: Callable[[Mapping[str, int], int], Meters | Problem]


METRICS: Final[Mapping[str, _Metric]] = {
    "claude_code.token.usage": _Metric("claude_code", "type"),
    "claude_code.cost.usage": _Metric("claude_code", ""),
    "codex.turn.token_usage": _Metric("codex", "token_type"),
    "gemini_cli.token.usage": _Metric("gemini_cli", "type"),
    "gen_ai.client.token.usage": _Metric("gen_ai", "gen_ai.token.type"),
}
_record: Final = msgspec.json.Decoder(Use, float_hook=decimal)
_canonical: Final = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class _Group:
    """The data points that are one event."""

    __slots__ = ("calls", "counts", "first", "key", "seen", "unsaid")

    def __init__(self, first: Point, key: str) -> None:
        self.first, self.key = first, key
        self.counts: dict[str, Number | None] = {}
        self.calls = 0
        self.unsaid = False
        self.seen: set[tuple[str, int]] = set()


def cut(body: bytes, encoding: Encoding = Encoding.JSON, state: State = NOTHING_SEEN) -> MetricsCut:
    """A body of `/v1/metrics`: what was used since what `state` remembers. The same state and body give the same.

    Raises BodyUnreadable, TooManyRecords and ProtobufMissing.
    """
    return counted(told(body, encoding), state)


def told(body: bytes, encoding: Encoding) -> Told:
    """The points of a body that tell of tokens. Raises as `cut` does."""
    points, rejected = decode.points(body, encoding)
    rows = Rows()
    found, tellers = [], []
    for point in points:
        reason = _not_counted(point)
        if reason:
            rows.ignore(reason)
        else:
            found.append(point)
            tellers.append(_teller(point))
    return Told(tuple(found), tuple(tellers), rows.ignored, rejected)


def counted(
    told: Told, state: State, *, aside: Collection[str] = (), since: int = 0, until: int = 2**63 - 1
) -> MetricsCut:
    """What was used, by what was told. Points of the tellers `aside` are left: their calls come another way.

    `since` and `until` as in `increments`. Raises TooManyRecords.
    """
    rows = Rows()
    rows.ignored.update(told.ignored)
    points = []
    for point, teller in zip(told.points, told.tellers, strict=True):
        if teller in aside:
            rows.ignore(f"tokens of {teller}, whose calls are told one by one")
        else:
            points.append(point)
    changed = increments(points, state, since=since, until=until)
    for reason in changed.ignored:
        rows.ignore(reason)
    groups: dict[tuple[str, str, int], _Group] = {}
    for point in changed.points:
        _add(groups, point, rows)
    resources: dict[int, dict[str, Any]] = {}
    for (family, _, _), group in groups.items():
        if not any(number != 0 for kind, number in group.counts.items() if kind != COST):
            rows.ignore("no tokens in the interval")
            continue
        resource = group.first.resource
        known = resources.get(id(resource))
        if known is None:
            known = resources[id(resource)] = kept_of_resource(resource)
        rows.add(_use(family, group, known))
    return MetricsCut(tuple(rows.rows), rows.ignored, told.rejected, changed.state)


def parse(raw: bytes) -> Received:
    """One interval's use as `cut` wrote it. Never raises."""
    use = read(_record, raw)
    if isinstance(use, Problem):
        return refused(raw, use)
    try:
        made = _event(use)
        return Received(raw, made, None, made.external_id)
    except Wrong as wrong:
        return refused(raw, wrong.problem)


def _not_counted(point: Point) -> str:
    metric = METRICS.get(point.metric)
    if metric is None:
        return f"metric {point.metric}"
    if metric.kind and word(point.attributes, metric.kind) == _TOTAL:
        return f"the total of {point.metric}"
    if metric.family == "gen_ai":
        if word(point.resource, "service.name").startswith(_OWN_METRICS):
            return "tokens that the tool tells by its own metric"
        operation = word(point.attributes, _OPERATION)
        if operation and operation not in MODEL_OPERATIONS:
            return f"operation {operation}"
    return ""


def _teller(point: Point) -> str:
    family = METRICS[point.metric].family
    return genai_teller(point.resource) if family == "gen_ai" else family


def _add(groups: dict[tuple[str, str, int], _Group], point: Point, rows: Rows) -> None:
    metric = METRICS[point.metric]
    kind = word(point.attributes, metric.kind) if metric.kind else COST
    rest = {name: value for name, value in point.attributes.items() if name != metric.kind}
    key = hashlib.blake2b(_canonical([point.scope, point.resource, rest]), digest_size=16).hexdigest()
    group = groups.setdefault((metric.family, key, point.time), _Group(point, key))
    if (kind, point.start) in group.seen:
        rows.ignore("a data point told twice")
        return
    group.seen.add((kind, point.start))
    told = group.counts.get(kind, 0)
    # What is no number is kept as none, so that it is named when the record is read.
    group.counts[kind] = None if told is None or point.value is None else told + point.value
    group.calls = max(group.calls, point.calls)
    group.unsaid = group.unsaid or point.cumulative is None


def _use(family: str, group: _Group, resource: dict[str, Any]) -> Use:
    first = group.first
    made = _FAMILIES[family]
    # A collector may cut one interval's points into two requests: what is told of other kinds is another event.
    kinds = ",".join(sorted(group.counts))
    key = hashlib.blake2b(f"{group.key} {kinds}".encode(), digest_size=16).hexdigest()
    return Use(
        family=family,
        key=key,
        time=first.time,
        start=first.start,
        counts=dict(group.counts),
        calls=group.calls,
        unsaid=group.unsaid,
        attributes=kept(first.attributes, (*made.model, *made.tags, _SESSION, "organization.id", *_PROVIDERS, *ALWAYS)),
        resource=resource,
    )


def _event(use: Use) -> UsageEvent:
    family = _FAMILIES.get(use.family)
    if family is None:
        raise Wrong("connectors.field_invalid", "family", f"family is one of {', '.join(_FAMILIES)}")
    if use.unsaid:
        field = "aggregationTemporality"
        raise Wrong("connectors.field_missing", field, f"{field} is required: what is no delta may be counted already")
    numbers = {}
    for kind, value in use.counts.items():
        if kind == COST:
            continue
        if kind not in family.kinds:
            known = ", ".join(family.kinds)
            raise Wrong("connectors.field_invalid", "type", f"there is no kind of token {kind!r}; there are {known}")
        numbers[kind] = whole(value, kind)
    said = use.attributes
    at = moment(use.time, "time")
    speed = text(said, "speed").lower()
    return event(
        external_id=f"{use.family}:{at:%Y-%m-%dT%H:%M:%S.%fZ}:{use.key[:64]}",
        occurred_at=at,
        provider=text(said, PROVIDER, *_PROVIDERS) or text(use.resource, PROVIDER) or family.provider,
        model=text(said, *family.model),
        counts=ordered(family.usage(numbers, use.calls)),
        service_tier=tier_of(service_tier="", speed="" if speed == "normal" else speed, geo=""),
        provider_account=text(said, "organization.id") or text(use.resource, "organization.id"),
        session=text(said, _SESSION),
        evidence="reported",
        whose=whose(said, use.resource, family.tags, cost_usd=amount(use.counts.get(COST))),
    )


def _claude_code(told: Mapping[str, int], _calls: int) -> Meters | Problem:
    """Disjoint. How many calls it was is not told."""
    made = messages_usage(
        {
            "input_tokens": told.get("input", 0),
            "output_tokens": told.get("output", 0),
            "cache_read_input_tokens": told.get("cacheRead", 0),
            "cache_creation_input_tokens": told.get("cacheCreation", 0),
        }
    )
    return made if isinstance(made, Problem) else {name: number for name, number in made.items() if name != "requests"}


def _codex(told: Mapping[str, int], _calls: int) -> Meters | Problem:
    """Totals that include their parts, by turn: how many calls it was is not told."""
    return meters(
        requests=0,
        input_tokens=told.get("input", 0),
        cache_read_tokens=told.get("cached_input", 0),
        cache_write_tokens=told.get("cache_write_input", 0),
        output_tokens=told.get("output", 0),
        reasoning_tokens=told.get("reasoning_output", 0),
    )


def _gemini_cli(told: Mapping[str, int], _calls: int) -> Meters | Problem:
    made = gemini_usage(
        told.get("input", 0), told.get("output", 0), told.get("cache", 0), told.get("thought", 0), told.get("tool", 0)
    )
    return made if isinstance(made, Problem) else {name: number for name, number in made.items() if name != "requests"}


def _gen_ai(told: Mapping[str, int], calls: int) -> Meters | Problem:
    """Totals without their parts: what was cached or thought is not told. Each call is one value of the histogram."""
    return meters(
        requests=calls,
        input_tokens=told.get("input", 0) + told.get("prompt", 0),
        output_tokens=told.get("output", 0) + told.get("completion", 0),
    )


_PROVIDERS: Final = ("gen_ai.provider.name", "gen_ai.system")
_FAMILIES: Final[Mapping[str, _Family]] = {
    "claude_code": _Family(
        "anthropic",
        ("model",),
        (
            "query_source", "speed", "effort", "agent.name", "skill.name", "plugin.name", "mcp_server.name",
            "mcp_tool.name", "terminal.type", "app.version",
        ),
        ("input", "output", "cacheRead", "cacheCreation"),
        _claude_code,
    ),
    "codex": _Family(
        "openai",
        ("model",),
        ("auth_mode", "originator", "session_source", "app.version"),
        ("input", "cached_input", "cache_write_input", "output", "reasoning_output"),
        _codex,
    ),
    "gemini_cli": _Family(
        "gcp.gemini", ("model",), ("auth_type",), ("input", "output", "thought", "cache", "tool"), _gemini_cli
    ),
    "gen_ai": _Family(
        "",
        ("gen_ai.response.model", "gen_ai.request.model"),
        (_OPERATION,),
        ("input", "output", "prompt", "completion"),
        _gen_ai,
    ),
}  # fmt: skip
