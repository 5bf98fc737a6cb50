"""Captured calls made ready to be made again, in the dialects there are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from routing.captures.hot import Exchange
from routing.experiments import reading
from routing.experiments.reading import NotAgain
from routing.experiments.types import Answer
from tests.factories.captures import exchange

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHAT: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "Where to?"}]}


def asked(body: dict[str, Any], **given: Any) -> Exchange:
    return exchange("c" * 24, at=NOON, body=json.dumps(body).encode(), **given)


def events(*said: dict[str, Any]) -> bytes:
    return b"".join(b"event: x\ndata: " + json.dumps(one).encode() + b"\n\n" for one in said) + b"data: [DONE]\n\n"


def test_the_same_is_asked_of_another_model_as_nobodys_in_particular() -> None:
    whole = CHAT | {
        "stream": True, "stream_options": {"include_usage": True}, "user": "bob@acme.example", "metadata": {"a": "b"},
        "store": True, "temperature": 0.2, "max_tokens": 9, "models": ["dear"], "tools": [{"type": "function"}],
    }  # fmt: skip
    again = json.loads(reading.again_of(json.dumps(whole).encode(), "gpt-mini"))
    assert again == CHAT | {
        "model": "gpt-mini", "temperature": 0.2, "max_tokens": 9, "tools": [{"type": "function"}],
    }  # fmt: skip


def test_the_same_question_has_one_fingerprint_whoever_asks_it() -> None:
    one = reading.fingerprint(asked(CHAT | {"user": "bob", "stream": True}))
    assert one == reading.fingerprint(asked(CHAT | {"model": "gpt-mini"}))
    assert one != reading.fingerprint(asked(CHAT | {"messages": [{"role": "user", "content": "Where from?"}]}))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"dialect": "openai.embeddings"}, "dialect"),
        ({"whole": False}, "answer_not_whole"),
        ({"status": 429}, "answer_not_whole"),
        ({"body": b"{"}, "unreadable"),
        ({"body": json.dumps(CHAT | {"n": 2}).encode()}, "not_alone"),
        ({"body": json.dumps(CHAT | {"web_search_options": {}}).encode()}, "hosted_tools"),
        ({"body": json.dumps(CHAT | {"plugins": [{"id": "web"}]}).encode()}, "hosted_tools"),
        (
            {
                "dialect": "openai.responses", "path": "/v1/responses",
                "body": b'{"model": "gpt", "input": "On", "previous_response_id": "resp_1"}',
            },
            "not_alone",
        ),
        (
            {
                "dialect": "openai.responses", "path": "/v1/responses",
                "body": b'{"model": "gpt", "input": "On", "tools": [{"type": "code_interpreter", "container": "c"}]}',
            },
            "hosted_tools",
        ),
    ],
)  # fmt: skip
def test_what_would_run_something_or_cannot_stand_alone_is_not_made_again(given: dict[str, Any], code: str) -> None:
    with pytest.raises(NotAgain) as error:
        reading.call_of(exchange("c" * 24, at=NOON, **given))
    assert error.value.code == code


CALLED = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}


@pytest.mark.parametrize(
    ("dialect", "body", "answer"),
    [
        (
            "openai.chat",
            {"choices": [{"message": {"content": "North"}, "finish_reason": "stop"}]},
            Answer("North", True),
        ),
        (
            "openai.chat",
            {"choices": [{"message": {"content": None, "tool_calls": [CALLED]}, "finish_reason": "tool_calls"}]},
            Answer('[calls find with {"q": 1}]', True, True),
        ),
        (
            "openai.responses",
            {
                "status": "incomplete",
                "output": [
                    {"type": "message", "content": [{"type": "output_text", "text": "Nor"}]},
                    {"type": "function_call", "name": "find", "arguments": "{}"},
                ],
            },
            Answer("Nor\n[calls find with {}]", False, True),
        ),
        (
            "anthropic.messages",
            {"content": [{"type": "text", "text": "North"}], "stop_reason": "end_turn"},
            Answer("North", True),
        ),
        (
            "anthropic.messages",
            {"content": [{"type": "tool_use", "name": "find", "input": {"q": 1}}], "stop_reason": "max_tokens"},
            Answer('[calls find with {"q": 1}]', False, True),
        ),
    ],
)
def test_a_whole_answer_is_read_and_calls_of_tools_are_written_out(
    dialect: str, body: dict[str, Any], answer: Answer
) -> None:
    assert reading.read_answer(dialect, json.dumps(body).encode()) == answer


@pytest.mark.parametrize(
    ("dialect", "said", "answer"),
    [
        (
            "openai.chat",
            [
                {"choices": [{"delta": {"role": "assistant", "content": "No"}}]},
                {"choices": [{"delta": {"content": "rth"}}]},
                {
                    "choices": [
                        {"delta": {"tool_calls": [{"index": 0, "function": {"name": "find", "arguments": "{"}}]}}
                    ]
                },
                {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}}]},
                {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
                {"choices": [], "usage": {"prompt_tokens": 1}},
            ],
            Answer("North\n[calls find with {}]", True, True),
        ),
        (
            "openai.responses",
            [
                {"type": "response.output_text.delta", "delta": "No"},
                {
                    "type": "response.completed",
                    "response": {
                        "status": "completed",
                        "output": [{"type": "message", "content": [{"type": "output_text", "text": "North"}]}],
                    },
                },
            ],
            Answer("North", True),
        ),
        (
            "anthropic.messages",
            [
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "North"}},
                {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "find"}},
                {
                    "type": "content_block_delta",
                    "index": 1,
                    "delta": {"type": "input_json_delta", "partial_json": "{}"},
                },
                {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
            ],
            Answer("North\n[calls find with {}]", False, True),
        ),
    ],
)
def test_a_stream_is_read_as_what_it_came_to(dialect: str, said: list[dict[str, Any]], answer: Answer) -> None:
    assert reading.read_answer(dialect, events(*said), stream=True) == answer
    crlf = events(*said).replace(b"\n", b"\r\n")
    assert reading.read_answer(dialect, crlf, stream=True) == answer


def test_what_cannot_be_read_is_no_answer() -> None:
    assert reading.read_answer("openai.chat", b"[1]") is None
    assert reading.read_answer("openai.chat", b"<html>") is None
    assert reading.read_answer("openai.chat", b"data: <html>\n\n", stream=True) is None
    with pytest.raises(NotAgain, match="no_text"):
        reading.answer_of(asked(CHAT, answer=b'{"choices": [{"message": {"content": " "}}]}'))


def test_a_judge_is_shown_all_that_was_asked_or_nothing() -> None:
    shown = reading.asked_of(asked(CHAT | {"tools": [{"type": "function", "function": {"name": "find"}}]}))
    assert "Where to?" in shown
    assert "find" in shown
    long = {"messages": [{"role": "user", "content": "x" * reading.MOST_CHARACTERS}]}
    with pytest.raises(NotAgain, match="too_long"):
        reading.asked_of(asked(CHAT | long))
