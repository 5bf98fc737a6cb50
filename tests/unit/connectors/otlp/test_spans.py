"""Spans of the GenAI conventions, as they are and as they were."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from finops.connectors.otlp import spans
from finops.connectors.otlp.types import Encoding
from finops.connectors.types import Dimensions, Problem, UsageEvent, content_hash
from tests.factories import otlp
from tests.factories.examples import example


def event(said: dict[str, Any], resource: dict[str, Any] | None = None, **changes: Any) -> UsageEvent:
    (row,) = spans.cut(otlp.traces(otlp.span(said, **changes), **resource or {})).rows
    return otlp.read(spans.parse(row))


def wrong(said: dict[str, Any], resource: dict[str, Any] | None = None, **changes: Any) -> Problem:
    (row,) = spans.cut(otlp.traces(otlp.span(said, **changes), **resource or {})).rows
    return otlp.wrong(spans.parse(row))


def test_the_example() -> None:
    (row,) = spans.cut(example("otlp_trace_genai")).rows
    found = otlp.read(spans.parse(row))
    assert found.external_id == f"{otlp.TRACE}:{otlp.SPAN}"
    assert (found.provider, found.model, found.provider_request_id) == ("openai", "gpt-5.2-2026-01-01", "chatcmpl-1")
    assert otlp.counted(found) == {"input_uncached": 176, "cache_read": 1024, "output_text": 300, "requests": 1}
    assert found.occurred_at == datetime(2025, 11, 20, 8, 0, 2, tzinfo=UTC)
    assert dict(found.tags)["service.name"] == "search-api"


def test_everything_a_span_may_say() -> None:
    said = otlp.chat(
        input_tokens=1000, cache_read__input_tokens=600, cache_creation__input_tokens=100, output_tokens=300,
        reasoning__output_tokens=128,
    ) | {
        "gen_ai.request.model": "claude-opus", "gen_ai.response.id": "msg_1", "gen_ai.conversation.id": "c-1",
        "gen_ai.agent.name": "reviewer", "enduser.id": "u-7", "capstan.customer": "globex",
        "capstan.task_type": "review",
    }  # fmt: skip
    found = event(said, {"team.id": "search", "capstan.project": "indexer", "user.email": "alice@acme.example"})
    assert otlp.counted(found) == {
        "input_uncached": 300, "cache_read": 600, "cache_write_5m": 100, "output_text": 172, "output_reasoning": 128,
        "requests": 1,
    }  # fmt: skip
    assert found.dimensions == Dimensions(team="search", project="indexer", customer="globex")
    assert found.identities == (("email", "alice@acme.example"), ("provider_user", "u-7"))
    assert (found.session, found.provider_request_id, found.task_type) == ("c-1", "msg_1", "review")
    assert dict(found.tags) == {
        "gen_ai.agent.name": "reviewer", "gen_ai.operation.name": "chat", "team.id": "search",
    }  # fmt: skip
    assert found.evidence == "metered"


@pytest.mark.parametrize(
    ("cached", "written", "thought"),
    [
        ("cache_read.input_tokens", "cache_creation.input_tokens", "reasoning.output_tokens"),
        ("cache_read.input_tokens", "cache_write.input_tokens", "reasoning.output_tokens"),
        ("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens"),
        ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
        ("details.cache_read_tokens", "details.cache_write_tokens", "details.reasoning_tokens"),
    ],
)
@pytest.mark.parametrize(("given", "made"), [("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens")])
def test_names_as_they_are_and_as_they_were(given: str, made: str, cached: str, written: str, thought: str) -> None:
    said = {
        "gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "opus",
        f"gen_ai.usage.{given}": 100, f"gen_ai.usage.{made}": 50, f"gen_ai.usage.{cached}": 60,
        f"gen_ai.usage.{written}": 10, f"gen_ai.usage.{thought}": 20,
    }  # fmt: skip
    found = event(said)
    assert (found.provider, found.model) == ("anthropic", "opus")
    assert otlp.counted(found) == {
        "input_uncached": 30, "cache_read": 60, "cache_write_5m": 10, "output_text": 30, "output_reasoning": 20,
        "requests": 1,
    }  # fmt: skip


def test_cache_tokens_are_not_counted_twice_langfuse_12306() -> None:
    found = event(otlp.chat(input_tokens=130_213, cache_read__input_tokens=130_208, output_tokens=1))
    assert sum(otlp.counted(found).values()) == 130_213 + 1 + 1
    assert otlp.counted(found)["input_uncached"] == 5


def test_cached_input_is_taken_out_of_the_input_langfuse_10592() -> None:
    found = otlp.counted(event(otlp.chat(input_tokens=17_903, cache_read_tokens=17_817)))
    assert (found["input_uncached"], found["cache_read"]) == (86, 17_817)


def test_the_rest_of_the_input_is_still_paid_for_langsmith_2519() -> None:
    found = otlp.counted(event(otlp.chat(input_tokens=12_012, cache_read_tokens=9_000, cache_write_tokens=3_000)))
    assert found["input_uncached"] == 12


def test_a_producer_that_leaves_the_cache_out_is_held_posthog_39901() -> None:
    said = otlp.chat(input_tokens=12, cache_read__input_tokens=9_000, output_tokens=5)
    found = wrong(said)
    assert (found.code, found.field) == ("connectors.subset_exceeds_total", "usage.input_tokens")
    mended = event(said, {"capstan.usage_convention": "disjoint"})
    assert otlp.counted(mended) == {"input_uncached": 12, "cache_read": 9_000, "output_text": 5, "requests": 1}
    assert wrong(said, {"capstan.usage_convention": "both"}).field == "capstan.usage_convention"


def test_a_span_with_counts_under_names_of_its_own_is_no_call_of_zero_tokens_claude_code_50776() -> None:
    """They stand in the tool's events, which are counted. A span that held them too would be the call a second time."""
    flat = {"input_tokens": 12, "output_tokens": 503, "cache_read_tokens": 18_000, "cache_creation_tokens": 900}
    said = {"gen_ai.system": "anthropic", "gen_ai.request.model": "claude-opus-5-5", **flat}
    asked = otlp.span(said, name="claude_code.llm_request")
    named = otlp.span({**said, "gen_ai.operation.name": "chat"}, name="claude_code.llm_request")
    assert spans.cut(otlp.traces(asked, named)).rows == ()
    # Of a tool without events it would be a call of nothing: held, and told.
    found = wrong({**said, "gen_ai.operation.name": "chat"})
    assert (found.code, found.field) == ("connectors.field_missing", "gen_ai.usage.input_tokens")


