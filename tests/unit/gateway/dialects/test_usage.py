"""What providers say a call used, as our meters; and what went wrong elsewhere, by the issue it was reported in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.anthropic.usage import messages_usage, tier_of
from finops.connectors.openai.usage import chat_usage, images_usage, responses_usage, transcription_usage
from finops.connectors.types import Problem
from finops.core.tokens import INPUT_METERS, METER_INDEX, OUTPUT_METERS
from routing.gateway.dialects.types import Answered
from tests.unit.gateway.dialects.wire import (
    CHAT,
    MESSAGES,
    OPENAI_METERS,
    OPENAI_USAGE,
    RESPONSES,
    RESPONSES_USAGE,
    chat,
    chat_stream,
    chunk,
    delta,
    event,
    heard,
    message_stream,
    messages,
    response_stream,
    responses,
)

COUNTS = st.integers(0, 10**6)
# Nothing, and what is no count.
ODD: st.SearchStrategy[Any] = st.sampled_from([None, -1, 1.5, True, "7", [], {}, 10**13, float("inf")])


def told(usage: Any) -> tuple[Answered, Answered, Answered]:
    """The same usage in the answers of a chat, of a response and of a message."""
    readers = (
        CHAT.answered(chat(), stream=False), RESPONSES.answered(responses(), stream=False),
        MESSAGES.answered(messages(), stream=False),
    )  # fmt: skip
    for reader in readers:
        heard(reader, [json.dumps({"id": "x", "model": "m", "usage": usage}).encode()])
    return readers


def total(usage: Any, names: tuple[str, ...]) -> int:
    return sum(usage.get(name, 0) for name in names)


def test_a_chats_input_includes_what_was_cached_and_its_output_what_was_thought() -> None:
    assert chat_usage(OPENAI_USAGE) == OPENAI_METERS
    assert responses_usage(RESPONSES_USAGE) == OPENAI_METERS


def test_a_messages_input_does_not() -> None:
    usage = {
        "input_tokens": 12, "cache_creation_input_tokens": 3000, "cache_read_input_tokens": 9000, "output_tokens": 503,
        "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
        "output_tokens_details": {"thinking_tokens": 120},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 4},
    }  # fmt: skip
    assert messages_usage(usage) == {
        "input_uncached": 12, "cache_read": 9000, "cache_write_5m": 1000, "cache_write_1h": 2000,
        "output_text": 383, "output_reasoning": 120, "web_searches": 1, "requests": 1,
    }  # fmt: skip


def test_litellm_37992_usage_of_zero_is_usage() -> None:
    for reader in told({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 0, "output_tokens": 0}):
        assert (reader.usage, reader.problem) == ({"requests": 1}, "")
    reader = MESSAGES.answered(messages(stream=True), stream=True)
    heard(reader, message_stream(begins={"input_tokens": 0, "output_tokens": 0}, ends={"output_tokens": 0}))
    assert reader.usage == {"requests": 1}


def test_litellm_14849_what_was_read_from_the_cache_is_counted_once() -> None:
    found = chat_usage({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 90}})
    assert found == {"input_uncached": 10, "cache_read": 90, "output_text": 1, "requests": 1}


def test_litellm_40006_anthropics_cached_input_is_not_taken_out_of_an_input_that_leaves_it_out() -> None:
    found = messages_usage({"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1})
    assert found == {"input_uncached": 10, "cache_read": 90, "output_text": 1, "requests": 1}


def test_litellm_11789_and_bifrost_3451_totals_of_a_stream_replace_and_are_never_added() -> None:
    begins = {
        "input_tokens": 5, "cache_creation_input_tokens": 800, "cache_read_input_tokens": 200, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 500},
    }  # fmt: skip
    ends = {
        "input_tokens": 5, "cache_creation_input_tokens": 800, "cache_read_input_tokens": 200, "output_tokens": 60,
    }  # fmt: skip
    reader = MESSAGES.answered(messages(stream=True), stream=True)
    heard(reader, message_stream(begins=begins, ends=ends))
    assert reader.usage == {
        "input_uncached": 5, "cache_read": 200, "cache_write_5m": 300, "cache_write_1h": 500, "output_text": 60,
        "requests": 1,
    }  # fmt: skip


def test_a_stream_that_says_its_output_only_when_it_begins_says_none() -> None:
    begins = {"input_tokens": 5, "cache_read_input_tokens": 200, "output_tokens": 1}
    for ends in ({}, {"output_tokens": None}):
        reader = MESSAGES.answered(messages(stream=True), stream=True)
        heard(reader, message_stream(begins=begins, ends=ends))
        assert (reader.usage, reader.complete) == ({"input_uncached": 5, "cache_read": 200, "requests": 1}, True)
        assert (reader.output_bytes, reader.problem) == (5, "the stream says no output")


def test_litellm_33772_what_openai_wrote_to_its_cache_is_counted() -> None:
    inside = {"cached_tokens": 10, "cache_write_tokens": 70}
    expected = {"input_uncached": 20, "cache_read": 10, "cache_write_5m": 70, "output_text": 1, "requests": 1}
    assert chat_usage({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": inside}) == expected
    assert responses_usage({"input_tokens": 100, "output_tokens": 1, "input_tokens_details": inside}) == expected


def test_litellm_18599_what_was_thought_is_in_the_output_once() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 100, "total_tokens": 101}
    found = chat_usage(usage | {"completion_tokens_details": {"reasoning_tokens": 90}})
    assert found == {"input_uncached": 1, "output_text": 10, "output_reasoning": 90, "requests": 1}


def test_a_host_whose_output_leaves_out_what_was_thought_is_known_by_its_sum() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 10, "total_tokens": 101}
    found = chat_usage(usage | {"completion_tokens_details": {"reasoning_tokens": 90}})
    assert found == {"input_uncached": 1, "output_text": 10, "output_reasoning": 90, "requests": 1}


def test_litellm_6633_usage_of_a_stream_is_read_whether_or_not_the_client_asked_for_it() -> None:
    for options in ({}, {"stream_options": {"include_usage": True}}, {"stream_options": {"include_usage": False}}):
        reader = CHAT.answered(chat(stream=True, **options), stream=True)
        seen = heard(reader, chat_stream())
        assert reader.usage == OPENAI_METERS
        assert (b"prompt_tokens" in seen) is (options == {"stream_options": {"include_usage": True}})


def test_litellm_31837_and_37046_the_answer_says_which_tier_served() -> None:
    reader = CHAT.answered(chat(service_tier="priority"), stream=False)
    heard(reader, [json.dumps({"service_tier": "default", "usage": OPENAI_USAGE}).encode()])
    assert reader.service_tier == "default"
    reader = RESPONSES.answered(responses(stream=True), stream=True)
    heard(reader, response_stream())
    assert reader.service_tier == "default"


def test_deepseeks_words_for_what_was_cached() -> None:
    found = chat_usage({"prompt_tokens": 100, "completion_tokens": 1, "prompt_cache_hit_tokens": 60})
    assert found == {"input_uncached": 40, "cache_read": 60, "output_text": 1, "requests": 1}


def test_usage_told_with_every_chunk_is_a_total_and_the_last_one_holds() -> None:
    reader = CHAT.answered(chat(stream=True), stream=True)
    chunks = [chunk("a", usage={"prompt_tokens": 5, "completion_tokens": count}) for count in (1, 2, 3)]
    assert heard(reader, [*chunks, event("[DONE]")]) == b"".join([*chunks, event("[DONE]")])
    assert reader.usage == {"input_uncached": 5, "output_text": 3, "requests": 1}


def test_a_message_that_broke_off_says_what_it_read() -> None:
    reader = MESSAGES.answered(messages(stream=True), stream=True)
    begun = message_stream(begins={"input_tokens": 700, "output_tokens": 1}, ends={})[:3]
    heard(reader, [*begun, delta("more")[:20]])
    assert reader.usage == {"input_uncached": 700, "output_text": 1, "requests": 1}
    assert (reader.complete, reader.problem, reader.output_bytes > 0) == (False, "the stream broke off", True)


def test_a_chat_that_broke_off_says_nothing_but_how_much_text_came() -> None:
    reader = CHAT.answered(chat(stream=True), stream=True)
    heard(reader, chat_stream(["four", "fives"])[:2])
    assert (reader.usage, reader.complete, reader.output_bytes) == (None, False, 9)
    assert (reader.model, reader.request_id) == ("gpt-5-mini-2026", "chatcmpl-1")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 1, "input_tokens": -1}, {}, "many", 5, [1],
        {"prompt_tokens": 5.5, "input_tokens": 5.5}, {"prompt_tokens": True, "input_tokens": True},
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}, "input_tokens": 5,
         "input_tokens_details": {"cached_tokens": 6}, "cache_creation_input_tokens": 1,
         "cache_creation": {"ephemeral_1h_input_tokens": 2}},
        {"prompt_tokens": 5, "prompt_tokens_details": 7, "input_tokens": 5, "input_tokens_details": 7,
         "cache_creation": 7},
    ],
)  # fmt: skip
def test_usage_that_cannot_be_is_none_and_its_problem_is_said(usage: Any) -> None:
    for reader in told(usage):
        assert reader.usage is None
        assert reader.problem


def test_what_a_stream_says_wrongly_at_last_takes_back_what_it_said_before() -> None:
    reader = MESSAGES.answered(messages(stream=True), stream=True)
    heard(reader, message_stream(begins={"input_tokens": 5, "output_tokens": 1}, ends={"output_tokens": -3}))
    assert reader.usage is None
    assert "output_tokens" in reader.problem


def test_searches_are_counted_by_what_was_put_out() -> None:
    output = [
        {"type": "web_search_call", "action": {"type": "search"}}, {"type": "web_search_call"}, "odd",
        {"type": "web_search_call", "action": {"type": "open_page"}}, {"type": "file_search_call"}, {"type": "message"},
    ]  # fmt: skip
    found = responses_usage({"input_tokens": 1, "output_tokens": 1}, output=output)
    assert found == {"input_uncached": 1, "output_text": 1, "web_searches": 2, "tool_calls": 1, "requests": 1}


def test_a_context_that_was_compacted_is_paid_for_beside_the_message() -> None:
    parts = [{"type": "compaction", "input_tokens": 900, "output_tokens": 50}, {"type": "message", "input_tokens": 20}]
    found = messages_usage({"input_tokens": 20, "output_tokens": 5, "iterations": parts})
    assert found == {"input_uncached": 920, "output_text": 55, "requests": 1}


def test_an_answer_of_a_model_that_took_over_is_counted_once() -> None:
    served = {"input_tokens": 20, "output_tokens": 5}
    parts = [{"type": "message", "input_tokens": 20, "output_tokens": 1}, served | {"type": "fallback_message"}]
    assert messages_usage(served | {"iterations": parts}) == {"input_uncached": 20, "output_text": 5, "requests": 1}


def test_pictures_and_sound_have_meters_of_their_own() -> None:
    drawn = images_usage({"input_tokens": 50, "input_tokens_details": {"image_tokens": 40}, "output_tokens": 4160})
    assert drawn == {"input_uncached": 10, "input_image": 40, "output_image": 4160, "requests": 1}
    heard_ = transcription_usage(
        {"type": "tokens", "input_tokens": 20, "input_token_details": {"audio_tokens": 15}, "output_tokens": 4}
    )
    assert heard_ == {"input_uncached": 5, "input_audio": 15, "output_text": 4, "requests": 1}
    assert isinstance(transcription_usage({"type": "duration", "seconds": 9}), Problem)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({}, ""), ({"service_tier": "standard"}, "standard"), ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "standard", "speed": "fast"}, "fast"), ({"speed": "standard"}, ""),
        ({"service_tier": "standard", "geo": "global"}, "standard"), ({"geo": "not_available"}, ""),
        ({"service_tier": "standard", "geo": "us"}, "inference_geo:us"),
    ],
)  # fmt: skip
def test_speed_and_place_are_tiers_as_the_price_book_names_them(said: dict[str, str], tier: str) -> None:
    assert tier_of(**{"service_tier": None, "speed": None, "geo": None} | said) == tier


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_meters_are_disjoint_and_their_sums_are_the_providers_totals(
    fresh: int, read: int, out: int, thought: int
) -> None:
    found = chat_usage(
        {
            "prompt_tokens": fresh + read,
            "completion_tokens": out + thought,
            "prompt_tokens_details": {"cached_tokens": read},
            "completion_tokens_details": {"reasoning_tokens": thought},
        }
    )
    assert total(found, INPUT_METERS) == fresh + read
    assert total(found, OUTPUT_METERS) == out + thought
    found = messages_usage({"input_tokens": fresh, "cache_read_input_tokens": read, "output_tokens": out})
    assert total(found, INPUT_METERS) == fresh + read


@given(
    st.dictionaries(
        st.sampled_from([*OPENAI_USAGE, *RESPONSES_USAGE, "cache_creation", "iterations", "server_tool_use"]),
        COUNTS
        | ODD
        | st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens"]), COUNTS | ODD),
    )
)
def test_whatever_a_provider_says_is_meters_or_a_problem(said: dict[str, Any]) -> None:
    for read in (chat_usage, responses_usage, messages_usage, images_usage, transcription_usage):
        found = read(said)
        if not isinstance(found, Problem):
            assert set(found) <= set(METER_INDEX)
            assert all(type(count) is int and count > 0 for count in found.values())
            assert found["requests"] == 1
