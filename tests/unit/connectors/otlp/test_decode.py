"""OTLP/HTTP's JSON as the specification maps it, and what is no such body."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from finops.connectors.bodies import TooManyRecords
from finops.connectors.otlp import decode, logs, metrics, spans, types
from finops.connectors.otlp.types import Encoding
from finops.connectors.pages import BodyUnreadable
from tests.factories import otlp

JSON = Encoding.JSON


def first(said: dict[str, Any], **changes: Any) -> types.Span:
    (found,), _ = decode.spans(otlp.traces(otlp.span(said, **changes)), JSON)
    return found


def test_whole_numbers_are_text_or_numbers() -> None:
    told = [{"key": "a", "value": {"intValue": "12"}}, {"key": "b", "value": {"intValue": -12}}]
    found = first({}, attributes=told, startTimeUnixNano=otlp.NANO, endTimeUnixNano=str(otlp.NANO))
    assert found.attributes == {"a": 12, "b": -12}
    assert (found.start, found.end) == (otlp.NANO, otlp.NANO)


def test_ids_are_hex_and_no_base_64() -> None:
    found = first({}, traceId=otlp.TRACE.upper())
    assert (found.trace_id, found.span_id) == (otlp.TRACE, otlp.SPAN)


def test_fractions_are_read_from_their_text() -> None:
    body = otlp.traces(otlp.span({"c": 7.25})).replace(b"7.25", b"0.10000000000000000000001")
    (found,), _ = decode.spans(body, JSON)
    assert found.attributes == {"c": Decimal("0.10000000000000000000001")}


def test_values_of_every_kind() -> None:
    said = {"t": "x", "b": True, "l": [1, "two"], "m": {"k": [False]}}
    assert first(said).attributes == said
    assert first({}, attributes=[{"key": "n", "value": {"doubleValue": "NaN"}}]).attributes["n"].is_nan()


@pytest.mark.parametrize(
    "told",
    [
        None, "text", [None, 4, "text", []], [{"key": 4}], [{"key": ""}], [{"key": "k"}], [{"key": "k", "value": 4}],
        [{"key": "k", "value": {}}], [{"key": "k", "value": {"intValue": True}}],
        [{"key": "k", "value": {"bytesValue": "AA=="}}], [{"key": "k", "value": {"arrayValue": 4}}],
    ],
)  # fmt: skip
def test_bent_attributes_say_nothing(told: Any) -> None:
    assert not any(first({}, attributes=told).attributes.values())


def test_what_is_not_known_is_passed_over() -> None:
    body = json.loads(otlp.traces(otlp.span(otlp.chat(input_tokens=1), flags=257, traceState="a=b", droppedLinks=[{}])))
    body["resourceSpans"][0]["entityRefs"] = [{"type": "service"}]
    assert len(spans.cut(json.dumps(body | {"added": {"later": 1}}).encode()).rows) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html><body>Sign in</body></html>", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8e',
        b"[]", b"4", b"null", b'"text"', b"\xff\xfe", b"[" * 5000, b'{"resourceSpans": {}}', b'{"data": []}',
        b'{"resourceLogs": []}',
    ],
)  # fmt: skip
def test_what_is_no_body_of_spans_says_so(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        spans.cut(body)


def test_a_body_of_nothing_is_nothing() -> None:
    assert spans.cut(b"{}") == types.Cut((), {})
    assert logs.cut(b'{"resourceLogs": []}').rows == ()
    assert (
        metrics.cut(b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {}}]}]}]}').rows == ()
    )


def test_another_signals_body_is_named() -> None:
    with pytest.raises(BodyUnreadable, match="resourceMetrics"):
        logs.cut(otlp.metrics())


def test_one_string_that_is_no_unicode_costs_only_itself() -> None:
    good, bad = otlp.chat(input_tokens=1), otlp.chat(input_tokens=2) | {"gen_ai.agent.name": "QQ"}
    body = otlp.traces(otlp.span(good, spanId="a" * 16), otlp.span(bad)).replace(b"QQ", b"\\ud800")
    found = [otlp.read(spans.parse(row)) for row in spans.cut(body).rows]
    assert [dict(one.tags).get("gen_ai.agent.name") for one in found] == [None, "?"]


def test_a_nul_is_replaced() -> None:
    said = otlp.chat(input_tokens=1) | {"gen_ai.agent.name": "a\x00b"}
    (row,) = spans.cut(otlp.traces(otlp.span(said))).rows
    assert dict(otlp.read(spans.parse(row)).tags)["gen_ai.agent.name"] == "a\ufffdb"


def test_what_is_no_item_is_rejected_and_costs_its_neighbours_nothing() -> None:
    found = spans.cut(otlp.traces(None, otlp.span(otlp.chat(input_tokens=1)), 4, "text"))
    assert (len(found.rows), found.rejected) == (1, 3)


def test_too_many_are_refused() -> None:
    many = ",".join(["{}"] * (types.MOST_ITEMS + 1))
    for cut, body in (
        (spans.cut, f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{many}]}}]}}]}}'),
        (
            metrics.cut,
            f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"sum":{{"dataPoints":[{many}]}}}}]}}]}}]}}',
        ),
    ):
        with pytest.raises(TooManyRecords):
            cut(body.encode())


def test_a_resource_told_again_with_each_record_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "MOST_BYTES", 10_000)
    said = otlp.chat(input_tokens=1)
    held = [otlp.span(said, spanId=f"{number:016x}") for number in range(1, 20)]
    with pytest.raises(TooManyRecords):
        spans.cut(otlp.traces(*held, **{f"key{number}": "x" * 300 for number in range(100)}))


def test_a_long_conversation_does_not_crowd_out_its_usage() -> None:
    talk = {f"gen_ai.prompt.{number}.content": "a secret" for number in range(300)}
    (row,) = spans.cut(otlp.traces(otlp.span(talk | otlp.chat(input_tokens=7)))).rows
    assert otlp.counted(otlp.read(spans.parse(row))) == {"input_uncached": 7, "requests": 1}
    assert b"secret" not in row


def test_prompts_are_not_kept() -> None:
    said = otlp.chat(input_tokens=1) | {"gen_ai.input.messages": "a secret", "http.request.header.x": "a secret"}
    (row,) = spans.cut(otlp.traces(otlp.span(said), **{"process.command_line": "x --key secret"})).rows
    assert b"secret" not in row


def test_words_for_enums_are_taken_too() -> None:
    assert first({}, status={"code": "STATUS_CODE_ERROR"}).failed
    assert first({}, status={"code": 2}).failed
    assert not first({}, status={"code": {}}).failed
    told = otlp.metric("m", otlp.point(1, {}), temporality="AGGREGATION_TEMPORALITY_CUMULATIVE")
    assert decode.points(otlp.metrics(told), JSON)[0][0].cumulative


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ({"asInt": "12"}, 12), ({"asInt": -3}, -3), ({"asDouble": 1234.0}, 1234), ({"asDouble": "Infinity"}, None),
        ({"asDouble": "NaN"}, None), ({"asInt": "x"}, None), ({"asDouble": True}, None), ({}, None),
        ({"asInt": 10**30}, None), ({"asDouble": "0E+99999"}, 0),
    ],
)  # fmt: skip
def test_values_of_data_points(said: dict[str, Any], number: int | None) -> None:
    (found,), _ = decode.points(otlp.metrics(otlp.metric("m", said)), JSON)
    assert found.value == number


def test_a_number_of_a_million_zeros_is_not_written_out() -> None:
    body = otlp.metrics(otlp.metric("m", {"asDouble": 7.25})).replace(b"7.25", b"1e999999")
    assert decode.points(body, JSON)[0][0].value is None
    huge = otlp.traces(otlp.span({"cost": 7.25})).replace(b"7.25", b"1e99999999999999999999")
    assert decode.spans(huge, JSON)[0][0].attributes["cost"].is_nan()
