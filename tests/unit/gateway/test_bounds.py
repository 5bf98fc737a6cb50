"""The most a call can use, by what is said of it; and what nothing bounds is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.budgets.rules.worst import PER_CALL, Unbounded
from routing.gateway.bounds import USUAL_OUTPUT, bounds_of, likely_read, output_wanted
from routing.gateway.requests import Authorize

WINDOW = 128_000


def request(**given: Any) -> Authorize:
    usual: dict[str, Any] = {"id": "call-1", "model": "gpt", "input": {"tokens": 1_000}, "max_output_tokens": 100}
    return msgspec.convert(usual | given, Authorize)


def test_what_is_vouched_for_is_taken_as_it_is() -> None:
    found = bounds_of(request(), None)
    assert (found.input_text, found.output_text, found.requests) == (1_000, 100, 1)


def test_bytes_bound_tokens_with_what_surrounds_them() -> None:
    found = bounds_of(request(input={"bytes": 500, "messages": 2}), None)
    assert found.input_text > 500 + PER_CALL


def test_choices_are_each_a_whole_answer() -> None:
    found = bounds_of(request(choices=3), None)
    assert (found.input_text, found.output_text) == (3_000, 300)


@pytest.mark.parametrize("kind", ["previous_response_id", "conversation", "file_id", "url", "other"])
def test_input_that_is_not_in_the_call_is_bounded_by_the_window_or_refused(kind: str) -> None:
    assert bounds_of(request(server_input=[kind]), WINDOW).input_text == WINDOW
    with pytest.raises(Unbounded) as refused:
        bounds_of(request(server_input=[kind]), None)
    assert refused.value.field == "server_input"


def test_a_tool_of_the_providers_reads_the_window_anew_each_time() -> None:
    tools = [{"type": "web_search_20250305", "max_uses": 2}, {"type": "file_search", "max_uses": 1}]
    found = bounds_of(request(hosted_tools=tools), WINDOW)
    assert found.input_text == 4 * WINDOW
    assert (found.output_text, found.web_searches, found.tool_calls, found.requests) == (400, 2, 1, 4)


def test_a_tool_without_a_maximum_is_refused_by_name() -> None:
    with pytest.raises(Unbounded) as refused:
        bounds_of(request(hosted_tools=[{"type": "web_search", "max_uses": 1}, {"type": "file_search"}]), WINDOW)
    assert refused.value.field == "hosted_tools[1]"


@pytest.mark.parametrize("kind", ["code_interpreter", "image_generation", "shell", "mcp", "tool_of_tomorrow"])
def test_a_tool_whose_uses_cost_nobody_knows_what_is_refused_however_few_they_are(kind: str) -> None:
    with pytest.raises(Unbounded, match=kind):
        bounds_of(request(hosted_tools=[{"type": kind, "max_uses": 1}]), WINDOW)


def test_a_tool_that_costs_only_what_it_reads_has_no_fee() -> None:
    found = bounds_of(request(hosted_tools=[{"type": "web_fetch", "max_uses": 3}]), WINDOW)
    assert (found.input_text, found.web_searches, found.tool_calls) == (4 * WINDOW, 0, 0)


def test_an_answer_nobody_bounded_gets_a_bound() -> None:
    asked = request(max_output_tokens=None)
    assert output_wanted(asked, None) == output_wanted(asked, WINDOW) == USUAL_OUTPUT
    assert output_wanted(request(max_output_tokens=0), 4_096) == 0
    # It says what it reads, and no model takes more than its window or its largest answer.
    assert output_wanted(asked, 4_096) == 3_096
    assert output_wanted(asked, WINDOW, 4_096) == bounds_of(asked, WINDOW, 4_096).output_text == 4_096
    assert output_wanted(request(max_output_tokens=9_000), WINDOW, 4_096) == 9_000


@pytest.mark.parametrize(("size", "left"), [(0, 8_192 - 80), (6_000, 6_112), (24_000, 512), (10**6, 512)])
def test_a_prompt_and_its_answer_share_the_window(size: int, left: int) -> None:
    asked = request(max_output_tokens=None, input={"bytes": size, "messages": 1})
    assert output_wanted(asked, 8_192) == left


def test_a_long_prompt_leaves_as_much_as_a_short_one_where_there_is_room() -> None:
    asked = request(max_output_tokens=None, input={"bytes": 300_000, "messages": 20})
    assert output_wanted(asked, WINDOW) == USUAL_OUTPUT


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 50))
def test_what_is_guessed_of_a_call_is_never_more_than_what_was_held(
    size: int, image: int, audio: int, messages: int
) -> None:
    asked = request(input={"bytes": size, "image_tokens": image, "audio_tokens": audio, "messages": messages})
    guessed, held = likely_read(asked.input), bounds_of(asked, None)
    assert guessed.get("input_uncached", 0) == -(-size // 3) <= held.input_text
    assert (guessed.get("input_image", 0), guessed.get("input_audio", 0)) == (held.input_image, held.input_audio)


@given(
    st.integers(0, 10**6), st.integers(0, 10**5), st.integers(1, 8), st.integers(0, 3), st.booleans(),
    st.integers(0, 1_000),
)  # fmt: skip
def test_more_of_anything_is_never_bounded_by_less(
    tokens: int, output: int, choices: int, uses: int, stored: bool, more: int
) -> None:
    def bounds(extra: int) -> tuple[int, int]:
        tools = [{"type": "web_search", "max_uses": uses}] if uses else []
        found = bounds_of(
            request(
                input={"tokens": tokens + extra}, max_output_tokens=output + extra, choices=choices,
                server_input=["url"] if stored else [], hosted_tools=tools,
            ),
            WINDOW,
        )  # fmt: skip
        return found.input_text, found.output_text

    assert bounds(0) <= bounds(more)
    assert bounds(0)[0] >= tokens
