"""A body's values pass byte by byte; what is no JSON object is refused in words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.gateway.dialects import fields
from routing.gateway.requests import FieldInvalid, Malformed
from tests.unit.gateway.dialects.wire import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, chat, messages, responses

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
NAMES = (
    "model",
    "messages",
    "input",
    "system",
    "tools",
    "max_tokens",
    "stream",
    "stream_options",
    "metadata",
    "thinking",
)
MORE = ("n", "prompt", "conversation", "modalities", "service_tier", "context_management", "user", "max_output_tokens")


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=6), st.booleans(), st.sampled_from([None, 1]))
def test_what_is_read_is_written_again_byte_by_byte(given_: dict[str, Any], ascii_: bool, indent: int | None) -> None:
    body = json.dumps(given_, ensure_ascii=ascii_, indent=indent).encode("utf-8", "surrogatepass")
    try:
        read = fields.read(body)
    except Malformed:
        return
    again = fields.read(fields.write(read.raw, {"new": 1}))
    kept = [(name, bytes(value)) for name, value in read.raw.items() if name != "new"]
    assert [(name, bytes(value)) for name, value in again.raw.items() if name != "new"] == kept
    assert all(value in body for _, value in kept)


def test_what_is_replaced_stands_where_it_stood_and_what_is_new_comes_last() -> None:
    read = fields.read(b'{ "model" : "a", "x": 1e2 ,"messages":[ ] }')
    assert fields.write(read.raw, {"model": "b", "most": 5}) == b'{"model":"b","x":1e2,"messages":[ ],"most":5}'
    assert fields.write({}, {}) == b"{}"


def test_a_key_that_comes_twice_is_sent_on_as_it_came_last() -> None:
    call = CHAT.read(b'{"model":"cheap","messages":[],"max_tokens":1,"model":"dear","max_tokens":900}')
    assert (call.model, call.max_output_tokens) == ("dear", 900)
    assert CHAT.write(call, model="dear", max_output_tokens=None).count(b"model") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b'{"model": "x"',
        b'{"a":1}{"b":2}',
        b'{"a":NaN}',
        b"\xff",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":["\\udc00x"]}',
        b'{"\\ud800":1}',
        b'{"a":1e999}',
        b'{"a":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    ],
)
@pytest.mark.parametrize("dialect", [CHAT, RESPONSES, EMBEDDINGS, MESSAGES])
def test_what_is_no_json_object_is_refused(dialect: Any, body: bytes) -> None:
    with pytest.raises(Malformed):
        dialect.read(body)


def test_bad_text_is_named_by_its_field() -> None:
    with pytest.raises(Malformed) as refused:
        CHAT.read(b'{"model":"x","messages":[{"role":"user","content":"\\ud800"}]}')
    assert refused.value.field == "messages[0].content"


@given(st.dictionaries(st.sampled_from(NAMES + MORE) | st.text(max_size=4), JSON, max_size=8))
def test_odd_bodies_raise_nothing_but_what_is_ours(given_: dict[str, Any]) -> None:
    usual = {"model": "m", "max_tokens": 5, "messages": [given_]} | given_
    for dialect in (CHAT, RESPONSES, EMBEDDINGS, MESSAGES):
        for body in (given_, usual, usual | {"input": [given_]}):
            try:
                call = dialect.read(json.dumps(body).encode())
            except (Malformed, FieldInvalid):
                continue
            sent = json.loads(dialect.write(call, model="other", max_output_tokens=3))
            assert sent["model"] == "other"


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": "x" * 301}, "model"),
        ({"model": "a\x00b"}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"tools": {}}, "tools"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 10.0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 10**10}, "max_tokens"),
        ({"service_tier": 1}, "service_tier"),
        ({"Max_Tokens": 10**6}, "Max_Tokens"),
        ({"STREAM": True}, "STREAM"),
        ({"max_token\u017f": 10**6}, "max_token\u017f"),
        ({"to\u212a": 1, "\u017ftream": True}, "\u017ftream"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(given_: dict[str, Any], field: str) -> None:
    for read in (chat, messages):
        with pytest.raises(FieldInvalid) as refused:
            read(**given_)
        assert refused.value.field == field


@pytest.mark.parametrize(("given_", "field"), [({"n": 0}, "n"), ({"n": 129}, "n"), ({"max_tokens": 0}, "max_tokens")])
def test_a_chat_asks_for_one_answer_of_one_token_at_least(given_: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        chat(**given_)
    assert refused.value.field == field


def test_a_message_says_how_much_it_may_be() -> None:
    with pytest.raises(FieldInvalid) as refused:
        messages(max_tokens=None)
    assert refused.value.field == "max_tokens"


def test_a_response_in_the_background_is_refused() -> None:
    with pytest.raises(FieldInvalid, match="background"):
        responses(background=True)
    assert responses(background=False).model


@given(st.text(), st.booleans())
def test_no_text_has_more_bytes_than_its_call_is_bounded_by(text: str, ascii_: bool) -> None:
    for dialect, given_ in (
        (CHAT, {"messages": [{"role": "user", "content": text}]}),
        (RESPONSES, {"input": text}),
        (EMBEDDINGS, {"input": [text]}),
        (MESSAGES, {"system": text, "messages": [], "max_tokens": 1}),
    ):
        body = json.dumps({"model": "m"} | given_, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
        try:
            found = dialect.read(body).input
        except Malformed:
            return
        assert found.bytes >= len(text.encode())


@given(JSON)
def test_the_same_call_has_the_same_fingerprint_and_another_has_not(content: Any) -> None:
    def of(value: Any) -> str:
        try:
            return chat(tools=[], messages=[{"role": "user", "content": value}]).fingerprint
        except (Malformed, FieldInvalid):
            return ""

    one = of(content)
    assert one == of(content)
    if one:
        assert len(one) == 16
        assert one != of([content, "more"])


def test_members_of_what_is_no_object_are_none() -> None:
    assert fields.members(None) == {}
    assert fields.members(msgspec.Raw(b"5")) == {}
