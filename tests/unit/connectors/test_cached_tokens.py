"""Cached tokens are never counted twice and never dropped: one test for each report of a tool that did.

The numbers are the reports'. Langfuse's own and its senders' shapes are read by `langfuse`; LiteLLM's by `litellm`.
"""

from __future__ import annotations

from typing import Any

import pytest

from finops.connectors.dialects import usage_of
from finops.connectors.langfuse import observations
from finops.connectors.litellm import webhook
from finops.connectors.types import Problem
from tests.factories.litellm import payload
from tests.factories.metered import body, event, meters


def generation(usage: dict[str, Any], *, attributes: Any = None, inclusive: bool = False) -> dict[str, int]:
    said = {
        "id": "obs-1", "type": "GENERATION", "startTime": "2026-11-20T10:15:00Z", "providedModelName": "a-model",
        "usageDetails": usage, "metadata": {"attributes": attributes},
    }  # fmt: skip
    (row,) = observations.cut(body({"data": [said], "meta": {}}), inclusive=inclusive).rows
    return meters(event(observations.parse(row)))


def called(usage: dict[str, Any], **changes: Any) -> dict[str, int]:
    (row,) = webhook.cut(body([payload(usage, **changes)])).rows
    return meters(event(webhook.parse(row)))


def of_input(found: dict[str, int]) -> int:
    return sum(found.get(name, 0) for name in ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h"))


# 260,421 was shown for an input of 130,213, of which 130,208 were cached.
OTEL = {"gen_ai.usage.input_tokens": 130213, "gen_ai.usage.cache_read.input_tokens": 130208}
TWICE = {"input": 130213, "input_cached_tokens": 130208, "output": 40, "total": 260461}


def test_an_input_that_opentelemetry_summed_is_not_summed_again_langfuse_12306() -> None:
    assert of_input(generation(TWICE, attributes=OTEL)) == 130213


def test_nor_where_whoever_connects_the_project_says_so_langfuse_12306() -> None:
    assert of_input(generation(TWICE, inclusive=True)) == 130213


def test_nor_where_langfuse_took_it_out_meanwhile_langfuse_12306() -> None:
    mended = {"input": 5, "input_cached_tokens": 130208, "output": 40, "total": 130253}
    assert of_input(generation(mended, attributes=OTEL)) == 130213


def test_openrouter_through_the_openai_wrapper_langfuse_10592() -> None:
    """35,720 was shown for 17,903. The total is OpenRouter's, and tells."""
    found = generation({"input": 17903, "input_cached_tokens": 17817, "output": 100, "total": 18003})
    assert found == {"input_uncached": 86, "cache_read": 17817, "output_text": 100, "requests": 1}


def test_an_input_is_not_doubled_langfuse_9034() -> None:
    found = generation({"input": 1000, "input_cached_tokens": 1000, "output": 10, "total": 1010})
    assert found == {"cache_read": 1000, "output_text": 10, "requests": 1}


def test_what_was_written_is_not_in_the_input_too_litellm_26919() -> None:
    """LiteLLM takes what was read out of the input for Langfuse, and leaves what was written in."""
    found = generation(
        {
            "input": 32445,
            "cache_creation_input_tokens": 32435,
            "cache_read_input_tokens": 66360,
            "output": 503,
            "total": 99308,
        }
    )
    assert found == {
        "input_uncached": 10, "cache_write_5m": 32435, "cache_read": 66360, "output_text": 503, "requests": 1,
    }  # fmt: skip


def test_a_sender_that_mends_it_is_read_right_too_dust_20989() -> None:
    """dust-tt/dust PR#20989: 9,844 were told beside 9,842 cached ones; since then 2 are."""
    before = generation({"input": 9844, "cache_read_input_tokens": 9842, "output": 9, "total": 9853})
    since = generation({"input": 2, "cache_read_input_tokens": 9842, "output": 9, "total": 9853})
    assert before == since == {"input_uncached": 2, "cache_read": 9842, "output_text": 9, "requests": 1}


def test_cached_tokens_are_not_uncached_ones_litellm_11364() -> None:
    """All 98,805 were billed at the full rate; 10 are uncached."""
    usage = {"prompt_tokens": 98805, "completion_tokens": 1, "total_tokens": 98806,
             "cache_read_input_tokens": 66360, "cache_creation_input_tokens": 32435}  # fmt: skip
    assert called(usage) == {
        "input_uncached": 10, "cache_read": 66360, "cache_write_5m": 32435, "output_text": 1, "requests": 1,
    }  # fmt: skip


@pytest.mark.parametrize("provider", ["bedrock", "vertex_ai"])
def test_claudes_cached_tokens_elsewhere_are_not_free_litellm_29145_and_11935(provider: str) -> None:
    """litellm#29145, #11935: booked with nothing on Bedrock and on Vertex. The cost LiteLLM states is not ours."""
    usage = {"prompt_tokens": 12012, "completion_tokens": 1, "total_tokens": 12013,
             "prompt_tokens_details": {"cached_tokens": 9000, "cache_write_tokens": 3000}}  # fmt: skip
    found = called(usage, custom_llm_provider=provider, response_cost=0.0, cost_breakdown=None)
    assert found == {
        "input_uncached": 12, "cache_read": 9000, "cache_write_5m": 3000, "output_text": 1, "requests": 1,
    }  # fmt: skip


def test_the_same_tokens_under_two_names_are_the_same_tokens_litellm_40006() -> None:
    usage = {"prompt_tokens": 12012, "completion_tokens": 1, "total_tokens": 12013,
             "prompt_tokens_details": {"cached_tokens": 9000, "cache_creation_tokens": 3000},
             "cache_read_input_tokens": 9000, "cache_creation_input_tokens": 3000}  # fmt: skip
    assert called(usage)["input_uncached"] == 12


def test_openais_cache_writes_are_not_dropped_litellm_33772() -> None:
    usage = {"prompt_tokens": 1200, "completion_tokens": 1, "total_tokens": 1201,
             "prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 100}}  # fmt: skip
    assert called(usage) == {
        "input_uncached": 76, "cache_read": 1024, "cache_write_5m": 100, "output_text": 1, "requests": 1,
    }  # fmt: skip


def test_geminis_cached_tokens_are_not_doubled_litellm_14849() -> None:
    usage = {"prompt_tokens": 250000, "completion_tokens": 400, "total_tokens": 250400,
             "cache_read_input_tokens": 240000,
             "prompt_tokens_details": {"cached_tokens": 240000, "text_tokens": 10000},
             "completion_tokens_details": {"reasoning_tokens": 128}}  # fmt: skip
    assert called(usage) == {
        "input_uncached": 10000, "cache_read": 240000, "output_text": 272, "output_reasoning": 128, "requests": 1,
    }  # fmt: skip


def test_langchain_makes_claudes_input_inclusive_posthog_39901() -> None:
    """PostHog took it for disjoint. Totals with their parts, and Claude's own words, are the same call."""
    inclusive = usage_of(
        {
            "prompt_tokens": 12012,
            "completion_tokens": 5,
            "total_tokens": 12017,
            "cache_read_input_tokens": 9000,
            "cache_creation_input_tokens": 3000,
        }
    )
    disjoint = usage_of(
        {"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": 9000, "cache_creation_input_tokens": 3000}
    )
    assert inclusive == disjoint


def test_the_uncached_input_is_not_free_langsmith_sdk_2519() -> None:
    """The opposite error: what was cached was taken out of an input that held none of it, and nothing was left."""
    found = usage_of({"input_tokens": 1000, "output_tokens": 5, "cache_read_input_tokens": 9000})
    assert found == {"input_uncached": 1000, "cache_read": 9000, "output_text": 5, "requests": 1}
    told = generation({"input": 1000, "input_cached_tokens": 9000, "output": 5, "total": 10005})
    assert told["input_uncached"] == 1000


def test_thoughts_are_not_counted_twice_litellm_18599() -> None:
    inside = {"prompt_tokens": 10, "completion_tokens": 300, "total_tokens": 310,
              "completion_tokens_details": {"reasoning_tokens": 128}}  # fmt: skip
    beside = {"prompt_tokens": 10, "completion_tokens": 172, "total_tokens": 310,
              "completion_tokens_details": {"reasoning_tokens": 128}}  # fmt: skip
    assert called(inside) == called(beside)
    assert generation({"input": 10, "output": 300, "output_reasoning_tokens": 128, "total": 310}) == called(inside)
    assert generation({"input": 10, "output": 172, "output_reasoning_tokens": 128, "total": 310}) == called(inside)


def test_more_cached_than_there_was_is_held_and_never_a_negative_count() -> None:
    """headroom PR#2757: a wrong convention made a negative cost, which was booked as nothing."""
    found = usage_of({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17, "cache_read_input_tokens": 9000})
    assert isinstance(found, Problem)
    assert found.code == "connectors.subset_exceeds_total"
