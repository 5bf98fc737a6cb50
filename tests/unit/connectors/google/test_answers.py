"""One answer of Gemini's, as its API writes it and as its SDK does: counts are kept, words are not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from finops.connectors.google.answers import PARSER, cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import reparse
from finops.connectors.types import NO_TIME, UsageEvent
from tests.factories.agents import bent, checked_page
from tests.factories.examples import example
from tests.factories.metered import body, event, meters, wrong

USAGE: dict[str, Any] = {
    "promptTokenCount": 1200,
    "cachedContentTokenCount": 1000,
    "candidatesTokenCount": 300,
    "thoughtsTokenCount": 128,
    "toolUsePromptTokenCount": 40,
    "totalTokenCount": 1668,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1200}],
    "trafficType": "ON_DEMAND_PRIORITY",
}
COUNTED = {"input_uncached": 240, "cache_read": 1000, "output_text": 300, "output_reasoning": 128, "requests": 1}


def answer(usage: Any = USAGE, *, ended: str | None = "STOP", **changes: Any) -> dict[str, Any]:
    said = {"parts": [{"text": "a secret answer"}], "role": "model"}
    candidate = {"content": said, "index": 0} | ({"finishReason": ended} if ended else {})
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-3.1-pro-preview",
        "responseId": "resp-1",
        "createTime": "2026-11-20T10:15:00.250Z",
    } | changes


def read(said: Any) -> UsageEvent:
    (row,) = cut(body(said)).rows
    assert b"secret" not in row
    return event(parse(row))


def test_an_answer_and_nothing_of_what_it_says() -> None:
    found = read(answer())
    assert meters(found) == COUNTED
    assert (found.external_id, found.provider_request_id) == ("resp-1", "resp-1")
    assert (found.provider, found.model, found.service_tier) == ("google", "gemini-3.1-pro-preview", "priority")
    assert found.occurred_at == datetime(2026, 11, 20, 10, 15, 0, 250000, tzinfo=UTC)
    assert (found.evidence, found.undated) == ("metered", False)


def test_the_example_is_the_usage_of_an_answer() -> None:
    assert meters(read(answer(json.loads(example("gemini_usage"))))) == COUNTED


def test_an_answer_without_a_time_is_of_the_moment_it_comes_in() -> None:
    found = read(answer(createTime=None))
    assert (found.undated, found.occurred_at) == (True, NO_TIME)


def test_pythons_sdk_writes_other_names() -> None:
    heard = [{"modality": "AUDIO", "token_count": 900}, {"modality": "TEXT", "token_count": 100}]
    said = {
        "candidates": [{"content": None, "finish_reason": "STOP"}],
        "create_time": "2026-11-20T10:15:00.250000Z",
        "model_version": "gemini-3.1-pro-preview",
        "response_id": "resp-1",
        "usage_metadata": {
            "prompt_token_count": 1000, "candidates_token_count": 30, "thoughts_token_count": 20,
            "total_token_count": 1050, "prompt_tokens_details": heard, "traffic_type": "ON_DEMAND_FLEX",
            "cached_content_token_count": None,
        },
    }  # fmt: skip
    found = read(said)
    assert meters(found) == {
        "input_uncached": 100, "input_audio": 900, "output_text": 30, "output_reasoning": 20, "requests": 1,
    }  # fmt: skip
    assert found.service_tier == "flex"
    assert found == read(
        answer(
            {
                "promptTokenCount": 1000, "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 1050,
                "promptTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 900}, {"modality": "TEXT", "tokenCount": 100},
                ],
                "trafficType": "ON_DEMAND_FLEX",
            }
        )
    )  # fmt: skip


def test_of_a_stream_only_the_last_piece_counts() -> None:
    begun = answer(USAGE | {"candidatesTokenCount": 3, "totalTokenCount": 1371}, ended=None)
    assert cut(body(begun)).rows == ()
    assert meters(read(answer())) == COUNTED


def test_a_prompt_that_was_refused_was_read() -> None:
    refused: dict[str, Any] = {"promptFeedback": {"blockReason": "SAFETY"}, "candidates": None}
    found = read(answer({"promptTokenCount": 12, "totalTokenCount": 12}, **refused))
    assert meters(found) == {"input_uncached": 12, "requests": 1}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"responseId": None}, "field_missing", "responseId"),
        ({"responseId": "x" * 301}, "field_invalid", "responseId"),
        ({"modelVersion": None}, "field_missing", "modelVersion"),
        ({"usageMetadata": None}, "field_missing", "usageMetadata"),
        ({"usageMetadata": "much"}, "field_missing", "usageMetadata"),
        ({"createTime": "yesterday"}, "field_invalid", "createTime"),
        ({"usageMetadata": USAGE | {"promptTokenCount": "many"}}, "usage_unreadable", "usage.promptTokenCount"),
        ({"usageMetadata": USAGE | {"cachedContentTokenCount": 1241}}, "subset_exceeds_total", "usage.input_tokens"),
    ],
)
def test_what_is_wrong_is_named_and_not_kept(changes: dict[str, Any], code: str, field: str) -> None:
    (row,) = cut(body(answer(**changes))).rows
    found = wrong(parse(row))
    assert (found.code, found.field) == (f"connectors.{code}", field)
    assert reparse(PARSER, row) == parse(row)


@pytest.mark.parametrize("raw", [b"<html>", b"[]", b"5", b'{"responseId": "\xff"}', b"[" * 100_000])
def test_a_body_that_is_no_answer(raw: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(raw)


@given(bent(answer()))
def test_anything_in_any_place_of_an_answer(raw: bytes) -> None:
    checked_page(raw, cut, parse)
