"""Bodies of OTLP/HTTP in protobuf, with the classes of `opentelemetry-proto`.

They are loaded when the first such body comes: a process that reads none does without them.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from finops.connectors.otlp.types import (
    LONGEST_TEXT,
    MOST_ATTRIBUTES,
    Log,
    Number,
    Point,
    Signal,
    Span,
    bounded,
    is_kept,
    number,
)
from finops.connectors.pages import BodyUnreadable
from finops.connectors.wording import clean
from finops.core.errors import FinopsError

_DEEPEST: Final = 8
_ERROR: Final = 2
_TEMPORALITY: Final = {1: False, 2: True}
_REQUESTS: Final = {
    Signal.TRACES: ("trace.v1.trace_service_pb2", "ExportTraceServiceRequest"),
    Signal.LOGS: ("logs.v1.logs_service_pb2", "ExportLogsServiceRequest"),
    Signal.METRICS: ("metrics.v1.metrics_service_pb2", "ExportMetricsServiceRequest"),
}


class ProtobufMissing(FinopsError):
    """This installation cannot read protobuf."""

    code = "connectors.protobuf_missing"
    status = 415


class _Item(NamedTuple):
    said: Any
    resource: dict[str, Any]
    scope: str


def spans(body: bytes, wanted: Collection[str] | None = None) -> list[Span]:
    """A body's spans; of each only the attributes `wanted`, where any are named.

    Raises BodyUnreadable, TooManyRecords and ProtobufMissing, as those below.
    """
    return [
        Span(
            trace_id=said.trace_id.hex(),
            span_id=said.span_id.hex(),
            parent_id=said.parent_span_id.hex(),
            name=_text(said.name),
            start=said.start_time_unix_nano,
            end=said.end_time_unix_nano,
            failed=said.status.code == _ERROR,
            attributes=_attributes(said.attributes, wanted),
            resource=resource,
        )
        for said, resource, _ in _items(_read(body, Signal.TRACES).resource_spans, "scope_spans", "spans")
    ]


def logs(body: bytes) -> list[Log]:
    return [
        Log(
            event=_text(getattr(said, "event_name", "")) or _text(said.body.string_value),
            scope=scope,
            time=said.time_unix_nano,
            observed=said.observed_time_unix_nano,
            attributes=_attributes(said.attributes),
            resource=resource,
        )
        for said, resource, scope in _items(_read(body, Signal.LOGS).resource_logs, "scope_logs", "log_records")
    ]


def points(body: bytes) -> list[Point]:
    found: list[Point] = []
    for item in _items(_read(body, Signal.METRICS).resource_metrics, "scope_metrics", "metrics"):
        name = item.said.WhichOneof("data")
        if name not in ("sum", "histogram", "exponential_histogram"):
            continue
        kind = getattr(item.said, name)
        bounded(len(found) + len(kind.data_points))
        found.extend(
            Point(
                metric=_text(item.said.name),
                scope=item.scope,
                start=said.start_time_unix_nano,
                time=said.time_unix_nano,
                value=_sum(said) if name == "sum" else _total(said),
                calls=0 if name == "sum" else said.count,
                cumulative=_TEMPORALITY.get(kind.aggregation_temporality),
                attributes=_attributes(said.attributes),
                resource=item.resource,
            )
            for said in kind.data_points
        )
    return found


def _read(body: bytes, signal: Signal) -> Any:
    where, name = _REQUESTS[signal]
    try:
        made = getattr(importlib.import_module(f"opentelemetry.proto.collector.{where}"), name)()
        unreadable = importlib.import_module("google.protobuf.message").DecodeError
    except ImportError:
        raise ProtobufMissing("Protobuf needs the package opentelemetry-proto; send JSON, or install it.") from None
    try:
        made.ParseFromString(body)
    except unreadable as error:
        raise BodyUnreadable(f"The body is not OTLP's {signal} in protobuf: {clean(str(error))[:200]}") from None
    return made


def _items(groups: Iterable[Any], middle: str, inner: str) -> Iterator[_Item]:
    groups = list(groups)
    bounded(sum(len(getattr(part, inner)) for group in groups for part in getattr(group, middle)))
    for group in groups:
        resource = _attributes(group.resource.attributes)
        for part in getattr(group, middle):
            scope = _text(part.scope.name)
            for said in getattr(part, inner):
                yield _Item(said, resource, scope)


def _sum(said: Any) -> Number | None:
    name = said.WhichOneof("value")
    if name is None:
        return None
    return int(said.as_int) if name == "as_int" else number(Decimal(repr(said.as_double)))


def _total(said: Any) -> Number | None:
    return number(Decimal(repr(said.sum))) if said.HasField("sum") else None


def _attributes(told: Iterable[Any], wanted: Collection[str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in told:
        key = pair.key
        if wanted is None:
            key = _text(key)
            if not is_kept(key, found):
                continue
        elif key not in wanted:
            continue
        value = pair.value
        # Nearly all are text or a count, and to call a function of ours for each is what takes time.
        name = value.WhichOneof("value")
        if name == "string_value":
            found[key] = clean(value.string_value[:LONGEST_TEXT])
        elif name == "int_value":
            found[key] = value.int_value
        else:
            found[key] = _any_value(value, _DEEPEST)
    return found


def _any_value(told: Any, deep: int) -> Any:
    name = told.WhichOneof("value")
    if name is None or not deep:
        return None
    if name == "string_value":
        return _text(told.string_value)
    if name == "double_value":
        # As its shortest text, which is what its JSON writes.
        return Decimal(repr(told.double_value))
    if name in ("bool_value", "int_value"):
        return getattr(told, name)
    if name == "array_value":
        return [_any_value(value, deep - 1) for value in told.array_value.values[:MOST_ATTRIBUTES]]
    if name == "kvlist_value":
        return {
            _text(pair.key): _any_value(pair.value, deep - 1) for pair in told.kvlist_value.values[:MOST_ATTRIBUTES]
        }
    return None


def _text(said: str) -> str:
    return clean(said[:LONGEST_TEXT])
