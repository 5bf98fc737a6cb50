"""Metrics of tokens at their door: deltas, sums that only grow, and tools that tell the same by their events."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from finops.ingest.models import MetricSeries, QuarantinedRecord
from finops.ingest.services import forget_series, telemetry
from finops.sources.services import add_source
from tests.factories import otlp
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import HOUSE, Cast
from tests.interfaces.usage.conftest import Send

METRICS, LOGS, TRACES = "otlp/v1/metrics", "otlp/v1/logs", "otlp/v1/traces"
MINUTE = 60 * otlp.SECOND
CLAUDE = {"model": "claude", "session.id": "s-1"}
# 3 dollars a million tokens.
PER_TOKEN = Decimal("0.000003")
Tell = Callable[..., HttpResponse]


@pytest.fixture
def start() -> int:
    return int((datetime.now(UTC) - timedelta(hours=1)).timestamp()) * otlp.SECOND


@pytest.fixture
def tell(cast: Cast, send: Send, start: int) -> Tell:
    """Tells how much Claude Code read: in all, or since it told it before."""
    small_book()

    def metrics(tokens: int, *, minute: int = 1, cumulative: bool = True, began: int = start, query: str = "") -> Any:
        point = otlp.point(tokens, CLAUDE | {"type": "input"}, start=began, time=began + minute * MINUTE)
        metric = otlp.metric("claude_code.token.usage", point, temporality=2 if cumulative else 1)
        return send(METRICS + query, otlp.metrics(metric, **{"service.name": "claude-code"}))

    return metrics


def warning(answer: HttpResponse) -> str:
    assert answer.status_code == 200, answer.content
    found: str = json.loads(answer.content).get("partialSuccess", {}).get("errorMessage", "")
    return found


def tokens() -> Decimal:
    ((cost,),) = rows("SELECT coalesce(sum(effective_cost), 0) FROM ledger_charge")
    return Decimal(cost) / PER_TOKEN


def claude_event(start: int) -> bytes:
    said = {"event.name": "api_request", "model": "claude", "input_tokens": 7, "output_tokens": 0, "request_id": "r-1"}
    record = otlp.log(said, "claude_code.api_request", timeUnixNano=str(start))
    return otlp.logs(record, **{"service.name": "claude-code"})


def test_deltas_add_up_and_told_again_add_nothing(tell: Tell) -> None:
    for minute, grown in ((1, 100), (1, 100), (2, 50), (2, 50)):
        assert warning(tell(grown, minute=minute, cumulative=False)) == ""
    assert tokens() == 150
    assert not MetricSeries.objects.exists()


def test_of_sums_that_grow_what_they_grew_by_is_charged(tell: Tell) -> None:
    for minute, total in ((1, 100), (2, 150), (3, 150), (5, 400)):
        tell(total, minute=minute)
        tell(total, minute=minute)
    assert tokens() == 400
    assert MetricSeries.objects.get().value == 400


def test_out_of_order_they_add_nothing(tell: Tell) -> None:
    for minute, total in ((3, 300), (1, 100), (2, 200), (4, 310)):
        tell(total, minute=minute)
    assert tokens() == 310


def test_a_process_that_starts_anew_starts_at_nothing(tell: Tell, start: int) -> None:
    tell(100, minute=1)
    tell(30, minute=1, began=start + 5 * MINUTE)
    tell(120, minute=2)  # the first process' last word, late
    tell(45, minute=2, began=start + 5 * MINUTE)
    assert tokens() == 120 + 45


def test_a_sum_that_falls_is_held_and_counting_goes_on(tell: Tell) -> None:
    tell(100)
    assert warning(tell(40, minute=2)) == "1 could not be booked and are in quarantine"
    tell(60, minute=3)
    assert tokens() == 120
    assert QuarantinedRecord.objects.get().parser == "otlp_metrics"


def test_what_fails_is_not_remembered(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory and the charges are one transaction: neither is there without the other."""

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as bent:
        bent.setattr(telemetry, "_remember", fails)
        assert tell(100).status_code == 500
    assert tokens() == MetricSeries.objects.count() == 0
    tell(100)
    assert tokens() == 100


