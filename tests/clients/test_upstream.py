"""The scripted upstream writes what the providers' own clients read: every answer is checked against their models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.running import aider, node, sdks
from tests.fakes.upstream import Plan, Script, Upstream, upstream

PLAN = Plan(
    input_tokens=100,
    cached_tokens=20,
    cache_write_5m=10,
    output_tokens=12,
    reasoning_tokens=2,
    web_searches=1,
    calls_tool=True,
)


@pytest.fixture(scope="module")
def running() -> Iterator[Upstream]:
    with upstream(Script(usual=PLAN, key="sk-the-right-one")) as one:
        yield one


@pytest.fixture(scope="module")
def told(running: Upstream) -> dict[str, Any]:
    return sdks(running.address, "sk-the-right-one")


def test_every_answer_is_one_their_models_know(told: dict[str, Any]) -> None:
    assert {name: said for name, said in told.items() if "error" in str(said)} == {}


@pytest.mark.parametrize("name", ["chat", "chat_tools", "chat_stream_usage", "chat_stream_tools"])
def test_chats_say_the_usage_that_is_billed(told: dict[str, Any], name: str) -> None:
    usage = told[name]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (100, 12, 112)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 20
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 2
    assert told[name]["finish"] == ("tool_calls" if "tools" in name else "stop")


def test_a_stream_that_does_not_ask_hears_no_usage(told: dict[str, Any]) -> None:
    assert (told["chat_stream"]["usage"], told["chat_stream"]["words"]) == (None, 10)


@pytest.mark.parametrize("name", ["response", "response_tools", "response_stream", "response_stream_tools"])
def test_responses_say_the_usage_that_is_billed(told: dict[str, Any], name: str) -> None:
    usage = told[name]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (100, 12)
    assert (usage["input_tokens_details"]["cached_tokens"], usage["output_tokens_details"]["reasoning_tokens"]) == (
        20,
        2,
    )
    assert told[name]["text"].count("word") == (0 if "tools" in name else 10)


@pytest.mark.parametrize("name", ["message", "message_tools", "message_stream", "message_stream_tools"])
def test_messages_say_the_usage_that_is_billed(told: dict[str, Any], name: str) -> None:
    usage = told[name]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (70, 20, 12)
    assert usage["cache_creation"]["ephemeral_5m_input_tokens"] == 10
    assert usage["server_tool_use"]["web_search_requests"] == 1
    assert told[name]["stop"] == ("tool_use" if "tools" in name else "end_turn")


def test_tools_are_called_with_what_can_be_read(told: dict[str, Any]) -> None:
    assert json.loads(told["chat_stream_tools"]["arguments"])["text"].count("word") == 10
    assert told["message_stream_tools"]["inputs"][0]["text"].count("word") == 10
    assert told["message_stream"]["words"] == 10


def test_the_rest_is_read_too(told: dict[str, Any]) -> None:
    assert (told["embedding"]["vectors"], told["count"]) == ([8, 8], 100)
    assert told["openai_models"] == told["anthropic_models"] == ["gpt", "gpt-mini", "claude", "embed"]


def test_each_answer_is_a_line_of_the_bill(running: Upstream, told: dict[str, Any]) -> None:
    billed = [line.answer_id for line in running.bill.lines]
    assert billed == [said["id"] if "id" in said else billed[9] for name, said in told.items() if _billed(name)]


def _billed(name: str) -> bool:
    return name != "count" and "models" not in name


def test_errors_are_theirs() -> None:
    theirs = {
        "chat": (429, "RateLimitError"),
        "chat_tools": (408, "APIStatusError"),
        "chat_stream": (500, "InternalServerError"),
        "response_stream": (503, "InternalServerError"),
        "message": (429, "RateLimitError"),
        "message_tools": (408, "RequestTimeoutError"),
        "message_stream": (500, "InternalServerError"),
        "message_stream_tools": (529, "OverloadedError"),
    }
    with upstream() as one:
        one.then(*(Plan(status=status, headers={"retry-after": "1"}) for status, _ in theirs.values()))
        told = sdks(one.address, "sk-any", *theirs)
    assert {name: (said["status"], said["error"]) for name, said in told.items()} == theirs
    assert one.bill.lines == []


def test_a_wrong_key_is_refused(running: Upstream) -> None:
    told = sdks(running.address, "sk-wrong", "chat", "message", "anthropic_models")
    assert {said["error"] for said in told.values()} == {"AuthenticationError"}


def test_nodes_client_reads_it_too(running: Upstream) -> None:
    told = node(running.address, "sk-the-right-one")
    assert {name: said for name, said in told.items() if "error" in said} == {}
    assert told["chat_stream"]["usage"] is None
    assert told["chat_stream_usage"]["usage"]["completion_tokens"] == 12
    assert json.loads(told["chat_stream_tools"]["call"]["arguments"])["text"].count("word") == 10
    assert told["response_stream"]["usage"]["output_tokens"] == 12
    assert told["embedding"]["vectors"] == [8, 8]


@pytest.mark.soak
@pytest.mark.parametrize("model", ["openai/gpt", "anthropic/claude"])
def test_aider_reads_it_too(model: str, tmp_path: Path) -> None:
    with upstream(Script(key="sk-the-right-one")) as one:
        ended = aider(one.address, "sk-the-right-one", model, "say hello", tmp_path)
    assert (ended.status, ended.output.count("word0")) == (0, 6), ended.output
    assert [line.meters["output_text"] for line in one.bill.lines] == [40]
