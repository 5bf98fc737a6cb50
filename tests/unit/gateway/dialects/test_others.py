"""Paths and what is spoken there; embeddings, completions, pictures, sound, and counting."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.budgets.rules.worst import Unbounded
from routing.gateway.bounds import bounds_of
from routing.gateway.dialects import multipart
from routing.gateway.dialects.registry import DIALECTS, by_path
from routing.gateway.requests import FieldInvalid, Malformed
from tests.unit.gateway.dialects.test_bounding import authorized
from tests.unit.gateway.dialects.wire import (
    COMPLETIONS,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    OPENAI_METERS,
    body,
    chat_stream,
    event,
    heard,
    written,
)

EDITS = DIALECTS["openai.edits"]
SPEECH = DIALECTS["openai.speech"]
TRANSCRIPTIONS = DIALECTS["openai.transcriptions"]
COUNTING = DIALECTS["anthropic.count_tokens"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai.chat"),
        ("/chat/completions", "openai.chat"),
        ("/openai/v1/chat/completions", "openai.chat"),
        ("/v1/chat/completions/", "openai.chat"),
        ("/v1/responses", "openai.responses"),
        ("/responses", "openai.responses"),
        ("/v1/embeddings", "openai.embeddings"),
        ("/v1/completions", "openai.completions"),
        ("/v1/images/generations", "openai.images"),
        ("/v1/images/edits", "openai.edits"),
        ("/v1/audio/speech", "openai.speech"),
        ("/v1/audio/transcriptions", "openai.transcriptions"),
        ("/v1/audio/translations", "openai.translations"),
        ("/v1/messages", "anthropic.messages"),
        ("/anthropic/v1/messages", "anthropic.messages"),
        ("/v1/messages/count_tokens", "anthropic.count_tokens"),
    ],
)
def test_what_is_spoken_at_a_path(path: str, name: str) -> None:
    found = by_path(path)
    assert found is not None
    assert found.name == name
    assert by_path(path, found.family) is found
    assert by_path(path, "anthropic" if found.family == "openai" else "openai") is None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/v1",
        "/v1/batches",
        "/v1/files",
        "/v1/realtime",
        "/v1/responses/resp_1",
        "/v1/messages/batches",
        "/v2/chat/completions",
        "/v1/chat/completions/x",
        "/V1/chat/completions",
        "/v1//chat/completions",
        "/v1/audio/speech/../../files",
        "/messages",
    ],
)
def test_no_other_path_is_passed_on(path: str) -> None:
    assert by_path(path) is None


def test_an_embedding_writes_nothing() -> None:
    call = EMBEDDINGS.read(body(model="text-embedding-3-small", input=["one", "two"], dimensions=256))
    assert (call.max_output_tokens, call.least_output_tokens, call.input.messages) == (0, 0, 2)
    found = bounds_of(authorized(call), None)
    assert (found.output_text, found.input_text >= 6) == (0, True)
    reader = EMBEDDINGS.answered(call, stream=False)
    heard(reader, [json.dumps({"model": "e", "data": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}}).encode()])
    assert reader.usage == {"input_uncached": 5, "requests": 1}


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=50))
def test_tokens_made_by_the_caller_have_two_bytes_each_at_least(tokens: list[int]) -> None:
    call = EMBEDDINGS.read(json.dumps({"model": "e", "input": tokens}, separators=(",", ":")).encode())
    assert call.input.bytes >= 2 * len(tokens)


def test_every_prompt_of_a_completion_is_answered() -> None:
    call = COMPLETIONS.read(body(model="m", prompt=["a", "b"], n=2, best_of=3, max_tokens=9))
    assert (call.choices, call.max_output_tokens) == (6, 9)
    assert COMPLETIONS.read(body(model="m", prompt=[1, 2, 3])).choices == 1
    with pytest.raises(FieldInvalid):
        COMPLETIONS.read(body(model="m", prompt=["a"] * 100, n=2))
    sent = written(COMPLETIONS, COMPLETIONS.read(body(model="m", prompt="a", stream=True)), most=4)
    assert sent == {
        "model": "m",
        "prompt": "a",
        "stream": True,
        "max_tokens": 4,
        "stream_options": {"include_usage": True},
    }


def test_a_streamed_completion_says_its_usage_to_us_alone() -> None:
    call = COMPLETIONS.read(body(model="m", prompt="a", stream=True))
    reader = COMPLETIONS.answered(call, stream=True)
    assert b"prompt_tokens" not in heard(reader, chat_stream())
    assert reader.usage == OPENAI_METERS


def test_counting_tokens_is_free() -> None:
    call = COUNTING.read(body(model="claude", messages=[]))
    assert (call.free, call.max_output_tokens) == (True, 0)
    assert written(COUNTING, call, model="other")["model"] == "other"
    reader = COUNTING.answered(call, stream=False)
    assert heard(reader, [b'{"input_tokens":7}']) == b'{"input_tokens":7}'
    assert (reader.usage, reader.complete) == ({}, True)
    assert MESSAGES.read(body(model="claude", messages=[], max_tokens=1)).free is False


def test_pictures_of_known_sizes_are_bounded_and_others_are_not() -> None:
    call = IMAGES.read(body(model="gpt-image-1", prompt="a cat", n=2, size="1024x1536"))
    assert (call.max_output_tokens, call.least_output_tokens, call.choices) == (6_540, 6_540, 2)
    assert bounds_of(authorized(call), None).output_text == 2 * 6_540
    for given_ in ({"model": "dall-e-3"}, {"model": "gpt-image-2"}, {}, {"model": "gpt-image-1", "size": "4096x4096"}):
        with pytest.raises(Unbounded):
            bounds_of(authorized(IMAGES.read(body(prompt="a cat", **given_))), 100_000)


def test_every_picture_of_a_stream_is_counted() -> None:
    reader = IMAGES.answered(IMAGES.read(body(model="gpt-image-1", prompt="a", n=2, stream=True)), stream=True)
    done = {"type": "image_generation.completed", "usage": {"input_tokens": 9, "output_tokens": 100}}
    reader.feed(event({"type": "image_generation.partial_image"}) + event(done))
    # There may be more, and one that is under way is paid for.
    assert (reader.complete, reader.output_bytes) == (False, 0)
    reader.feed(event({"type": "image_generation.partial_image"}))
    assert reader.output_bytes == 3 * 6_540
    heard(reader, [event(done)])
    assert reader.usage == {"input_uncached": 18, "output_image": 200, "requests": 1}
    assert reader.complete


def form(*, boundary: str = "----b", **texts: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in texts.items()
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav'
    file = f"--{boundary}\r\n{head}\r\n\r\n"
    return "".join(parts).encode() + file.encode() + b"\x00\xff" * 5_000 + f"\r\n--{boundary}--\r\n".encode()


def test_a_form_is_sent_on_as_it_came_but_for_the_model() -> None:
    sent = form(model="whisper-1", language="en", stream="true")
    call = TRANSCRIPTIONS.read(sent)
    assert (call.model, call.stream, call.input.bytes < 1_000) == ("whisper-1", True, True)
    assert call.input.audio_tokens == 10_000 // 1_600 + 1
    assert TRANSCRIPTIONS.write(call, model="whisper-1", max_output_tokens=None) == sent
    changed = TRANSCRIPTIONS.write(call, model="gpt-4o-transcribe", max_output_tokens=None)
    assert changed == sent.replace(b"whisper-1", b"gpt-4o-transcribe")
    assert EDITS.read(form(model="gpt-image-1", prompt="a")).model == "gpt-image-1"
    assert EDITS.read(body(model="gpt-image-1", prompt="a")).hosted_tools == EDITS.read(sent).hosted_tools


@pytest.mark.parametrize(
    "sent", [b"", b"{}", b"--b\r\n", b"--\r\n", form(model="x")[:-9], b"--b" + b"x" * 100, form(model="x")[:60]]
)
def test_what_is_no_form_is_refused(sent: bytes) -> None:
    with pytest.raises(Malformed):
        TRANSCRIPTIONS.read(sent)


@pytest.mark.parametrize(
    "sent", [form(), form(model=""), form(model="x" * 301), form(model="a\tb"), form(model="x" * 70_000),
             form(model="x").replace(b'name="file"; filename="a.wav"', b'name="model"')],
)  # fmt: skip
def test_a_form_names_one_model(sent: bytes) -> None:
    with pytest.raises(FieldInvalid):
        TRANSCRIPTIONS.read(sent)


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        (b"------b\r\n", b"preamble\r\n------b\r\n"), (b"------b\r\n", b"\r\n------b\r\n"),
        (b"------b--\r\n", b"------b--\r\nmore"), (b"\x00\xff\x00", b"\r\n------bc\r\n"),
        (b"\x00\xff\x00", b"\n------b\n"), (b"------b\r\n", b"------b \r\n"),
        (b"\r\n\r\nx\r\n------b", b"\r\n\r\n------b"),
        (b'name="model"', b'name="mo\\del"'), (b'name="model"', b'name="model"; name="other"'),
        (b'name="model"', b"name*=utf-8''model"), (b'name="model"', b'name="mod%65l"'), (b'name="model"', b""),
        (b'name="model"', b'name="model"; size=1'), (b'name="model"', b'name="model" ;x'),
        (b'name="model"', b'name="model"\r\n folded: 1'), (b'name="model"', b'name="model"\r\nX-Other: 1'),
        (b'name="model"', b'name="model"\r\nContent-Disposition: form-data; name="other"'),
        (b'name="model"', b'name="model"\r\nContent-Transfer-Encoding: quoted-printable'),
        (b'name="model"', b'name="model"\r\nContent-Type: text/plain; charset=utf-16'),
        (b'name="model"', b'name="model"\nContent-Type: text/plain'),
        (b"form-data; name", b"attachment; name"), (b"Content-Disposition", b"Content-Position"),
    ],
)  # fmt: skip
def test_a_form_that_may_be_read_in_two_ways_is_refused(was: bytes, is_: bytes) -> None:
    sent = form(model="x").replace(was, is_, 1)
    assert sent != form(model="x")
    with pytest.raises(Malformed):
        TRANSCRIPTIONS.read(sent)


@pytest.mark.parametrize(
    "name", ['name="Model"', 'name="model[]"', 'name="STREAM"', 'name="n.x"', 'name="model"; filename=""']
)
def test_what_decides_a_call_has_one_name_and_is_no_file(name: str) -> None:
    with pytest.raises(FieldInvalid):
        TRANSCRIPTIONS.read(form(model="x").replace(b'name="file"; filename="a.wav"', name.encode()))


@pytest.mark.parametrize(
    "disposition",
    [
        b"form-data; name=model", b'form-data;name="model"', b'Form-Data; Name="model"',
        b'form-data; name="model"\r\nContent-Type: text/plain; charset="UTF-8"\r\nContent-Length: 1',
        b'form-data; name="model"\r\nContent-Transfer-Encoding: binary',
    ],
)  # fmt: skip
def test_forms_as_clients_make_them_are_read(disposition: bytes) -> None:
    for boundary in ("----WebKitFormBoundaryx", "8a1c-4f", "b", "=_x", "-" * 26 + "0123456789"):
        sent = form(model="x", boundary=boundary).replace(b'form-data; name="model"', disposition)
        call = TRANSCRIPTIONS.read(sent.replace(b'"a.wav"', b"a.wav; filename*=utf-8''a.wav"))
        assert call.form is not None
        assert (call.model, call.form.content_type) == ("x", f'multipart/form-data; boundary="{boundary}"')


@given(st.binary(max_size=300))
def test_odd_forms_raise_nothing_but_what_is_ours(tail: bytes) -> None:
    for sent in (tail, b"--b\r\n" + tail, form(model="x")[:-12] + tail):
        with suppress(Malformed, FieldInvalid):
            multipart.read(sent)


def test_sound_has_no_bound_and_says_no_usage_but_in_events() -> None:
    call = SPEECH.read(body(model="gpt-4o-mini-tts", input="Hello", voice="alloy"))
    with pytest.raises(Unbounded):
        bounds_of(authorized(call), 100_000)
    reader = SPEECH.answered(call, stream=False)
    assert heard(reader, [b"\x00\xff"]) == b"\x00\xff"
    assert (reader.usage, reader.complete, reader.problem) == (None, True, "sound says no usage")
    # A minute of it is as much as 1,200 tokens.
    reader.feed(b"x" * 960_000)
    assert reader.output_bytes // 3 == 1_201
    assert written(SPEECH, call, model="tts-1")["model"] == "tts-1"
    reader = SPEECH.answered(call, stream=True)
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    heard(reader, [event({"type": "speech.audio.delta"}), event({"type": "speech.audio.done", "usage": usage})])
    assert reader.complete


def test_a_transcription_says_what_it_heard() -> None:
    usage: dict[str, Any] = {
        "type": "tokens",
        "input_tokens": 9,
        "input_token_details": {"audio_tokens": 9},
        "output_tokens": 3,
    }
    expected = {"input_audio": 9, "output_text": 3, "requests": 1}
    call = TRANSCRIPTIONS.read(form(model="gpt-4o-transcribe"))
    reader = TRANSCRIPTIONS.answered(call, stream=False)
    heard(reader, [json.dumps({"text": "hi", "usage": usage}).encode()])
    assert reader.usage == expected
    reader = TRANSCRIPTIONS.answered(call, stream=True)
    heard(
        reader,
        [
            event({"type": "transcript.text.delta", "delta": "hi"}),
            event({"type": "transcript.text.done", "usage": usage}),
        ],
    )
    assert (reader.usage, reader.complete, reader.output_bytes) == (expected, True, 2)


def test_a_picture_in_one_piece_says_what_it_was() -> None:
    call = IMAGES.read(body(model="gpt-image-1", prompt="a"))
    assert written(IMAGES, call, model="gpt-image-1-mini", most=9) == {"model": "gpt-image-1-mini", "prompt": "a"}
    reader = IMAGES.answered(call, stream=False)
    heard(reader, [b'{"data":[],"usage":{"input_tokens":9,"output_tokens":100}}'])
    assert reader.usage == {"input_uncached": 9, "output_image": 100, "requests": 1}
    sent = form(model="gpt-image-1", prompt="a")
    assert EDITS.write(EDITS.read(sent), model="gpt-image-1", max_output_tokens=None) == sent


def test_a_completion_in_one_piece_says_what_it_was() -> None:
    reader = COMPLETIONS.answered(COMPLETIONS.read(body(model="m", prompt="a")), stream=False)
    heard(reader, [b'{"id":"cmpl-1","usage":{"prompt_tokens":9,"completion_tokens":1}}'])
    assert reader.usage == {"input_uncached": 9, "output_text": 1, "requests": 1}


def test_a_form_of_too_many_parts_or_of_no_text_is_refused() -> None:
    with pytest.raises(Malformed, match="64 parts"):
        TRANSCRIPTIONS.read(form(model="x", **{f"f{place}": "y" for place in range(70)}))
    with pytest.raises(FieldInvalid, match="UTF-8"):
        TRANSCRIPTIONS.read(form(model="bad!").replace(b"bad!", b"ba\xff!"))
    with pytest.raises(FieldInvalid):
        TRANSCRIPTIONS.write(TRANSCRIPTIONS.read(form(model="x")), model="a\r\nb", max_output_tokens=None)