def test_metrics_of_a_tool_are_not_charged_where_its_events_are(tell: Tell, send: Send, start: int) -> None:
    tell(100)
    assert warning(send(LOGS, claude_event(start))) == ""
    said = warning(tell(250, minute=2))
    assert said == "token metrics of claude_code are not charged: this source has their calls one by one"
    assert tokens() == 100 + 7


def test_another_source_counts_them(cast: Cast, tell: Tell, send: Send, start: int) -> None:
    """Where some people send events and others metrics."""
    send(LOGS, claude_event(start))
    add_source(organization_id=cast.acme.id, slug="of-metrics", kind="otlp", by=HOUSE, at=datetime.now(UTC))
    tell(100)
    assert tokens() == 7
    tell(100, query="?source=of-metrics")
    assert tokens() == 107


def gen_ai(start: int, service: str) -> bytes:
    said = {"gen_ai.token.type": "input", "gen_ai.request.model": "claude", "gen_ai.provider.name": "anthropic"}
    point = otlp.point(1, said, start=start, time=start + MINUTE)
    del point["asInt"]
    point |= {"sum": 1000.0, "count": "2"}
    metric = otlp.metric("gen_ai.client.token.usage", point, kind="histogram", temporality=2)
    return otlp.metrics(metric, **{"service.name": service})


def test_an_applications_metrics_are_not_charged_where_its_spans_are(tell: Tell, send: Send, start: int) -> None:
    end = str(start + otlp.SECOND)
    said = otlp.chat(input_tokens=10, output_tokens=0) | {"gen_ai.response.model": "claude"}
    span = otlp.span(said, startTimeUnixNano=str(start), endTimeUnixNano=end)
    assert warning(send(TRACES, otlp.traces(span, **{"service.name": "search"}))) == ""
    assert "gen_ai:search" in warning(send(METRICS, gen_ai(start, "search")))
    assert warning(send(METRICS, gen_ai(start, "chat"))) == ""
    assert tokens() == 10 + 1000


def test_too_many_services_are_one(tell: Tell, send: Send, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MOST_TELLERS", 1)
    said = otlp.chat(input_tokens=10, output_tokens=0) | {"gen_ai.response.model": "claude"}
    for number, service in enumerate(("search", "chat"), 1):
        times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + number)}
        span = otlp.span(said, spanId=f"{number:016x}", **times)
        send(TRACES, otlp.traces(span, **{"service.name": service}))
    assert "gen_ai:third" in warning(send(METRICS, gen_ai(start, "third")))


def test_protobuf_is_the_same(tell: Tell, send: Send, start: int) -> None:
    message = Parse(gen_ai(start, "search"), ExportMetricsServiceRequest())
    for _ in range(2):
        answer = send(METRICS, message.SerializeToString(), "application/x-protobuf")
        assert (answer.status_code, answer.content) == (200, b"")
    send(METRICS, gen_ai(start, "search"))
    assert tokens() == 1000


def test_too_many_sums_are_told_to_try_again(tell: Tell, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost by that: sums go on growing."""
    tell(100)
    monkeypatch.setattr(telemetry, "MOST_SERIES", 0)
    answer = tell(30, began=start + MINUTE)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (429, "ingest.too_many_series")
    assert warning(tell(150, minute=2)) == "", "those that are known go on"
    assert tokens() == 150


def test_silent_sums_are_forgotten_and_one_that_speaks_again_counts_from_there(tell: Tell, start: int) -> None:
    tell(100)
    assert forget_series(at=datetime.now(UTC)) == 0
    assert forget_series(at=datetime.now(UTC) + timedelta(days=91)) == 1
    ago = int(timedelta(days=91).total_seconds()) * otlp.SECOND
    tell(1_000, began=start - ago, minute=91 * 24 * 60)
    assert tokens() == 100, "it began before what is remembered"
    tell(1_030, began=start - ago, minute=91 * 24 * 60 + 5)
    assert tokens() == 130


@pytest.mark.parametrize("body", [b'{"resourceMetrics": [', b"<html>", b'{"resourceSpans": []}'])
def test_what_is_no_such_body_is_refused(cast: Cast, send: Send, body: bytes) -> None:
    assert send(METRICS, body).status_code == 422