def test_bedrock_counts_apart_where_its_owner_says_so_opencode_38427() -> None:
    said = otlp.chat(input_tokens=500, cache_read__input_tokens=400) | {"capstan.usage_convention": "disjoint"}
    assert otlp.counted(event(said))["input_uncached"] == 500


def test_the_tier_that_served_counts_and_not_the_one_asked_for_posthog_94200() -> None:
    asked = otlp.chat(input_tokens=1) | {"openai.request.service_tier": "priority"}
    assert event(asked).service_tier == ""
    assert event(asked | {"openai.response.service_tier": "Flex"}).service_tier == "flex"
    assert event(asked | {"gen_ai.openai.response.service_tier": "default"}).service_tier == "default"
    assert event(asked | {"openai.response.service_tier": "auto"}).service_tier == ""


@pytest.mark.parametrize("operation", ["chat", "generate_content", "text_completion", "embeddings"])
def test_calls_of_models_are_counted(operation: str) -> None:
    assert event(otlp.chat(input_tokens=1) | {"gen_ai.operation.name": operation}).counts[0] == 1


def test_openllmetry_named_the_operation_otherwise() -> None:
    said = {"llm.request.type": "chat", "gen_ai.request.model": "gpt", "gen_ai.usage.prompt_tokens": 3}
    assert event(said).counts[0] == 3


def test_what_is_no_call_of_a_model_is_counted_and_left() -> None:
    totals = otlp.chat(input_tokens=900)
    found = spans.cut(
        otlp.traces(
            otlp.span(totals | {"gen_ai.operation.name": "invoke_agent"}),
            otlp.span(totals | {"gen_ai.operation.name": "invoke_agent"}, spanId="a" * 16),
            otlp.span({"gen_ai.operation.name": "execute_tool"}),
            otlp.span({"http.request.method": "POST"}),
            otlp.span(totals, name="claude_code.llm_request"),
            otlp.span(otlp.chat(), status={"code": 2}),
            otlp.span(otlp.chat() | {"error.type": "timeout"}),
        )
    )
    assert found.rows == ()
    assert found.ignored == {
        "operation invoke_agent": 2,
        "operation execute_tool": 1,
        "no GenAI span": 1,
        "a span of a tool that tells its calls by events": 1,
        "a failed call without usage": 2,
    }


