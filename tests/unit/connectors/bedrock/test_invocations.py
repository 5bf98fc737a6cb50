"""Bedrock's invocation log: every call's counts, and nothing of what was asked or answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from finops.connectors.bedrock.invocations import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import GivenCost, UsageEvent
from tests.factories.agents import bent, checked, checked_page, meters, said
from tests.factories.examples import example

SECRET = "the merger is on Friday"
ROLE = "arn:aws:sts::123456789012:assumed-role/app-role/session"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"


def line(**changes: Any) -> dict[str, Any]:
    told = {
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2026-11-20T10:15:00Z",
        "accountId": "123456789012", "identity": {"arn": ROLE}, "region": "us-east-1", "requestId": "1111-2222",
        "operation": "Converse", "modelId": "us.anthropic.claude-sonnet-4-6", "requestMetadata": {"team": "search"},
        "input": {"inputContentType": "application/json", "inputBodyJson": {"messages": [{"text": SECRET}]},
                  "inputTokenCount": 3, "cacheReadInputTokenCount": 0, "cacheWriteInputTokenCount": 18779},
        "output": {"outputContentType": "application/json", "outputTokenCount": 12},
        "inferenceRegion": "us-west-2",
    } | changes  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def answered(usage: Any, **changes: Any) -> dict[str, Any]:
    """A call whose counts stand in its answer only."""
    body = {"output": {"message": {"content": [{"text": SECRET}]}}, "usage": usage}
    return line(input={"inputBodyJson": {"p": SECRET}}, output={"outputBodyJson": body}, **changes)


def log(*lines: Any) -> bytes:
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines)


def read(*lines: Any, **options: Any) -> list[UsageEvent]:
    return [said(parse(raw)) for raw in cut(log(*lines), **options).rows]


def test_the_example_of_the_reference() -> None:
    (made,) = read(json.loads(example("bedrock_invocation")))
    assert (made.provider, made.model, made.evidence) == ("aws", PROFILE, "metered")
    assert made.external_id == made.provider_request_id == "11111111-2222-4333-8444-555555555555"
    assert (made.region, made.provider_account) == ("us-east-1", "123456789012")
    assert made.identities == (("provider_user", ROLE),)
    assert dict(made.tags) == {
        "team": "search", "operation": "Converse", "iam_role": "app-role", "inference_region": "us-west-2",
    }  # fmt: skip
    assert meters(made) == {"input_uncached": 1200, "output_text": 300, "requests": 1}


def test_input_leaves_out_what_was_cached_opencode_38427() -> None:
    (made,) = read(
        answered({"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 90_000, "cacheWriteInputTokens": 400})
    )
    assert meters(made) == {
        "input_uncached": 10, "cache_read": 90_000, "cache_write_5m": 400, "output_text": 5, "requests": 1,
    }  # fmt: skip


def test_counts_at_the_top_of_the_log_are_disjoint_too() -> None:
    (made,) = read(line())
    assert meters(made) == {"input_uncached": 3, "cache_write_5m": 18779, "output_text": 12, "requests": 1}


def test_a_body_too_long_to_be_logged_leaves_the_counts_at_the_top() -> None:
    (made,) = read(line(output={"outputBodyS3Path": "s3://logs/data/1", "outputTokenCount": 12}))
    assert meters(made)["output_text"] == 12


def test_how_long_the_cache_lives_is_told_by_converse_and_by_claude() -> None:
    details = [{"ttl": "5m", "inputTokens": 100}, {"ttl": "1h", "inputTokens": 300}]
    usage = {"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": 400, "cacheDetails": details}
    claude = {
        "input_tokens": 1, "output_tokens": 9, "cache_creation_input_tokens": 400,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300},
        "output_tokens_details": {"thinking_tokens": 4},
    }  # fmt: skip
    converse, messages = read(answered(usage), answered(claude, operation="InvokeModel"))
    assert (meters(converse)["cache_write_5m"], meters(converse)["cache_write_1h"]) == (100, 300)
    assert (meters(messages)["cache_write_5m"], meters(messages)["cache_write_1h"]) == (100, 300)
    assert (meters(messages)["output_text"], meters(messages)["output_reasoning"]) == (5, 4)


def test_a_stream_tells_totals_and_the_last_counts() -> None:
    events = [
        {"type": "message_start", "message": {"id": "msg", "usage": {"input_tokens": 10, "output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"text": SECRET}},
        {"type": "message_delta", "usage": {"output_tokens": 200}},
        {"type": "message_delta", "usage": {"output_tokens": 503}},
    ]
    (made,) = read(line(input={}, output={"outputBodyJson": events}, operation="InvokeModelWithResponseStream"))
    assert meters(made) == {"input_uncached": 10, "output_text": 503, "requests": 1}


def test_the_tier_that_served_is_in_converses_answer_and_has_a_price_of_its_own() -> None:
    usage = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
    whole = line(output={"outputBodyJson": {"usage": usage, "serviceTier": {"type": "flex"}}})
    events = [
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": usage, "serviceTier": {"type": "flex"}}},
    ]
    streamed = line(output={"outputBodyJson": events}, operation="ConverseStream")
    assert [made.service_tier for made in read(whole, streamed, line(), whole | {"serviceTier": "priority"})] == [
        "flex", "flex", "", "priority",
    ]  # fmt: skip


def test_openais_models_count_as_openai_does() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}
    (made,) = read(answered(usage, modelId="openai.gpt-oss-120b-1:0"))
    assert meters(made) == {"input_uncached": 40, "cache_read": 60, "output_text": 20, "requests": 1}


def test_nothing_of_what_was_asked_or_answered_is_kept() -> None:
    secretive = [
        line(),
        answered({"inputTokens": 1, "outputTokens": 2, SECRET: 1, "note": SECRET, "deep": {"text": SECRET, "n": 1}}),
        line(output={"outputBodyJson": [{"type": "message_start", "message": {"usage": {"input_tokens": SECRET}}}]}),
        line(input={"inputTokenCount": SECRET}),
        line(errorCode="ThrottlingException", output=None),
        log(line())[:-20],
        SECRET.encode(),
    ]
    rows = cut(log(*secretive)).rows
    assert len(rows) == 7
    for raw in rows:
        assert SECRET.encode() not in raw
        received = parse(raw)
        assert SECRET not in repr((received.event, received.problem))


def test_a_line_that_cannot_be_read_says_where_it_stood() -> None:
    received = [parse(raw) for raw in cut(log(line(), b'{"prompt": "' + SECRET.encode(), line())).rows]
    assert [bool(one.event) for one in received] == [True, False, True]
    assert received[1].problem is not None
    assert "line 2" in received[1].problem.message


def test_a_model_without_a_price_keeps_its_counts_and_says_no_cost_obot_7558_and_7511() -> None:
    """Nothing here guesses a price: without one in the book the charge is unpriced, which is a state and not $0."""
    (made,) = read(line(modelId="anthropic.claude-haiku-9-9-v1:0"))
    assert (made.cost, made.model, meters(made)["output_text"]) == (None, "anthropic.claude-haiku-9-9-v1:0", 12)


def test_an_inference_profile_is_its_model_where_somebody_asked_aws() -> None:
    (alone,) = read(line(modelId=PROFILE))
    (known,) = read(line(modelId=PROFILE), models={PROFILE: "anthropic.claude-sonnet-4-6"})
    assert (alone.model, known.model) == (PROFILE, "anthropic.claude-sonnet-4-6")


def test_a_call_that_failed_before_it_began_is_nobodys_charge() -> None:
    failed = line(errorCode="ThrottlingException", input={"inputBodyJson": {}}, output=None)
    assert cut(log(failed)).rows == ()
    (made,) = read(line(errorCode="ModelStreamErrorException"))
    assert (meters(made)["input_uncached"], dict(made.tags)["error"]) == (3, "ModelStreamErrorException")
    kept = said(parse(json.dumps({"requestId": "r", "timestamp": "2026-11-20T10:15:00Z", "modelId": "m",
                                  "errorCode": "ValidationException"}).encode()))  # fmt: skip
    assert (kept.cost, meters(kept)) == (GivenCost(0, "USD"), {})


def test_a_call_that_says_no_count_is_a_problem() -> None:
    received = parse(cut(log(line(input={}, output={}))).rows[0])
    assert received.problem is not None
    assert (received.problem.code, received.external_id) == ("connectors.usage_missing", "1111-2222")


def test_whoever_signs_in_by_a_directory_is_known_by_their_address() -> None:
    arn = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_abc/bob@acme.example"
    (made,) = read(line(identity={"arn": arn}))
    assert made.identities == (("email", "bob@acme.example"), ("provider_user", arn))


@pytest.mark.parametrize("body", [b"<html>no</html>", b"[1]", b'{"a":'])
def test_what_is_no_log_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body)


def test_an_empty_file_has_no_records() -> None:
    assert cut(b"\n").rows == ()


@given(bent(line(output={"outputBodyJson": {"usage": {"inputTokens": 1, "cacheDetails": [{"ttl": "1h"}]}}})))
def test_anything_in_any_place_of_a_line(raw: bytes) -> None:
    checked_page(raw, cut, parse)


@given(bent(json.loads(cut(log(line(), answered({"inputTokens": 1}))).rows[0])))
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
