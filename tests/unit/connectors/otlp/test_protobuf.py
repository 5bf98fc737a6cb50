"""The same telemetry in protobuf is read as in JSON. Runs where `opentelemetry-proto` is installed."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from finops.connectors.bodies import TooManyRecords
from finops.connectors.otlp import logs, metrics, spans
from finops.connectors.otlp.answers import answer, refusal
from finops.connectors.otlp.protobuf import ProtobufMissing
from finops.connectors.otlp.types import Encoding, Signal
from finops.connectors.pages import BodyUnreadable
from tests.factories import otlp
from tests.factories.examples import example

PROTOBUF = Encoding.PROTOBUF
WHERE = {
    Signal.TRACES: ("trace.v1.trace_service_pb2", "ExportTraceService"),
    Signal.LOGS: ("logs.v1.logs_service_pb2", "ExportLogsService"),
    Signal.METRICS: ("metrics.v1.metrics_service_pb2", "ExportMetricsService"),
}
CUTS: dict[Signal, Callable[..., Any]] = {Signal.TRACES: spans.cut, Signal.LOGS: logs.cut, Signal.METRICS: metrics.cut}


def module(name: str) -> Any:
    return pytest.importorskip(name, reason="opentelemetry-proto is not installed")


def message(signal: Signal, kind: str) -> Any:
    where, name = WHERE[signal]
    return getattr(module(f"opentelemetry.proto.collector.{where}"), f"{name}{kind}")


def packed(signal: Signal, body: bytes) -> bytes:
    """A body of JSON as protobuf. Its own reader of JSON wants ids in base 64."""
    told = json.loads(body)
    for group in told.get("resourceSpans", []):
        for part in group["scopeSpans"]:
            for span in part["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    made = module("google.protobuf.json_format").ParseDict(
        told, message(signal, "Request")(), ignore_unknown_fields=True
    )
    return bytes(made.SerializeToString())


CLAUDE = {"event.name": "api_request", "request_id": "req_1", "model": "opus", "input_tokens": 1, "cost_usd": 0.0421}
GROUPS = {"type": "input", "model": "opus", "user.groups": ["a", "b"], "map": {"k": 1.5, "b": True}}
BODIES = {
    Signal.TRACES: otlp.traces(
        otlp.span(
            otlp.chat(input_tokens=9, cache_read__input_tokens=3) | {"ratio": 0.5}, parentSpanId="00f067aa0ba902b7"
        ),
        otlp.span({"gen_ai.operation.name": "execute_tool"}, status={"code": 2}),
        otlp.span(otlp.chat(), spanId="b" * 16, status={"code": 2}),
        **{"service.name": "search", "team.id": "search"},
    ),
    Signal.LOGS: otlp.logs(
        otlp.log(CLAUDE, body="claude_code.api_request", observedTimeUnixNano=str(otlp.NANO)),
        otlp.log({"event.name": "user_prompt"}, body="claude_code.user_prompt"),
        scope="com.anthropic.claude_code.events",
    ),
    Signal.METRICS: otlp.metrics(
        otlp.metric("claude_code.token.usage", otlp.point(1234.0, GROUPS), otlp.point(12, GROUPS | {"type": "output"})),
        otlp.metric("codex.turn.token_usage", otlp.point(5, {"token_type": "input"}), temporality=2),
        otlp.metric(
            "gen_ai.client.token.usage",
            {
                "sum": 40.0,
                "count": "2",
                "timeUnixNano": str(otlp.NANO),
                "attributes": otlp.pairs({"gen_ai.token.type": "input"}),
            },
            kind="histogram",
        ),
        otlp.metric("claude_code.session.count", {"asInt": "1"}, kind="gauge"),
    ),
}


@pytest.mark.parametrize("signal", Signal)
def test_both_encodings_say_the_same(signal: Signal) -> None:
    json_cut, protobuf_cut = CUTS[signal](BODIES[signal]), CUTS[signal](packed(signal, BODIES[signal]), PROTOBUF)
    assert json_cut.rows
    assert protobuf_cut == json_cut


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        (Signal.TRACES, "otlp_trace_genai"),
        (Signal.LOGS, "otlp_logs_claude_code"),
        (Signal.METRICS, "otlp_metrics_claude_code"),
    ],
)
def test_the_examples_say_the_same_in_both_encodings(signal: Signal, name: str) -> None:
    body = example(name)
    assert CUTS[signal](packed(signal, body), PROTOBUF) == CUTS[signal](body)


@pytest.mark.parametrize("signal", Signal)
def test_a_body_cut_off_says_so(signal: Signal) -> None:
    whole = packed(signal, BODIES[signal])
    for body in (whole[:-1], whole[: len(whole) // 2], b"<html></html>", b"\xff" * 9):
        with pytest.raises(BodyUnreadable):
            CUTS[signal](body, PROTOBUF)
    assert CUTS[signal](b"", PROTOBUF).rows == (), "no bytes are an empty request"


def test_too_many_are_refused() -> None:
    request = message(Signal.TRACES, "Request")()
    held = request.resource_spans.add().scope_spans.add()
    for _ in range(10_001):
        held.spans.add()
    with pytest.raises(TooManyRecords):
        spans.cut(request.SerializeToString(), PROTOBUF)
    points = message(Signal.METRICS, "Request")()
    held = points.resource_metrics.add().scope_metrics.add().metrics.add()
    for _ in range(10_001):
        held.sum.data_points.add()
    with pytest.raises(TooManyRecords):
        metrics.cut(points.SerializeToString(), PROTOBUF)


def test_values_that_are_no_numbers() -> None:
    request = message(Signal.METRICS, "Request")()
    held = request.resource_metrics.add().scope_metrics.add().metrics.add(name="claude_code.token.usage")
    held.sum.aggregation_temporality = 1
    held.sum.data_points.add(time_unix_nano=otlp.NANO).as_double = float("inf")
    held.sum.data_points.add(time_unix_nano=otlp.NANO + 1)
    rows = metrics.cut(request.SerializeToString(), PROTOBUF).rows
    assert [otlp.wrong(metrics.parse(row)).code for row in rows] == ["connectors.field_invalid"] * 2


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("rejected", [0, 1, 127, 128, 10_000])
def test_answers_are_what_its_own_reader_reads(signal: Signal, rejected: int) -> None:
    made = message(signal, "Response")()
    made.ParseFromString(answer(signal, PROTOBUF, rejected=rejected, message="three were no spans €"))
    said = made.partial_success
    names = {Signal.TRACES: "spans", Signal.LOGS: "log_records", Signal.METRICS: "data_points"}
    assert getattr(said, f"rejected_{names[signal]}") == rejected
    assert said.error_message == "three were no spans €"


def test_a_refusal_is_a_status() -> None:
    # google.rpc.Status is not in the package; another message with a text as its second field reads it as well.
    made = message(Signal.TRACES, "Response")().partial_success
    made.ParseFromString(refusal("no"))
    assert made.error_message == "no"


def test_without_its_package_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ProtobufMissing, match="opentelemetry-proto"):
        spans.cut(b"", PROTOBUF)