def test_reasons_stay_few() -> None:
    held = [otlp.span({"gen_ai.operation.name": f"{number}" * 200}) for number in range(100)]
    found = spans.cut(otlp.traces(*held)).ignored
    assert (len(found), sum(found.values())) == (51, 100)
    assert max(map(len, found)) == 100


def test_a_failed_call_that_says_its_usage_is_paid_for() -> None:
    assert event(otlp.chat(input_tokens=5), status={"code": 2}).counts[0] == 5


def test_a_call_around_the_one_it_repeats_is_left() -> None:
    outer, middle, inner, beside = "a" * 16, "b" * 16, "c" * 16, "d" * 16
    held = [
        otlp.span(otlp.chat(input_tokens=9), spanId=outer),
        otlp.span({}, spanId=middle, parentSpanId=outer),
        otlp.span(otlp.chat(input_tokens=9), spanId=inner, parentSpanId=middle),
        otlp.span(
            otlp.chat(input_tokens=2) | {"gen_ai.operation.name": "embeddings"}, spanId=beside, parentSpanId=inner
        ),
    ]
    found = spans.cut(otlp.traces(*held))
    assert [spans.parse(row).external_id[-16:] for row in found.rows] == [inner, beside]
    assert found.ignored == {"a span around the call it repeats": 1, "no GenAI span": 1}


def test_a_call_a_tool_makes_within_a_call_is_one_of_its_own() -> None:
    held = [
        otlp.span(otlp.chat(input_tokens=9), spanId="a" * 16),
        otlp.span({"gen_ai.operation.name": "execute_tool"}, spanId="b" * 16, parentSpanId="a" * 16),
        otlp.span(otlp.chat(input_tokens=4), spanId="c" * 16, parentSpanId="b" * 16),
    ]
    assert len(spans.cut(otlp.traces(*held)).rows) == 2


def test_spans_that_are_their_own_parents_end() -> None:
    held = [
        otlp.span(otlp.chat(input_tokens=9), parentSpanId=otlp.SPAN),
        otlp.span({}, spanId="b" * 16, parentSpanId="c" * 16),
        otlp.span({}, spanId="c" * 16, parentSpanId="b" * 16),
        otlp.span(otlp.chat(input_tokens=9), spanId="d" * 16, parentSpanId="b" * 16),
    ]
    assert len(spans.cut(otlp.traces(*held)).rows) == 2


@pytest.mark.parametrize(
    ("said", "changes", "field"),
    [
        (otlp.chat(), {}, "gen_ai.usage.input_tokens"),
        (otlp.chat(cache_read_tokens=4), {}, "gen_ai.usage.input_tokens"),
        (otlp.chat(input_tokens=-1), {}, "gen_ai.usage.input_tokens"),
        (otlp.chat(input_tokens=10**13), {}, "gen_ai.usage.input_tokens"),
        (otlp.chat(input_tokens=1) | {"gen_ai.usage.output_tokens": 1.5}, {}, "gen_ai.usage.output_tokens"),
        (otlp.chat(input_tokens=1) | {"gen_ai.usage.output_tokens": "many"}, {}, "gen_ai.usage.output_tokens"),
        (otlp.chat(input_tokens=1) | {"gen_ai.usage.output_tokens": True}, {}, "gen_ai.usage.output_tokens"),
        (otlp.chat(output_tokens=4, reasoning_tokens=5), {}, "usage.output_tokens"),
        (otlp.chat(input_tokens=1) | {"gen_ai.response.model": ""}, {}, "model"),
        (otlp.chat(input_tokens=1) | {"gen_ai.response.model": "m" * 301}, {}, "gen_ai.response.model"),
        (otlp.chat(input_tokens=1), {"traceId": ""}, "trace_id"),
        (otlp.chat(input_tokens=1), {"traceId": "W47/95gDgQPSabYzgT/GDA=="}, "trace_id"),
        (otlp.chat(input_tokens=1), {"traceId": "0" * 32}, "trace_id"),
        (otlp.chat(input_tokens=1), {"spanId": "xyz"}, "span_id"),
        (otlp.chat(input_tokens=1), {"startTimeUnixNano": 0, "endTimeUnixNano": "-4"}, "end"),
        (otlp.chat(input_tokens=1), {"endTimeUnixNano": 2**64 - 1, "startTimeUnixNano": 1}, ""),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, Any], changes: dict[str, Any], field: str) -> None:
    if field:
        assert wrong(said, **changes).field == field
    else:
        assert event(said, **changes).occurred_at.year == 2554


