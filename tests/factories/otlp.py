"""Bodies of OTLP in JSON, and the examples beside the checkout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.types import Problem, Received, UsageEvent
from finops.core.tokens import METER_INDEX

TRACE: Final = "5b8efff798038103d269b633813fc60c"
SPAN: Final = "eee19b7ec3c1b174"
NANO: Final = 1763625600000000000
SECOND: Final = 10**9


def value(said: Any) -> dict[str, Any]:
    if isinstance(said, bool):
        return {"boolValue": said}
    if isinstance(said, int):
        return {"intValue": str(said)}
    if isinstance(said, float):
        return {"doubleValue": said}
    if isinstance(said, list):
        return {"arrayValue": {"values": [value(one) for one in said]}}
    if isinstance(said, dict):
        return {"kvlistValue": {"values": pairs(said)}}
    return {"stringValue": said}


def pairs(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value(one)} for name, one in said.items()]


def span(said: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat",
        "startTimeUnixNano": str(NANO),
        "endTimeUnixNano": str(NANO + 2 * SECOND),
        "attributes": pairs(said),
    } | changes


def chat(**usage: int) -> dict[str, Any]:
    """Attributes of a call, with its usage under the conventions' names and `_` for their dots."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.model": "claude-opus-5-5",
        **{f"gen_ai.usage.{name.replace('__', '.')}": count for name, count in usage.items()},
    }


def traces(*spans: Any, **resource: Any) -> bytes:
    held = [{"scope": {"name": "instrumentation"}, "spans": list(spans)}]
    return json.dumps({"resourceSpans": [{"resource": {"attributes": pairs(resource)}, "scopeSpans": held}]}).encode()


def log(said: Mapping[str, Any], body: str = "", **changes: Any) -> dict[str, Any]:
    made = {"timeUnixNano": str(NANO), "attributes": pairs(said)} | changes
    return made | {"body": {"stringValue": body}} if body else made


def logs(*records: Any, scope: str = "", **resource: Any) -> bytes:
    held = [{"scope": {"name": scope}, "logRecords": list(records)}]
    return json.dumps({"resourceLogs": [{"resource": {"attributes": pairs(resource)}, "scopeLogs": held}]}).encode()


def point(number: float | str, said: Mapping[str, Any], *, start: int = NANO, time: int = NANO + 60 * SECOND) -> Any:
    """A data point of a sum: a whole number as `asInt`, any other as `asDouble`."""
    name = "asDouble" if isinstance(number, float) else "asInt"
    return {name: number, "startTimeUnixNano": str(start), "timeUnixNano": str(time), "attributes": pairs(said)}


def metric(name: str, *points: Any, temporality: Any = 1, kind: str = "sum") -> dict[str, Any]:
    return {"name": name, kind: {"aggregationTemporality": temporality, "dataPoints": list(points)}}


def metrics(*told: Any, **resource: Any) -> bytes:
    held = [{"scope": {"name": "meter"}, "metrics": list(told)}]
    whole = {"resourceMetrics": [{"resource": {"attributes": pairs(resource)}, "scopeMetrics": held}]}
    return json.dumps(whole).encode()


def read(received: Received) -> UsageEvent:
    assert received.event is not None, received.problem
    assert received.external_id == received.event.external_id
    return received.event


def wrong(received: Received) -> Problem:
    assert received.event is None
    assert received.problem is not None
    return received.problem


def counted(found: UsageEvent) -> dict[str, int]:
    return {name: found.counts[place] for name, place in METER_INDEX.items() if found.counts[place]}
