"""Calls as rules want them made, and what their answers say, in each dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routing.gateway.dialects.registry import DIALECTS
from routing.gateway.dialects.shaping import Said, checking, said, with_effort
from routing.gateway.dialects.texts import read_texts
from routing.gateway.dialects.types import ANTHROPIC, OPENAI

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": CHAT,
    "openai.responses": {"model": "m", "input": "Hi", "reasoning": {"summary": "auto", "effort": "high"}},
    "anthropic.messages": CHAT | {"max_tokens": 10, "output_config": {"format": "x"}},
}


@pytest.mark.parametrize(
    ("dialect", "field", "value"),
    [
        ("openai.chat", "reasoning_effort", "low"),
        ("openai.responses", "reasoning", {"summary": "auto", "effort": "low"}),
        ("anthropic.messages", "output_config", {"format": "x", "effort": "low"}),
    ],
)
def test_how_much_a_model_thinks_is_said_where_the_dialect_has_it_and_the_rest_stays(
    dialect: str, field: str, value: Any
) -> None:
    speaks = DIALECTS[dialect]
    call = with_effort(speaks.read(json.dumps(BODIES[dialect]).encode()), "low")
    written = json.loads(speaks.write(call, model="m", max_output_tokens=None))
    assert written == BODIES[dialect] | {field: value}


def test_a_dialect_without_a_word_for_effort_stays_as_it_is() -> None:
    call = DIALECTS["openai.embeddings"].read(b'{"model": "m", "input": "Hi"}')
    assert with_effort(call, "low") is call


def chat(finish: str, **message: Any) -> dict[str, Any]:
    return {"choices": [{"finish_reason": finish, "message": {"role": "assistant", **message}}]}


@pytest.mark.parametrize(
    ("dialect", "answer", "found"),
    [
        ("openai.chat", chat("stop", content="yes"), Said("yes", ended=True)),
        ("openai.chat", chat("length", content="ye"), Said("ye", ended=False)),
        ("openai.chat", chat("stop", content=[{"type": "text", "text": "yes"}]), Said("yes", ended=True)),
        ("openai.chat", chat("tool_calls", content=None, tool_calls=[{"id": "1"}]), None),
        ("openai.chat", {"choices": []}, None),
        (
            "anthropic.messages",
            {"content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn"},
            Said("yes", ended=True),
        ),
        ("anthropic.messages", {"content": [{"type": "tool_use"}], "stop_reason": "tool_use"}, None),
        (
            "openai.responses",
            {"status": "incomplete", "output": [{"content": [{"type": "output_text", "text": "ye"}]}]},
            Said("ye", ended=False),
        ),
        ("openai.responses", {"status": "completed", "output": [{"type": "function_call"}]}, None),
        ("openai.embeddings", {"data": []}, None),
    ],
)
def test_what_an_answer_says_is_read_and_what_cannot_be_looked_at_is_not(
    dialect: str, answer: dict[str, Any], found: Said | None
) -> None:
    assert said(dialect, json.dumps(answer).encode()) == found


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}", b'{"choices": 3}', b"\xff"])
@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses", "anthropic.messages"])
def test_an_answer_of_any_bytes_is_read_without_failing(dialect: str, body: bytes) -> None:
    found = said(dialect, body)
    assert found is None or found.text == ""


@pytest.mark.parametrize("family", [OPENAI, ANTHROPIC])
def test_a_checker_is_asked_in_the_family_of_the_call(family: str) -> None:
    name, body = checking(family, "large", "Is it right?", 500)
    call = DIALECTS[name].read(body)
    assert (call.model, call.max_output_tokens, DIALECTS[name].family) == ("large", 500, family)
    assert read_texts(call, depth=0, tags={}).content.texts == ("Is it right?",)


@pytest.mark.parametrize(
    ("dialect", "body", "first", "unread"),
    [
        ("openai.chat", CHAT | {"messages": [{"role": "system", "content": "S"}, *CHAT["messages"]]}, 2, False),
        ("openai.responses", {"model": "m", "instructions": "S", "input": "Hi"}, 2, False),
        ("openai.responses", {"model": "m", "input": "Hi", "previous_response_id": "r"}, 2, True),
        ("anthropic.messages", CHAT | {"max_tokens": 10, "system": [{"type": "text", "text": "S"}]}, 2, False),
        ("openai.chat", CHAT | {"messages": [{"role": "user", "content": "x" * 2**18}]}, 0, True),
    ],
)
def test_all_that_is_said_is_read_or_known_to_be_unread(
    dialect: str, body: dict[str, Any], first: int, unread: bool
) -> None:
    found = read_texts(DIALECTS[dialect].read(json.dumps(body).encode()), depth=0, tags={})
    assert len(found.content.texts) == first
    assert bool(found.content.unreadable) is unread