def test_counts_as_text_and_as_fractions_of_zero() -> None:
    said = otlp.chat() | {"gen_ai.usage.input_tokens": "12", "gen_ai.usage.output_tokens": 3.0}
    assert otlp.counted(event(said)) == {"input_uncached": 12, "output_text": 3, "requests": 1}


def test_the_same_span_again_is_the_same_event() -> None:
    said = otlp.chat(input_tokens=12, output_tokens=3)
    first, again = event(said), event(dict(reversed(said.items())))
    assert (first.external_id, content_hash(first)) == (again.external_id, content_hash(again))
    assert content_hash(event(otlp.chat(input_tokens=13))) != content_hash(first)


def test_a_record_that_is_none_of_ours_is_a_problem() -> None:
    for raw in (
        b"",
        b"[]",
        b'{"attributes": 4}',
        b'{"start": "x"}',
        b'{"start": 1e9999999999999999999999}',
        b"[" * 9999,
    ):
        assert otlp.wrong(spans.parse(raw)).field


def test_an_application_may_put_an_address_into_enduser_id() -> None:
    found = event(otlp.chat(input_tokens=1) | {"enduser.id": "bob@acme.example", "user.id": "u-1"})
    assert found.identities == (("email", "bob@acme.example"), ("provider_user", "u-1"))
    assert not any("acme" in value for _, value in found.tags)


def test_machines_are_no_tags_and_tags_stay_few() -> None:
    resource: dict[str, Any] = {
        "host.name": "alices-laptop", "process.pid": 4, "deployment.environment.name": "prod", "flag": True,
        "share": 0.5, "list": ["a"], "long": "x" * 900, "k" * 70: "key too long",
    }  # fmt: skip
    tags = dict(event(otlp.chat(input_tokens=1), resource).tags)
    assert tags == {
        "deployment.environment.name": "prod", "flag": "true", "gen_ai.operation.name": "chat", "long": "x" * 200,
        "share": "0.5",
    }  # fmt: skip
    many = {f"tag{number:03}": "x" for number in range(300)}
    assert len(event(otlp.chat(input_tokens=1), many).tags) == 50


def test_who_runs_it_may_say_the_provider() -> None:
    found = event(otlp.chat(input_tokens=1), {"capstan.provider": "aws.bedrock"})
    assert found.provider == "anthropic", "a span that says it knows better than its resource"
    unsaid = {name: value for name, value in otlp.chat(input_tokens=1).items() if name != "gen_ai.provider.name"}
    assert event(unsaid, {"capstan.provider": "aws.bedrock"}).provider == "aws.bedrock"
    assert event(unsaid).provider == ""


@pytest.mark.parametrize("encoding", list(Encoding))
def test_what_is_read_at_once_is_what_its_rows_say(encoding: Encoding) -> None:
    """Good ones, one that contradicts itself, one without an id, and what is no call; two resources."""
    said = otlp.chat(input_tokens=1_000, output_tokens=100) | {
        "user.email": "dev@example.com", "gen_ai.request.temperature": 0.5, "capstan.team": "search", "other": [1, "a"],
    }  # fmt: skip
    told = json.loads(
        otlp.traces(
            otlp.span(said),
            otlp.span(said | {"gen_ai.usage.cache_read.input_tokens": 5_000}, spanId="00000000000000ab"),
            otlp.span(said, spanId="0000000000000000"),
            otlp.span({"gen_ai.operation.name": "invoke_agent"}, spanId="00000000000000ac"),
            **{"service.name": "a", "team.id": "chat", "replicas": 3, "spot": True},
        )
    )
    other = json.loads(otlp.traces(otlp.span(said, spanId="00000000000000ad"), **{"service.name": "b", "cost": 0.25}))
    told["resourceSpans"] += other["resourceSpans"]
    body = json.dumps(told).encode()
    if encoding is Encoding.PROTOBUF:
        for group in told["resourceSpans"]:
            for one in group["scopeSpans"][0]["spans"]:
                for name in ("traceId", "spanId"):
                    one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
        body = Parse(json.dumps(told), ExportTraceServiceRequest()).SerializeToString()
    cut = spans.cut(body, encoding)
    calls = spans.calls(body, encoding)
    assert [one.written() for one in calls.received] == [spans.parse(row) for row in cut.rows]
    assert [one.event is None for one in calls.received] == [False, True, True, False]
    assert all(one.raw == b"" for one in calls.received)
    assert calls.tellers == cut.tellers == {"gen_ai:a", "gen_ai:b"}
