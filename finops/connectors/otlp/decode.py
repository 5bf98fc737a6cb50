"""Bodies of OTLP/HTTP in JSON, as the specification maps it; those in protobuf are handed on.

They are read by hand: a generic reader of protobuf's JSON takes the hex of trace and span ids for base 64 and silently
makes other ids of them.

Names are lowerCamelCase; 64-bit integers are text or numbers; enums are numbers (words are taken too); fields that are
not known are passed over. Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.otlp import protobuf
from finops.connectors.otlp.types import (
    LONGEST_TEXT,
    MOST_ATTRIBUTES,
    Encoding,
    Log,
    Number,
    Point,
    Span,
    bounded,
    is_kept,
    number,
)
from finops.connectors.pages import BodyUnreadable
from finops.connectors.wording import clean

_DEEPEST: Final = 8
_MOST_DIGITS: Final = 20
_ERROR: Final = (2, "STATUS_CODE_ERROR")
_TEMPORALITY: Final[Mapping[Any, bool]] = {
    1: False,
    2: True,
    "AGGREGATION_TEMPORALITY_DELTA": False,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": True,
}
# What holds the items of each signal, from the outside in.
_SPANS: Final = ("resourceSpans", "scopeSpans", "spans")
_LOGS: Final = ("resourceLogs", "scopeLogs", "logRecords")
_METRICS: Final = ("resourceMetrics", "scopeMetrics", "metrics")
_TOPS: Final = frozenset({"resourceSpans", "resourceLogs", "resourceMetrics"})
_HISTOGRAMS: Final = ("histogram", "exponentialHistogram")


class _Item(NamedTuple):
    said: Mapping[str, Any]
    resource: dict[str, Any]
    scope: str


def spans(body: bytes, encoding: Encoding, wanted: Collection[str] | None = None) -> tuple[list[Span], int]:
    """A body's spans, and how many were none. Of a span only the attributes `wanted` are read, where any are named.

    Raises BodyUnreadable and TooManyRecords.
    """
    if encoding is Encoding.PROTOBUF:
        return protobuf.spans(body, wanted), 0
    items, rejected = _items(_json(body), _SPANS)
    return [_span(item, wanted) for item in items], rejected


def logs(body: bytes, encoding: Encoding) -> tuple[list[Log], int]:
    """A body's log records, and how many were none. Raises as `spans` does."""
    if encoding is Encoding.PROTOBUF:
        return protobuf.logs(body), 0
    items, rejected = _items(_json(body), _LOGS)
    return [_log(item) for item in items], rejected


def points(body: bytes, encoding: Encoding) -> tuple[list[Point], int]:
    """A body's data points of sums and histograms, and how many were none. Raises as `spans` does."""
    if encoding is Encoding.PROTOBUF:
        return protobuf.points(body), 0
    items, rejected = _items(_json(body), _METRICS)
    found: list[Point] = []
    for item in items:
        for said in _data_points(item.said):
            if isinstance(said[1], Mapping):
                found.append(_point(item, said[0], said[1]))
            else:
                rejected += 1
            bounded(len(found) + rejected)
    return found, rejected


