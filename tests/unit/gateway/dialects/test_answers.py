"""Answers as they pass: what they say of themselves, how they end, and what cannot be read of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routing.gateway.dialects import answers
from tests.unit.gateway.dialects.wire import (
    CHAT,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    OPENAI_METERS,
    OPENAI_USAGE,
    RESPONSES,
    RESPONSES_USAGE,
    chat,
    chat_stream,
    chunk,
    event,
    heard,
    message_stream,
    messages,
    response_stream,
    responses,
)


def test_an_answer_in_one_piece_says_what_it_was() -> None:
    body = json.dumps({"id": "chatcmpl-9", "model": "gpt-5-mini-2026", "choices": [], "usage": OPENAI_USAGE}).encode()
    reader = CHAT.answered(chat(), stream=False)
    assert heard(reader, [body[:40], body[40:]]) == body
    assert (reader.usage, reader.complete, reader.problem) == (OPENAI_METERS, True, "")
    assert (reader.model, reader.request_id, reader.output_bytes) == ("gpt-5-mini-2026", "chatcmpl-9", len(body))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"[]", b'{"usage": nul', b'{"id":"' + b"\xff" + b'"}', b"[" * 9_000]
)
def test_an_answer_that_is_no_json_passes_and_is_not_complete(body: bytes) -> None:
    for dialect, call in ((CHAT, chat()), (RESPONSES, responses()), (MESSAGES, messages())):
        reader = dialect.answered(call, stream=False)
        assert heard(reader, [body]) == body
        assert (reader.usage, reader.complete, reader.problem != "") == (None, False, True)


def test_an_answer_without_usage_is_complete_and_says_so() -> None:
    reader = CHAT.answered(chat(), stream=False)
    heard(reader, [b'{"id":"x"}'])
    assert (reader.usage, reader.complete, reader.problem) == (None, True, "the answer says no usage")
    reader = CHAT.answered(chat(stream=True), stream=True)
    heard(reader, [chunk("a"), event("[DONE]")])
    assert (reader.usage, reader.complete, reader.problem) == (None, True, "the stream says no usage")


@pytest.mark.parametrize(
    ("dialect", "call", "said", "written"),
    [
        (CHAT, chat(), {"choices": [{"message": {"content": "four", "reasoning_content": "more"}}]}, 8),
        (RESPONSES, responses(), {"output": [{"content": [{"text": "four"}]}, {"arguments": "{}"}]}, 6),
        (MESSAGES, messages(), {"content": [{"type": "thinking", "thinking": "four"}]}, 4),
        (EMBEDDINGS, EMBEDDINGS.read(b'{"model":"e","input":"x"}'), {"data": [{"embedding": "AAAA"}]}, 0),
        (IMAGES, IMAGES.read(b'{"model":"gpt-image-1"}'), {"data": [{"b64_json": "A"}, {"url": "x"}]}, 2 * 3 * 6_540),
    ],
)
def test_of_an_answer_that_says_no_output_only_what_a_model_wrote_is_counted(
    dialect: Any, call: Any, said: dict[str, Any], written: int
) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "input_tokens": 9, "output_tokens": 0}
    for told in ({"usage": usage}, {}):
        reader = dialect.answered(call, stream=False)
        heard(reader, [json.dumps({"id": "x", "model": "m"} | said | told).encode()])
        assert (reader.complete, reader.output_bytes) == (True, written)


def test_an_answer_that_is_too_large_to_keep_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_WHOLE", 10)
    reader = CHAT.answered(chat(), stream=False)
    assert heard(reader, [b"x" * 8, b"y" * 8]) == b"x" * 8 + b"y" * 8
    assert reader.problem == "the answer is too large to be read"


@pytest.mark.parametrize("ended", ["completed", "incomplete", "failed"])
def test_a_response_says_what_it_used_however_it_ends(ended: str) -> None:
    reader = RESPONSES.answered(responses(stream=True), stream=True)
    stream = response_stream(ended=ended)
    assert heard(reader, stream) == b"".join(stream)
    assert (reader.usage, reader.complete, reader.output_bytes) == (OPENAI_METERS, True, 5)
    assert (reader.model, reader.request_id, reader.service_tier) == ("gpt-5-codex", "resp_1", "default")


def test_a_response_counts_the_searches_it_made() -> None:
    reader = RESPONSES.answered(responses(), stream=False)
    said = {"id": "resp_1", "model": "m", "usage": RESPONSES_USAGE, "output": [{"type": "web_search_call"}]}
    heard(reader, [json.dumps(said).encode()])
    assert reader.usage == OPENAI_METERS | {"web_searches": 1}


@pytest.mark.parametrize(
    ("item", "partial"),
    [
        ({"type": "code_interpreter_call", "container_id": "cntr_1"}, True),
        ({"type": "image_generation_call", "result": "iVBO"}, True),
        ({"type": "shell_call", "environment": {"type": "container_reference", "container_id": "cntr_1"}}, True),
        ({"type": "shell_call", "environment": {"type": "local"}}, False), ({"type": "shell_call"}, False),
        ({"type": "mcp_call"}, False), ({"type": "file_search_call"}, False), ("odd", False),
    ],
)  # fmt: skip
def test_a_response_says_nothing_of_what_its_container_or_its_pictures_cost(item: Any, partial: bool) -> None:
    said = {"id": "resp_1", "model": "m", "usage": RESPONSES_USAGE, "output": [item]}
    whole = RESPONSES.answered(responses(), stream=False)
    heard(whole, [json.dumps(said).encode()])
    streamed = RESPONSES.answered(responses(stream=True), stream=True)
    heard(streamed, response_stream(output=[item]))
    assert (whole.partial, streamed.partial) == (partial, partial)


def test_a_chat_with_a_search_is_charged_for_it() -> None:
    for call in (chat(web_search_options={}), chat(model="gpt-4o-search-preview")):
        reader = CHAT.answered(call, stream=False)
        heard(reader, [json.dumps({"usage": OPENAI_USAGE}).encode()])
        assert reader.usage == OPENAI_METERS | {"web_searches": 1}


def of_kind(dialect: Any, error: Any) -> bytes:
    """An error as an event of a stream."""
    if dialect is CHAT:
        return event({"error": error})
    if dialect is RESPONSES:
        return event({"type": "error", "message": "no", "error": {}, "code": error.get("type")}, "error")
    return event({"type": "error", "error": error}, "error")


@pytest.mark.parametrize(
    ("dialect", "call"),
    [(CHAT, chat(stream=True)), (RESPONSES, responses(stream=True)), (MESSAGES, messages(stream=True))],
)
@pytest.mark.parametrize(
    ("error", "elsewhere"),
    [
        ({"message": "no", "type": "server_error"}, True),
        ({"type": "overloaded_error"}, True),
        ({"type": "invalid_request_error"}, False),
    ],
)
def test_an_error_in_a_stream_passes_and_is_noted(dialect: Any, call: Any, error: Any, elsewhere: bool) -> None:
    reader = dialect.answered(call, stream=True)
    assert heard(reader, [of_kind(dialect, error)]) == of_kind(dialect, error)
    assert (reader.complete, reader.problem) == (False, "the provider ended the stream with an error")
    assert (reader.failed, reader.elsewhere) == (True, elsewhere)


@pytest.mark.parametrize(("code", "elsewhere"), [(400, False), (502, True), (["odd"], True), (None, True)])
def test_hosts_say_a_status_where_openai_has_a_word(code: Any, elsewhere: bool) -> None:
    reader = CHAT.answered(chat(stream=True), stream=True)
    heard(reader, [event({"error": {"code": code, "message": "no"}})])
    assert (reader.failed, reader.elsewhere) == (True, elsewhere)


def test_an_event_of_ten_megabytes_is_read_and_a_larger_one_passes_unread() -> None:
    large = chunk("x" * 10**7)
    reader = CHAT.answered(chat(stream=True), stream=True)
    sent = b"".join([chunk("a"), large, *chat_stream()[-2:]])
    heard(reader, [sent[at : at + 65_536] for at in range(0, len(sent), 65_536)])
    assert (reader.usage, reader.problem) == (OPENAI_METERS, "")
    assert reader.output_bytes == 10**7 + 1

    reader = CHAT.answered(chat(stream=True), stream=True)
    sent = b"".join([chunk("x" * 2 * 10**7), *chat_stream()[-2:]])
    seen = heard(reader, [sent[at : at + 65_536] for at in range(0, len(sent), 65_536)])
    assert seen == chunk("x" * 2 * 10**7) + event("[DONE]")
    assert (reader.usage, reader.problem) == (OPENAI_METERS, "an event is too large to be read")


def test_malformed_events_pass_and_are_noted() -> None:
    for dialect, call, bad in (
        (CHAT, chat(stream=True), b'data: {"usage": {\n\n'),
        (RESPONSES, responses(stream=True), b'data: {"usage": {\n\n'),
        (MESSAGES, messages(stream=True), b'data: {"type":"message_start","message":5}\n\n'),
    ):
        reader = dialect.answered(call, stream=True)
        assert heard(reader, [bad]) == bad
        assert "JSON" in reader.problem


def test_a_stream_whose_last_line_does_not_end_is_read_to_its_end() -> None:
    reader = CHAT.answered(chat(stream=True), stream=True)
    *told, usage, done = chat_stream()
    assert heard(reader, [*told, usage, done.rstrip()]) == b"".join([*told, done.rstrip()])
    assert (reader.usage, reader.complete) == (OPENAI_METERS, True)


def test_a_first_chunk_that_names_nothing_is_not_the_last_word() -> None:
    azure = event({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
    reader = CHAT.answered(chat(stream=True), stream=True)
    assert heard(reader, [azure, *chat_stream()]).startswith(azure)
    assert (reader.model, reader.request_id) == ("gpt-5-mini-2026", "chatcmpl-1")


def test_names_are_short_and_hold_no_nul() -> None:
    reader = MESSAGES.answered(messages(stream=True), stream=True)
    stream = message_stream(begins={"input_tokens": 1}, ends={"output_tokens": 1, "service_tier": 7})
    heard(reader, [one.replace(b"msg_1", b"m\\u0000" + b"x" * 900) for one in stream])
    assert len(reader.request_id) <= 300
    assert "\x00" not in reader.request_id
    assert reader.service_tier == ""


def test_usage_in_a_stream_that_is_no_object_is_noted() -> None:
    reader = CHAT.answered(chat(stream=True), stream=True)
    heard(reader, [chunk("a", usage=7), event("[DONE]")])
    assert (reader.usage, reader.problem) == (None, "usage is not an object")
    reader = MESSAGES.answered(messages(stream=True), stream=True)
    stream = message_stream(begins={"input_tokens": 1}, ends={})
    heard(reader, [one.replace(b'"usage":{}', b'"usage":7') for one in stream])
    assert reader.problem == "usage is not an object"


@pytest.mark.parametrize(
    ("dialect", "call", "told"),
    [
        (MESSAGES, messages(stream=True), {"type": "content_block_delta", "delta": {"text": "four"}, "error": None}),
        (RESPONSES, responses(stream=True), {"type": "response.output_text.delta", "delta": "four", "error": None}),
        (CHAT, chat(stream=True), {"choices": [{"delta": {"content": "four"}}], "error": None}),
    ],
)
def test_text_beside_a_word_that_is_looked_for_is_counted_all_the_same(dialect: Any, call: Any, told: Any) -> None:
    reader = dialect.answered(call, stream=True)
    assert heard(reader, [event(told)]) == event(told)
    assert reader.output_bytes == 4


def test_a_response_that_failed_says_so() -> None:
    reader = RESPONSES.answered(responses(stream=True), stream=True)
    heard(reader, response_stream(ended="failed", usage=None))
    assert (reader.usage, reader.complete) == (None, True)
    assert reader.problem == "the provider says that the response failed"
    assert (reader.failed, reader.elsewhere) == (True, True)


def test_the_beginning_of_an_event_that_was_too_large_passes_at_the_end() -> None:
    reader = CHAT.answered(chat(stream=True), stream=True)
    large = b"data: " + b"x" * 17 * 2**20
    assert heard(reader, [large]) == large
    assert (reader.complete, reader.problem) == (False, "an event is too large to be read")
