"""What Gemini says of a call: the prompt with what was cached, the candidates without the thoughts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.google.usage import gemini_usage, tier_of
from finops.connectors.types import Problem
from tests.factories.examples import example
from tests.factories.reports import JSON

SAID: dict[str, Any] = {
    "promptTokenCount": 1200,
    "cachedContentTokenCount": 1000,
    "candidatesTokenCount": 300,
    "thoughtsTokenCount": 128,
    "toolUsePromptTokenCount": 40,
    "totalTokenCount": 1668,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1200}],
    "trafficType": "ON_DEMAND",
}


def test_the_example_counts_what_was_cached_once_litellm_14849() -> None:
    made = gemini_usage(json.loads(example("gemini_usage")))
    assert made == gemini_usage(SAID)
    assert made == {
        "input_uncached": 240, "cache_read": 1000, "output_text": 300, "output_reasoning": 128, "requests": 1,
    }  # fmt: skip
    assert sum(made.values()) - 1 == SAID["totalTokenCount"]


def test_the_total_tells_where_candidates_hold_the_thoughts() -> None:
    made = gemini_usage(SAID | {"totalTokenCount": 1540})
    assert made == {
        "input_uncached": 240, "cache_read": 1000, "output_text": 172, "output_reasoning": 128, "requests": 1,
    }  # fmt: skip


def test_the_total_tells_where_the_prompt_holds_what_tools_said() -> None:
    made = gemini_usage(SAID | {"totalTokenCount": 1628})
    assert isinstance(made, dict)
    assert made["input_uncached"] == 200


def test_what_was_heard_seen_said_and_drawn() -> None:
    made = gemini_usage(
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 500,
            "candidatesTokenCount": 300,
            "totalTokenCount": 1300,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 300},
                {"modality": "AUDIO", "tokenCount": 400},
                {"modality": "IMAGE", "tokenCount": 200},
                {"modality": "VIDEO", "tokenCount": 100},
            ],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 300},
                {"modality": "IMAGE", "tokenCount": 150},
                {"modality": "TEXT", "tokenCount": 50},
            ],
            "candidatesTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 100},
                {"modality": "IMAGE", "tokenCount": 150},
                {"modality": "TEXT", "tokenCount": 50},
            ],
        }
    )
    assert made == {
        "input_uncached": 350,
        "cache_read": 200,
        "cache_read_audio": 300,
        "input_audio": 100,
        "input_image": 50,
        "output_text": 50,
        "output_audio": 100,
        "output_image": 150,
        "requests": 1,
    }


def test_audio_of_a_cache_that_says_no_more_is_what_must_be() -> None:
    heard = [{"modality": "AUDIO", "tokenCount": 900}, {"modality": "IMAGE", "tokenCount": 100}]
    made = gemini_usage({"promptTokenCount": 1000, "cachedContentTokenCount": 600, "promptTokensDetails": heard})
    assert made == {"cache_read": 100, "cache_read_audio": 500, "input_audio": 400, "requests": 1}


def test_a_live_call_says_response() -> None:
    spoken = [{"modality": "AUDIO", "tokenCount": 20}]
    made = gemini_usage({"promptTokenCount": 5, "responseTokenCount": 20, "responseTokensDetails": spoken})
    assert made == {"input_uncached": 5, "output_audio": 20, "requests": 1}


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({}, "usage_unreadable", "usage.promptTokenCount"),
        ({"totalTokenCount": 100}, "usage_unreadable", "usage.promptTokenCount"),
        (SAID | {"promptTokenCount": -1}, "usage_unreadable", "usage.promptTokenCount"),
        (SAID | {"cachedContentTokenCount": 1241}, "subset_exceeds_total", "usage.input_tokens"),
        (SAID | {"promptTokensDetails": 5}, "usage_unreadable", "usage.promptTokensDetails"),
        (SAID | {"promptTokensDetails": [5]}, "usage_unreadable", "usage.promptTokensDetails"),
        (
            SAID | {"candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 301}]},
            "subset_exceeds_total",
            "usage.output_tokens",
        ),
        (
            {"promptTokenCount": 1, "candidatesTokenCount": 3, "thoughtsTokenCount": 5, "totalTokenCount": 4},
            "usage_unreadable",
            "usage.thoughtsTokenCount",
        ),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, Any], code: str, field: str) -> None:
    found = gemini_usage(said)
    assert isinstance(found, Problem)
    assert (found.code, found.field) == (f"connectors.{code}", field)


@given(st.dictionaries(st.sampled_from([*SAID, "cacheTokensDetails", "responseTokenCount"]), JSON | st.integers(0, 9)))
def test_any_usage_is_answered(changes: dict[str, Any]) -> None:
    made = gemini_usage(SAID | changes)
    assert isinstance(made, Problem) or all(number > 0 for number in made.values())


def test_the_tier_that_served() -> None:
    assert [tier_of(one) for one in ("ON_DEMAND", "ON_DEMAND_PRIORITY", "PROVISIONED_THROUGHPUT", None, 5)] == [
        "standard", "priority", "provisioned_throughput", "", "",
    ]  # fmt: skip
