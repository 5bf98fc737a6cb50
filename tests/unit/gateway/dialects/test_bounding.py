"""What bounds a call: what stands in it, what stands elsewhere, and what its provider does on its own account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from finops.budgets.rules.worst import Unbounded
from routing.gateway.bounds import bounds_of
from routing.gateway.dialects.inputs import ANTHROPIC_IMAGE, OPENAI_IMAGE
from routing.gateway.dialects.openai_responses import USUAL_CALLS
from routing.gateway.dialects.types import ModelCall
from routing.gateway.requests import Authorize, FieldInvalid, HostedTool
from tests.unit.gateway.dialects.wire import (
    CHAT,
    COMPLETIONS,
    IMAGES,
    RESPONSES,
    body,
    chat,
    messages,
    responses,
    written,
)

DATA = "A" * 40_000
# An s to servers that fold case as Unicode does.
LONG_S: dict[str, Any] = {"max_new_token\u017f": 9}
PICTURE = "data:image/png;base64," + DATA


def user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def items(*parts: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": list(parts)}]}


def authorized(call: ModelCall) -> Authorize:
    """As a door would ask."""
    asked = {
        "id": "call-1", "model": call.model, "service_tier": call.service_tier, "input": call.input,
        "max_output_tokens": call.max_output_tokens, "least_output_tokens": call.least_output_tokens,
        "choices": call.choices, "server_input": call.server_input, "hosted_tools": call.hosted_tools,
        "fingerprint": call.fingerprint,
    }  # fmt: skip
    return msgspec.json.decode(msgspec.json.encode(asked), type=Authorize)


@pytest.mark.parametrize(
    ("call", "tokens"),
    [
        (chat(**user({"type": "image_url", "image_url": {"url": PICTURE}})), OPENAI_IMAGE),
        (chat(**user({"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}})), OPENAI_IMAGE),
        (responses(**items({"type": "input_image", "image_url": PICTURE, "detail": "original"})), OPENAI_IMAGE),
        (messages(**user({"type": "image", "source": {"type": "base64", "data": DATA}})), ANTHROPIC_IMAGE),
        (
            messages(
                **user(
                    {"type": "tool_result", "content": [{"type": "image", "source": {"type": "base64", "data": DATA}}]}
                )
            ),
            ANTHROPIC_IMAGE,
        ),
        (
            responses(
                input=[
                    {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": PICTURE}}
                ]
            ),
            OPENAI_IMAGE,
        ),
        (responses(input=[{"type": "image_generation_call", "result": DATA}]), OPENAI_IMAGE),
    ],
)
def test_a_picture_that_came_along_is_bounded_as_a_picture(call: ModelCall, tokens: int) -> None:
    assert call.input.image_tokens == tokens
    assert call.input.bytes < 1_000
    assert call.server_input == ()
    assert "image" in call.modalities


def test_a_picture_elsewhere_is_scaled_like_any_other() -> None:
    for call in (
        chat(**user({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})),
        responses(**items({"type": "input_image", "file_id": "file-1"})),
        messages(**user({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})),
    ):
        assert call.input.image_tokens > 0
        assert call.server_input == ()


def test_sound_that_came_along_is_bounded_by_its_length() -> None:
    call = chat(**user({"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}))
    assert call.input.audio_tokens == len(DATA) // 32 + 1
    assert call.input.bytes < 1_000
    assert call.modalities == {"text", "audio"}


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (chat(**user({"type": "file", "file": {"file_id": "file-1"}})), "file_id"),
        (chat(**user({"type": "file", "file": {"file_data": "data:application/pdf;base64," + DATA}})), "other"),
        (chat(**user({"type": "video_url", "video_url": {"url": "https://example.com"}})), "other"),
        (chat(messages=[{"role": "assistant", "audio": {"id": "audio_1"}}]), "other"),
        (responses(**items({"type": "input_file", "file_url": "https://example.com/a.pdf"})), "url"),
        (responses(**items({"type": "input_file", "file_id": "file-1"})), "file_id"),
        (chat(data_sources=[{"type": "azure_search"}]), "other"),
        (chat(chat_template="{% for n in range(9999) %}{{ messages }}{% endfor %}"), "other"),
        (chat(chat_template_kwargs={"language": "en" * 90}), "other"), (chat(Chat_Template="x"), "other"),
        (chat(chat_template_kwargs=["odd"]), "other"), (chat(mm_processor_kwargs={"max_pixels": 10**9}), "other"),
        (COMPLETIONS.read(body(model="m", prompt="a", max_tokens=1, data_sources=[{}])), "other"),
        (IMAGES.read(body(model="gpt-image-1", prompt="a", data_sources=[{}])), "other"),
        (responses(previous_response_id="resp_0"), "previous_response_id"),
        (responses(conversation="conv_1"), "conversation"),
        (responses(input=[{"type": "item_reference", "id": "rs_1"}]), "previous_response_id"),
        (responses(input=[{"type": "compaction", "encrypted_content": "x"}]), "other"),
        (responses(input=[{"type": "something_new"}]), "other"),
        (messages(**user({"type": "document", "source": {"type": "base64", "data": DATA}})), "other"),
        (messages(**user({"type": "document", "source": {"type": "url", "url": "https://example.com"}})), "url"),
        (messages(**user({"type": "document", "source": {"type": "file", "file_id": "file_1"}})), "file_id"),
        (messages(**user({"type": "container_upload", "file_id": "file_1"})), "file_id"),
        (messages(**user({"type": "something_new"})), "other"),
        (messages(**user({"type": ["odd"]})), "other"),
        (messages(container="container_1"), "other"),
    ],
)  # fmt: skip
def test_what_is_read_and_is_not_in_the_call_is_bounded_by_the_window(call: ModelCall, what: str) -> None:
    assert call.server_input == (what,)
    assert bounds_of(authorized(call), 100_000).input_text == 100_000
    with pytest.raises(Unbounded):
        bounds_of(authorized(call), None)


@pytest.mark.parametrize(
    ("said", "follows"),
    [
        ({}, ""),
        ({"previous_response_id": "resp_1"}, "resp_1"),
        ({"conversation": "conv_1"}, "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "conv_1"),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "resp_1"),
        ({"previous_response_id": None, "conversation": {"id": ["odd"]}}, ""),
        ({"previous_response_id": 7}, ""),
    ],
)
def test_what_a_response_goes_on_from_is_known_by_its_id(said: dict[str, Any], follows: str) -> None:
    assert responses(**said).follows == follows


def test_switches_of_a_template_make_a_prompt_no_longer() -> None:
    call = chat(chat_template_kwargs={"enable_thinking": False, "thinking": None}, chat_template=None)
    assert (call.server_input, call.hosted_tools) == ((), ())


def test_documents_that_are_text_are_bounded_by_their_bytes() -> None:
    text = {"type": "document", "source": {"type": "text", "data": "x" * 5_000}}
    nested = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "y" * 5_000}]}}
    call = messages(**user(text, nested, {"type": "search_result", "content": [{"type": "text", "text": "z"}]}))
    assert (call.server_input, call.input.bytes > 10_000) == ((), True)


@pytest.mark.parametrize(
    ("call", "tools"),
    [
        (chat(tools=[{"type": "web_search"}]), [("web_search", None)]),
        (chat(web_search_options={}), [("web_search", 1)]),
        (chat(model="gpt-4o-search-preview"), [("web_search", 1)]),
        (chat(model="gpt-4o-mini-search-preview-2025-03-11", web_search_options={}), [("web_search", 1)]),
        (chat(model="gpt-5-search-api"), [("web_search", 1)]), (chat(model="openai/gpt-5:online"), [("web_search", 1)]),
        (chat(model="research-api"), []),
        (responses(tools=[{"type": "web_search"}]), [("web_search", None)]),
        (responses(tools=[{"type": "file_search"}], max_tool_calls=3), [("file_search", 3)]),
        (responses(tools=[{"type": "namespace", "tools": [{"type": "web_search"}]}]), [("web_search", None)]),
        (responses(tools=[{"type": "mcp", "server_url": "https://example.com"}]), [("mcp", None)]),
        (responses(tools=[{"type": "shell", "environment": {"type": "container_auto"}}]), [("shell", None)]),
        (responses(context_management=[{"type": "compaction"}]), [("compaction", 1)]),
        (messages(tools=[{"type": "web_search_20250305", "max_uses": 5}]), [("web_search_20250305", 5)]),
        (messages(tools=[{"type": "web_fetch_20250910", "max_uses": True}]), [("web_fetch_20250910", None)]),
        (messages(tools=[{"type": "code_execution_20250825", "max_uses": 10**9}]), [("code_execution_20250825", None)]),
        (messages(mcp_servers=[{"url": "https://example.com"}]), [("mcp", None)]),
        (messages(context_management={"edits": [{"type": "compact_20260112"}]}), [("compaction", 1)]),
        (messages(context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}), []),
    ],
)  # fmt: skip
def test_tools_that_the_provider_runs_are_named_with_their_most_uses(call: ModelCall, tools: list[Any]) -> None:
    assert [(tool.type, tool.max_uses) for tool in call.hosted_tools] == tools
    if any(most is None for _, most in tools):
        with pytest.raises(Unbounded):
            bounds_of(authorized(call), 100_000)
    else:
        assert bounds_of(authorized(call), 100_000).requests == 1 + sum(most for _, most in tools)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "image_generation"}, {"type": "mcp", "server_url": "https://example.com"},
        {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "64g"}},
        {"type": "shell", "environment": {"type": "container_auto"}},
    ],
)  # fmt: skip
def test_a_container_a_picture_or_another_server_is_bounded_by_no_number_of_calls(tool: dict[str, Any]) -> None:
    with pytest.raises(Unbounded, match=tool["type"]):
        bounds_of(authorized(responses(tools=[tool], max_tool_calls=1)), 100_000)


@pytest.mark.parametrize(
    ("call", "own"),
    [
        (chat(tools=[{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {}}]), 2),
        (chat(functions=[{"name": "f"}]), 1),
        (responses(tools=[{"type": "function", "name": "f"}, {"type": "local_shell"}, {"type": "apply_patch"}]), 3),
        (responses(tools=[{"type": "computer_use_preview"}, {"type": "shell", "environment": {"type": "local"}}]), 2),
        (responses(tools=[{"type": "namespace", "tools": [{"type": "function"}, {"type": "function"}]}]), 2),
        (messages(tools=[{"name": "f", "input_schema": {}}, {"type": "custom", "name": "g"}]), 2),
        (messages(tools=[{"type": "bash_20250124"}, {"type": "text_editor_20250728"}, {"type": "memory_20250818"}]), 3),
        (messages(tools=[{"type": "computer_20251124"}, "odd"]), 2),
    ],
)  # fmt: skip
def test_tools_that_the_caller_runs_are_counted_and_bounded(call: ModelCall, own: int) -> None:
    assert (call.tools, call.input.tools, call.hosted_tools) == (own, own, ())
    bounds_of(authorized(call), None)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (chat(prediction={"type": "content", "content": "x"}), "prediction"),
        (chat(search_parameters={"mode": "on"}), "search_parameters"),
        (chat(provider={"only": ["dear"]}), "provider"), (chat(preset="dear"), "preset"),
        (chat(Provider={"order": ["dear"]}), "Provider"), (chat(**LONG_S), "max_new_token\u017f"),
        (chat(models=["dear"]), "models"), (chat(plugins=[{"id": "web"}]), "plugins"),
        (chat(extra_body={"max_tokens": 9}), "extra_body"), (chat(num_predict=-1), "num_predict"),
        (chat(generationConfig={}), "generationConfig"), (responses(prompt={"id": "pmpt_1"}), "prompt"),
        (messages(fallbacks=[{"model": "dear"}]), "fallbacks"),
    ],
)  # fmt: skip
def test_what_would_cost_more_where_nobody_looks_has_no_bound(call: ModelCall, what: str) -> None:
    assert HostedTool(what, None) in call.hosted_tools
    with pytest.raises(Unbounded):
        bounds_of(authorized(call), 100_000)


@pytest.mark.parametrize("read", [chat, responses, messages])
def test_more_tools_of_the_providers_than_can_be_told_are_refused(read: Callable[..., ModelCall]) -> None:
    with pytest.raises(FieldInvalid):
        read(tools=[{"type": "web_search", "max_uses": 1}] * 21)


def test_more_messages_and_tools_than_are_counted_are_bounded_all_the_same() -> None:
    few = chat(messages=[{}] * 10_000, tools=[{}] * 10_000)
    more = chat(messages=[{}] * 10_001, tools=[{}] * 10_001)
    assert (more.input.messages, more.input.tools) == (10_000, 10_000)
    assert more.input.bytes - few.input.bytes >= 16 + 32


@pytest.mark.parametrize(
    ("call", "tier"),
    [
        (chat(), None), (chat(service_tier="auto"), None), (chat(service_tier="default"), ""),
        (chat(service_tier="Priority"), "priority"), (responses(service_tier="flex"), "flex"),
        (messages(), None), (messages(service_tier="auto"), None), (messages(service_tier="standard_only"), ""),
        (messages(speed="fast"), "fast"), (messages(speed="standard", service_tier="standard_only"), ""),
        (messages(inference_geo="us"), "inference_geo:us"), (messages(inference_geo="global"), None),
        (messages(inference_geo="us", speed="fast"), "inference_geo:us+fast"),
    ],
)  # fmt: skip
def test_what_a_call_may_be_served_as(call: ModelCall, tier: str | None) -> None:
    assert call.service_tier == tier


@pytest.mark.parametrize(
    ("call", "most", "choices"),
    [
        (chat(), None, 1), (chat(max_tokens=7), 7, 1), (chat(max_completion_tokens=8, n=3), 8, 3),
        (chat(max_tokens=7, max_completion_tokens=9), 9, 1), (chat(max_tokens=None), None, 1),
        (responses(max_output_tokens=30), 30, 1), (messages(max_tokens=0), 0, 1),
    ],
)  # fmt: skip
def test_how_much_may_be_answered(call: ModelCall, most: int | None, choices: int) -> None:
    assert (call.max_output_tokens, call.choices) == (most, choices)


def test_tools_of_a_response_that_nothing_bounds_are_bounded_where_a_word_for_it_is_left() -> None:
    search, namespace = {"type": "web_search"}, {"type": "namespace", "tools": [{"type": "file_search"}]}
    for given in ({}, {"max_tool_calls": None}):
        call = RESPONSES.bounded(responses(tools=[search, namespace], **given))
        assert call is not None
        assert [tool.max_uses for tool in call.hosted_tools] == [USUAL_CALLS] * 2
        assert written(RESPONSES, call)["max_tool_calls"] == USUAL_CALLS
        assert call.bounded == f"max_tool_calls={USUAL_CALLS}"
    for other in (
        responses(tools=[search], max_tool_calls=3),
        responses(tools=[search], max_tool_calls=3_000),
        # What it says bounds nothing of this.
        responses(tools=[search], prompt={"id": "pmpt_1"}),
        responses(tools=[{"type": "function", "name": "f"}]),
    ):
        assert RESPONSES.bounded(other) is None
    assert CHAT.bounded(chat(tools=[search])) is None


def test_a_response_has_sixteen_tokens_at_least() -> None:
    assert responses().least_output_tokens == 16
    assert chat().least_output_tokens == 1


def test_less_than_a_budget_of_thinking_is_no_answer() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    assert messages(max_tokens=2_000, thinking=thinking).least_output_tokens == 1_025
    assert messages(max_tokens=2_000, thinking={"type": "adaptive"}).least_output_tokens == 1
    assert messages(max_tokens=0).least_output_tokens == 0


def test_an_answer_in_sound_is_named_as_such() -> None:
    assert chat(modalities=["text", "audio"], audio={"voice": "alloy"}).modalities == {"text", "audio"}
