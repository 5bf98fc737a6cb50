"""What an upstream is sent: as it came, but for the model, the limit, and what makes a stream tell its usage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routing.gateway.dialects.types import Told
from tests.unit.gateway.dialects.wire import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    body,
    chat,
    messages,
    responses,
    written,
)


def test_a_call_that_needs_no_change_is_sent_as_it_came() -> None:
    sent = b'{"model":"gpt-5","messages":[ {"role":"user", "content":"\\u00e9 \xc3\xa9"} ],"beta":{"x":1.50},"n":1}'
    assert CHAT.write(CHAT.read(sent), model="gpt-5", max_output_tokens=None) == sent
    sent = b'{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"x-new":[1.0,2]}'
    assert MESSAGES.write(MESSAGES.read(sent), model="claude", max_output_tokens=9) == sent


@pytest.mark.parametrize(
    ("given", "model", "expected"),
    [
        ({}, "gpt-4o", {"max_tokens": 50}),
        ({}, "deepseek-chat", {"max_tokens": 50}),
        ({}, "openai/gpt-oss-120b", {"max_tokens": 50}),
        ({}, "gpt-5-mini", {"max_completion_tokens": 50}),
        ({}, "openai/o3", {"max_completion_tokens": 50}),
        ({"max_tokens": None}, "gpt-4o", {"max_tokens": 50}),
        ({"max_tokens": 20}, "o3", {"max_tokens": 20}),
        ({"max_tokens": 90}, "o3", {"max_tokens": 50}),
        ({"max_completion_tokens": 90}, "gpt-4o", {"max_completion_tokens": 50}),
        ({"max_tokens": 20, "max_completion_tokens": 90}, "gpt-4o", {"max_tokens": 20, "max_completion_tokens": 50}),
    ],
)
def test_a_chats_limit_is_lowered_where_the_client_said_it_or_put_where_the_model_takes_it(
    given: dict[str, Any], model: str, expected: dict[str, int]
) -> None:
    sent = written(CHAT, chat(**given), model=model, most=50)
    assert {name: sent[name] for name in ("max_tokens", "max_completion_tokens") if name in sent} == expected
    assert sent["model"] == model


@pytest.mark.parametrize(
    ("deployment", "name"),
    [
        ("prod-reasoner", "max_completion_tokens"), ("my-o3", "max_completion_tokens"),
        # Where a budget or a failover may have sent it.
        ("gpt-4o-mini", "max_tokens"), ("deepseek-reasoner", "max_tokens"), ("Qwen/Qwen3-32B", "max_tokens"),
        ("mixtral-8x7b", "max_tokens"), ("openai/gpt-oss-120b", "max_tokens"),
    ],
)  # fmt: skip
def test_a_deployment_whose_name_says_nothing_is_what_was_asked_for(deployment: str, name: str) -> None:
    sent = written(CHAT, chat(model="o3"), model=deployment, most=50)
    assert {one: sent[one] for one in sent if one.startswith("max_")} == {name: 50}
    assert "max_tokens" in written(CHAT, chat(model="house-model"), model="prod-reasoner", most=50)


def test_limits_of_the_others() -> None:
    assert written(RESPONSES, responses(), most=50)["max_output_tokens"] == 50
    assert written(RESPONSES, responses(max_output_tokens=20), most=50)["max_output_tokens"] == 20
    assert written(MESSAGES, messages(max_tokens=80), most=50)["max_tokens"] == 50
    assert written(MESSAGES, messages(max_tokens=0), most=50)["max_tokens"] == 0
    assert written(MESSAGES, messages(max_tokens=80))["max_tokens"] == 80
    assert written(EMBEDDINGS, EMBEDDINGS.read(body(model="e", input="x")), most=0) == {"model": "e", "input": "x"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False, "new": [1]}, {"include_obfuscation": False, "new": [1], "include_usage": True}),
        ({"include_usage": True, "new": 1}, {"include_usage": True, "new": 1}),
    ],
)
def test_a_streamed_chat_is_made_to_tell_its_usage(options: Any, expected: dict[str, Any]) -> None:
    assert written(CHAT, chat(stream=True, stream_options=options))["stream_options"] == expected


def test_nothing_is_added_to_a_chat_that_is_not_streamed() -> None:
    assert "stream_options" not in written(CHAT, chat())
    assert "stream_options" not in written(RESPONSES, responses(stream=True))


USER_ID = "user_0123abcd_account_11111111-2222-4333-8444-555555555555_session_99999999-2222-4333-8444-555555555555"
CLAUDE_CODE = {"device_id": "0123abcd", "account_uuid": "11111111-2222", "session_id": "99999999-2222"}


@pytest.mark.parametrize(
    ("user_id", "told"),
    [
        (USER_ID, Told("99999999-2222-4333-8444-555555555555", "11111111-2222-4333-8444-555555555555",
                       {"device_id": "0123abcd"})),
        ("user_0123abcd_account__session_9999", Told("9999", "0123abcd", {"device_id": "0123abcd"})),
        (json.dumps(CLAUDE_CODE), Told("99999999-2222", "11111111-2222", CLAUDE_CODE)),
        (CLAUDE_CODE, Told("99999999-2222", "11111111-2222", CLAUDE_CODE)),
        ({"device_id": "0123abcd"}, Told("", "0123abcd", {"device_id": "0123abcd"})),
        ("customer-7", Told("", "customer-7", {})),
        ("{not json", Told("", "{not json", {})),
        ("[1]", Told("", "[1]", {})),
        (5, Told("", "5", {})), (None, Told()), ([1], Told()),
        ("a\x00b\n" + "x" * 900, Told("", ("ab" + "x" * 900)[:200], {})),
    ],
)  # fmt: skip
def test_whose_message_it_is_in_every_form_claude_code_had(user_id: Any, told: Told) -> None:
    assert messages(metadata={"user_id": user_id}).told == told


def test_whose_chat_it_is() -> None:
    told = chat(user="bob", metadata={"project": "indexer", "n": 5, "deep": {"no": 1}, "a\x00b": "no"}).told
    assert told == Told("", "bob", {"project": "indexer", "n": "5"})
    told = responses(safety_identifier="u-7", prompt_cache_key="conv-1").told
    assert told == Told("", "u-7", {"safety_identifier": "u-7", "prompt_cache_key": "conv-1"})
    assert chat(metadata={str(place): "x" for place in range(900)}).told.metadata.keys() == {str(n) for n in range(50)}
    assert chat(user={"odd": 1}, metadata=[1]).told == Told()


def test_which_session_of_codex_it_is() -> None:
    client = {"session_id": "0199", "thread_id": "0200", "turn_id": "1"}
    assert responses(client_metadata=client).told == Told("0199", "", client)
    assert responses(client_metadata={"thread_id": "0200"}).told.session == "0200"