def _json(body: bytes) -> Any:
    try:
        return _decoder.decode(body)
    except RecursionError:
        raise BodyUnreadable("The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation):
        pass
    # A second reader that lets one string that is no Unicode pass, and one number that is none.
    try:
        return json.loads(body, parse_float=_decimal, parse_constant=str, strict=False)
    except (ValueError, RecursionError) as error:
        raise BodyUnreadable(f"The body is not JSON: {str(error)[:200]}") from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


_decoder: Final = msgspec.json.Decoder(float_hook=_decimal)


def _items(told: Any, names: tuple[str, str, str]) -> tuple[list[_Item], int]:
    top, middle, inner = names
    if not isinstance(told, Mapping):
        raise BodyUnreadable("The body is not an object of JSON, as OTLP's requests are.")
    if told and not isinstance(told.get(top), list):
        other = sorted(_TOPS & told.keys() - {top})
        raise BodyUnreadable(f"The body holds {other[0] if other else 'no list of them'}; here {top} are read.")
    found: list[_Item] = []
    rejected = 0
    for group in _list(told.get(top)):
        resource = _attributes(_object(_object(group).get("resource")).get("attributes"))
        for part in _list(_object(group).get(middle)):
            scope = _text(_object(_object(part).get("scope")).get("name"))
            for said in _list(_object(part).get(inner)):
                if isinstance(said, Mapping):
                    found.append(_Item(said, resource, scope))
                else:
                    rejected += 1
                bounded(len(found) + rejected)
    return found, rejected


def _span(item: _Item, wanted: Collection[str] | None) -> Span:
    said = item.said
    return Span(
        trace_id=_text(said.get("traceId")).lower(),
        span_id=_text(said.get("spanId")).lower(),
        parent_id=_text(said.get("parentSpanId")).lower(),
        name=_text(said.get("name")),
        start=_nanoseconds(said.get("startTimeUnixNano")),
        end=_nanoseconds(said.get("endTimeUnixNano")),
        failed=_object(said.get("status")).get("code") in _ERROR,
        attributes=_attributes(said.get("attributes"), wanted),
        resource=item.resource,
    )


def _log(item: _Item) -> Log:
    said = item.said
    return Log(
        event=_text(said.get("eventName")) or _text(_object(said.get("body")).get("stringValue")),
        scope=item.scope,
        time=_nanoseconds(said.get("timeUnixNano")),
        observed=_nanoseconds(said.get("observedTimeUnixNano")),
        attributes=_attributes(said.get("attributes")),
        resource=item.resource,
    )


def _data_points(metric: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """The sum or histogram each is of, and the point; other kinds of metric hold nothing that adds up."""
    for name in ("sum", *_HISTOGRAMS):
        kind = _object(metric.get(name))
        for said in _list(kind.get("dataPoints")):
            yield kind, said


def _point(item: _Item, kind: Mapping[str, Any], said: Mapping[str, Any]) -> Point:
    temporality = kind.get("aggregationTemporality")
    return Point(
        metric=_text(item.said.get("name")),
        scope=item.scope,
        start=_nanoseconds(said.get("startTimeUnixNano")),
        time=_nanoseconds(said.get("timeUnixNano")),
        value=_value(said),
        calls=_nanoseconds(said.get("count")),
        cumulative=_TEMPORALITY.get(temporality) if isinstance(temporality, int | str) else None,
        attributes=_attributes(said.get("attributes")),
        resource=item.resource,
    )


def _value(said: Mapping[str, Any]) -> Number | None:
    for name in ("asInt", "asDouble", "sum"):
        if name in said:
            found = _number(said[name])
            return None if found is None else number(found)
    return None


def _attributes(told: Any, wanted: Collection[str] | None = None) -> dict[str, Any]:
    """A list of keys and values as a mapping; the last of a key that stands twice counts, as in protobuf's own maps."""
    found: dict[str, Any] = {}
    for pair in _list(told):
        if not isinstance(pair, Mapping) or not isinstance(pair.get("key"), str):
            continue
        key = _text(pair["key"])
        if is_kept(key, found) if wanted is None else key in wanted:
            found[key] = _any_value(pair.get("value"), _DEEPEST)
    return found


def _any_value(told: Any, deep: int) -> Any:
    if not isinstance(told, Mapping) or not deep:
        return None
    if isinstance(told.get("stringValue"), str):
        return _text(told["stringValue"])
    if isinstance(told.get("boolValue"), bool):
        return told["boolValue"]
    for name in ("intValue", "doubleValue"):
        if told.get(name) is not None:
            return _number(told[name])
    if "arrayValue" in told:
        values = _list(_object(told["arrayValue"]).get("values"))
        return [_any_value(value, deep - 1) for value in values[:MOST_ATTRIBUTES]]
    if "kvlistValue" in told:
        pairs = _list(_object(told["kvlistValue"]).get("values"))
        return {
            _text(pair.get("key")): _any_value(pair.get("value"), deep - 1)
            for pair in pairs[:MOST_ATTRIBUTES]
            if isinstance(pair, Mapping)
        }
    return None


def _number(said: Any) -> Number | None:
    """A number or its text; protobuf's JSON writes 64-bit integers, `NaN` and `Infinity` as text."""
    if isinstance(said, str) and len(said) <= 2 * _MOST_DIGITS:
        made = _decimal(said)
        return int(said) if said.removeprefix("-").isdigit() and said.isascii() else made
    if isinstance(said, bool) or not isinstance(said, int | Decimal):
        return None
    return said


def _nanoseconds(said: Any) -> int:
    """A count or a time that is not negative; 0 for what is none."""
    if isinstance(said, str) and len(said) <= _MOST_DIGITS and said.isascii() and said.isdigit():
        said = int(said)
    return said if type(said) is int and 0 <= said < 2**64 else 0


def _object(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _list(said: Any) -> list[Any]:
    return said if isinstance(said, list) else []


def _text(said: Any) -> str:
    return clean(said[:LONGEST_TEXT]) if isinstance(said, str) else ""
