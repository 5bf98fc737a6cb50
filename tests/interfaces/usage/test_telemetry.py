"""OpenTelemetry's exporters as they send: the real SDK's bodies in both encodings, compressed, again, and bent."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from finops.ingest.models import QuarantinedRecord
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import Cast
from tests.interfaces.usage.conftest import Send

TRACES, LOGS = "otlp/v1/traces", "otlp/v1/logs"
PROTOBUF = "application/x-protobuf"


def attributes(**said: Any) -> list[dict[str, Any]]:
    return [
        {
            "key": key.replace("__", "."),
            "value": {"intValue": str(value)} if type(value) is int else {"stringValue": value},
        }
        for key, value in said.items()
    ]


def span(number: int, at: datetime, **said: Any) -> dict[str, Any]:
    start = int(at.timestamp()) * 10**9
    usual: dict[str, Any] = {
        "gen_ai__operation__name": "chat",
        "gen_ai__provider__name": "openai",
        "gen_ai__response__model": "gpt",
        "gen_ai__usage__input_tokens": 1_000,
        "gen_ai__usage__output_tokens": 100,
    }
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 10**9),
        "attributes": attributes(**usual | said),
    }


def body(*spans: dict[str, Any], **resource: Any) -> dict[str, Any]:
    return {
        "resourceSpans": [{"resource": {"attributes": attributes(**resource)}, "scopeSpans": [{"spans": list(spans)}]}]
    }


def charged(cast: Cast) -> list[tuple[Any, ...]]:
    return list(rows("SELECT external_id, effective_cost FROM ledger_charge WHERE organization_id = %s", cast.acme.id))


@pytest.fixture(autouse=True)
def _prices(db: None) -> None:
    small_book()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def test_a_span_is_charged_once_in_either_encoding(cast: Cast, send: Send, now: datetime) -> None:
    said = body(span(1, now), span(2, now))
    answer = send(TRACES, said)
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/json", b"{}")
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add().scope_spans.add()
    for one in said["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        made = group.spans.add(
            trace_id=bytes.fromhex(one["traceId"]), span_id=bytes.fromhex(one["spanId"]), name=one["name"],
            start_time_unix_nano=int(one["startTimeUnixNano"]), end_time_unix_nano=int(one["endTimeUnixNano"]),
        )  # fmt: skip
        for pair in one["attributes"]:
            found = made.attributes.add(key=pair["key"])
            ((kind, value),) = pair["value"].items()
            setattr(
                found.value,
                "int_value" if kind == "intValue" else "string_value",
                int(value) if kind == "intValue" else value,
            )
    again = send(TRACES, gzip.compress(message.SerializeToString()), PROTOBUF, Content_Encoding="gzip")
    assert (again.status_code, again["Content-Type"], again.content) == (200, PROTOBUF, b"")
    assert [cost for _, cost in charged(cast)] == [Decimal("0.012")] * 2


def test_what_cannot_be_booked_is_held_and_the_sender_is_warned(cast: Cast, send: Send, now: datetime) -> None:
    bad = span(3, now, gen_ai__usage__cache_read__input_tokens=5_000)
    answer = send(TRACES, body(span(1, now), bad))
    told = json.loads(answer.content)["partialSuccess"]
    assert (told["rejectedSpans"], told["errorMessage"]) == ("0", "1 could not be booked and are in quarantine")
    assert len(charged(cast)) == 1
    held = QuarantinedRecord.objects.get()
    assert (held.parser, held.external_id) == ("otlp_spans", f"{3:032x}:{3:016x}")


@pytest.mark.parametrize(
    ("said", "kind", "status"),
    [
        (b'{"resourceSpans": [', "application/json", 422),
        (b"<html>", "application/json", 422),
        (b"\x0a\xff\xff", PROTOBUF, 422),
        (b"{}", "text/plain", 415),
    ],
)
def test_what_is_no_such_body_is_refused(cast: Cast, send: Send, said: bytes, kind: str, status: int) -> None:
    assert send(TRACES, said, kind).status_code == status
    assert charged(cast) == []


def test_claude_codes_events_are_charged_by_their_own_counts(cast: Cast, send: Send, now: datetime) -> None:
    record = {
        "timeUnixNano": str(int(now.timestamp()) * 10**9),
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": attributes(
            event__name="api_request", model="claude", input_tokens=10, output_tokens=100, cache_read_tokens=1_000,
            cache_creation_tokens=0, request_id="req_1", session__id="s-1",
        ),
    }  # fmt: skip
    said = {
        "resourceLogs": [
            {"scopeLogs": [{"logRecords": [record, {"body": {"stringValue": "claude_code.user_prompt"}}]}]}
        ]
    }
    for _ in range(2):
        assert send(LOGS, said).status_code == 200
    [(name, cost)] = charged(cast)
    assert cost == Decimal("0.00183")
    assert "req_1" in name
