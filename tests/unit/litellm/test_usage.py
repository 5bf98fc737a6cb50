"""What providers and LiteLLM say of usage, as our disjoint meters: the plug-in's words read by our own reader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_litellm.usage import Seen, estimate, plus, usage_of
from finops.connectors.capstan.usage import counts_of
from finops.connectors.types import Problem
from finops.core.tokens import METERS


def meters(said: Any) -> dict[str, int]:
    usage = usage_of(said)
    assert usage is not None
    counts = counts_of(usage)
    assert not isinstance(counts, Problem), counts
    return {name: count for name, count in zip(METERS, counts, strict=True) if count and name != "requests"}


def test_openai_chat_says_totals_and_their_parts() -> None:
    said = {
        "prompt_tokens": 1000,
        "completion_tokens": 300,
        "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 120, "audio_tokens": 30},
    }
    assert meters(said) == {
        "input_uncached": 500,
        "cache_read": 400,
        "input_audio": 100,
        "output_text": 150,
        "output_reasoning": 120,
        "output_audio": 30,
    }


def test_openai_responses() -> None:
    said = {
        "input_tokens": 1000,
        "output_tokens": 300,
        "input_tokens_details": {"cached_tokens": 400},
        "output_tokens_details": {"reasoning_tokens": 120},
    }
    assert meters(said) == {"input_uncached": 600, "cache_read": 400, "output_text": 180, "output_reasoning": 120}


def test_anthropic_leaves_the_cached_tokens_out_of_its_input() -> None:
    said = {
        "input_tokens": 100,
        "cache_read_input_tokens": 4000,
        "cache_creation_input_tokens": 700,
        "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 50,
        "server_tool_use": {"web_search_requests": 2},
    }
    assert meters(said) == {
        "input_uncached": 100,
        "cache_read": 4000,
        "cache_write_5m": 500,
        "cache_write_1h": 200,
        "output_text": 50,
        "web_searches": 2,
    }


def test_anthropic_as_litellm_translates_it_counts_nothing_twice() -> None:
    said = {
        "prompt_tokens": 4800,
        "completion_tokens": 50,
        "cache_read_input_tokens": 4000,
        "cache_creation_input_tokens": 700,
        "prompt_tokens_details": {
            "cached_tokens": 4000,
            "cache_write_tokens": 700,
            "cache_creation_tokens": 700,
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
        },
    }
    assert meters(said) == {
        "input_uncached": 100,
        "cache_read": 4000,
        "cache_write_5m": 500,
        "cache_write_1h": 200,
        "output_text": 50,
    }


@pytest.mark.parametrize("nothing", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0}, {"total_tokens": 7}])
def test_where_nothing_is_said_there_is_no_usage(nothing: Any) -> None:
    assert usage_of(nothing) is None


count = st.integers(0, 10**7)
details = st.dictionaries(
    st.sampled_from(["cached_tokens", "audio_tokens", "cache_write_tokens", "reasoning_tokens", "image_tokens"]), count
)
chat = st.fixed_dictionaries(
    {"prompt_tokens": count, "completion_tokens": count},
    optional={
        "prompt_tokens_details": details,
        "completion_tokens_details": details,
        "cache_read_input_tokens": count,
        "cache_creation_input_tokens": count,
    },
)


@given(chat)
def test_a_contradiction_is_never_sent_and_nothing_is_left_out(said: dict[str, Any]) -> None:
    """Capstan refuses parts that exceed their total, and a refused settlement would be a lost one."""
    usage = usage_of(said)
    if usage is None:
        return
    counts = counts_of(usage)
    assert not isinstance(counts, Problem)
    of = dict(zip(METERS, counts, strict=True))
    read = sum(of[name] for name in METERS if name.startswith(("input", "cache")))
    assert read >= said["prompt_tokens"]
    assert of["output_text"] + of["output_reasoning"] + of["output_audio"] >= said["completion_tokens"]


def test_tries_are_added_up() -> None:
    one = usage_of({"prompt_tokens": 10, "completion_tokens": 5})
    assert one is not None
    assert plus(one, estimate(input_bytes=9, output_bytes=8)) == {
        "convention": "inclusive",
        "input_tokens": 13,
        "output_tokens": 7,
    }


def test_anthropics_frames_may_be_cut_anywhere() -> None:
    frames = (
        b'event: message_start\ndata: {"type": "message_start", "message": {"model": "claude", "usage":'
        b' {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1}}}\n\n'
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"text": "hello there"}}\n\n'
        b'event: message_delta\ndata: {"type": "message_delta", "usage": {"output_tokens": 25}}\n\n'
    )
    for size in (1, 7, 50, len(frames)):
        seen = Seen()
        for start in range(0, len(frames), size):
            seen.take(frames[start : start + size])
        assert (seen.model, seen.bytes) == ("claude", len("hello there"))
        usage = seen.usage(ended=True)
        assert usage is not None
        assert (usage["input_tokens"], usage["cache_read_tokens"], usage["output_tokens"]) == (14, 4, 25)


def test_a_stream_that_broke_off_has_read_what_it_said_and_written_what_was_seen() -> None:
    seen = Seen()
    seen.take(b'data: {"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}\n')
    seen.take(b'data: {"type": "content_block_delta", "delta": {"text": "' + b"x" * 40 + b'"}}\n')
    assert seen.usage(ended=False) is None
    assert seen.partial(input_bytes=4000) == {"convention": "inclusive", "input_tokens": 10, "output_tokens": 10}
