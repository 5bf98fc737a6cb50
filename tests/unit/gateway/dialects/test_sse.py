"""Events are cut out of bytes however they come, and no byte is lost or made up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.gateway.dialects.sse import Splitter, data_of
from tests.unit.gateway.dialects.wire import (
    CHAT,
    MESSAGES,
    OPENAI_METERS,
    chat,
    chat_stream,
    chunk,
    heard,
    message_stream,
    messages,
)

LINES = st.sampled_from([b"data: a", b"data:", b": ping", b"event: x", b"id: 1", b"data: \xff\xfe", b"", b"\r", b"x"])
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])), max_size=30).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(edges)]


@given(STREAMS, st.lists(st.integers(0, 10**6), max_size=20))
def test_however_a_stream_is_cut_its_events_are_the_same(stream: bytes, places: list[int]) -> None:
    def pieces(chunks: list[bytes]) -> list[bytes]:
        splitter = Splitter()
        found = [piece for one in chunks for piece in splitter.feed(one)] + splitter.end()
        assert all(piece.whole for piece in found)
        return [piece.raw for piece in found]

    assert pieces(cut(stream, places)) == pieces([stream])
    assert b"".join(pieces(cut(stream, places))) == stream


@given(STREAMS, st.lists(st.integers(0, 10**6), max_size=20), st.integers(4, 40))
def test_what_is_too_large_passes_unread_and_whole(stream: bytes, places: list[int], most: int) -> None:
    splitter = Splitter(most)
    kept = b""
    for one in cut(stream, places):
        kept += b"".join([piece.raw for piece in splitter.feed(one)])
        assert len(splitter.pending) <= most
    assert kept + b"".join([piece.raw for piece in splitter.end()]) == stream


def test_an_event_after_one_that_was_too_large_is_read_again() -> None:
    splitter = Splitter(10)
    pieces = [piece for one in (b"data: " + b"x" * 20, b"y\n", b"\ndata: 1\n\n") for piece in splitter.feed(one)]
    assert not all(piece.whole for piece in pieces)
    assert [piece.raw for piece in pieces if piece.whole] == [b"data: 1\n\n"]


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\r\n\r\n", b"{}"),
        (b"event: x\nid: 7\ndata: a\ndata:  b\n\n", b"a\n b"),
        (b": a comment\n\n", b""),
        (b"\xef\xbb\xbfdata: first\n\n", b"first"),
        (b"event: done\n\n", b""),
    ],
)
def test_the_data_of_an_event_are_its_lines_joined(raw: bytes, data: bytes) -> None:
    assert data_of(raw) == data


@given(st.lists(st.integers(0, 10**6), max_size=20), st.lists(st.text(max_size=5), max_size=5), st.booleans())
def test_a_chat_that_asked_for_usage_itself_gets_every_byte(places: list[int], texts: list[str], crlf: bool) -> None:
    stream = b"".join([b": hello\n\n", *chat_stream(texts)])
    stream = stream.replace(b"\n", b"\r\n") if crlf else stream
    reader = CHAT.answered(chat(stream=True, stream_options={"include_usage": True}), stream=True)
    assert heard(reader, cut(stream, places)) == stream
    assert (reader.usage, reader.complete, reader.problem) == (OPENAI_METERS, True, "")
    assert reader.output_bytes >= sum(len(text.encode()) for text in texts)


@given(st.lists(st.integers(0, 10**6), max_size=20), st.booleans())
def test_a_chat_that_did_not_gets_every_byte_but_those_of_the_usage(places: list[int], crlf: bool) -> None:
    *told, usage, done = chat_stream()
    turned = [(one.replace(b"\n", b"\r\n") if crlf else one) for one in (*told, usage, done)]
    reader = CHAT.answered(chat(stream=True), stream=True)
    assert heard(reader, cut(b"".join(turned), places)) == b"".join([*turned[:-2], turned[-1]])
    assert (reader.usage, reader.complete, reader.problem) == (OPENAI_METERS, True, "")


@given(st.lists(st.integers(0, 10**6), max_size=20), st.lists(st.text(max_size=5), max_size=5))
def test_a_message_passes_byte_by_byte_and_says_what_it_used(places: list[int], texts: list[str]) -> None:
    stream = b"".join(
        message_stream(begins={"input_tokens": 9, "output_tokens": 1}, ends={"output_tokens": 40}, texts=texts)
    )
    reader = MESSAGES.answered(messages(stream=True), stream=True)
    assert heard(reader, cut(stream, places)) == stream
    assert reader.usage == {"input_uncached": 9, "output_text": 40, "requests": 1}
    assert (reader.complete, reader.problem, reader.request_id) == (True, "", "msg_1")
    assert reader.output_bytes >= sum(len(text.encode()) for text in texts)


@given(st.binary(max_size=300), st.lists(st.integers(0, 10**6), max_size=10), st.booleans())
def test_whatever_an_upstream_sends_a_reader_hands_it_on_and_never_raises(
    stream: bytes, places: list[int], streamed: bool
) -> None:
    for dialect, call in ((CHAT, chat(stream=True)), (MESSAGES, messages(stream=True))):
        reader = dialect.answered(call, stream=streamed)
        assert heard(reader, cut(stream, places)) == stream
        assert reader.usage is None
        assert reader.problem


def test_words_of_a_text_are_not_taken_for_usage() -> None:
    text = 'He said "usage": {"prompt_tokens": 5} and [DONE] and "error" and {"type":"message_stop"}'
    reader = CHAT.answered(chat(stream=True), stream=True)
    assert heard(reader, [chunk(text), chunk(text)]) == chunk(text) * 2
    assert (reader.usage, reader.complete) == (None, False)
    assert reader.output_bytes >= 2 * len(text)
