"""The scripted upstream says what providers' references say, bills what it served, and goes wrong as told."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import struct
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from finops.runtime.places import CHECKOUT
from tests.fakes.upstream import Plan, Script, Upstream
from tests.unit.fakes.asking import HELLO, TOOL, Got, ask, chat, message, respond

DEALT = [chat, respond, message]


def test_a_chat_uses_what_can_be_counted_in_ones_head(upstream: Upstream) -> None:
    said = chat(upstream).json
    # "user" and "hello there": 15 bytes.
    assert said["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 40,
        "total_tokens": 44,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    assert said["choices"][0]["message"]["content"].count("word") == 40
    assert said["choices"][0]["finish_reason"] == "stop"


def test_the_bill_says_the_same_and_what_it_costs(upstream: Upstream) -> None:
    upstream.then(Plan(input_tokens=1_000, cached_tokens=400, output_tokens=100, reasoning_tokens=30))
    said = chat(upstream).json
    (line,) = upstream.bill.lines
    assert line.answer_id == said["id"]
    assert line.meters == {"input_uncached": 600, "cache_read": 400, "output_text": 70, "output_reasoning": 30}
    # 600 at $10, 400 at $1 and 100 at $20 a million.
    assert line.pico == upstream.bill.pico == 8_400_000_000


def test_what_has_no_price_is_no_free_lunch(upstream: Upstream) -> None:
    chat(upstream, model="nobody-knows")
    assert upstream.bill.lines[0].pico is None


@pytest.mark.parametrize("how", DEALT)
def test_a_stream_tells_what_a_whole_answer_tells(upstream: Upstream, how: Any) -> None:
    plan = Plan(input_tokens=50, cached_tokens=10, output_tokens=12, reasoning_tokens=4, web_searches=1)
    upstream.then(plan, plan)
    whole = how(upstream).json
    streamed = _last_usage(how(upstream, stream=True, **_asking(how)))
    assert {name: whole["usage"][name] for name in streamed} == streamed
    first, second = upstream.bill.lines
    assert (first.meters, first.pico) == (second.meters, second.pico)


def _asking(how: Any) -> dict[str, Any]:
    return {"stream_options": {"include_usage": True}} if how is chat else {}


def _last_usage(got: Got) -> dict[str, Any]:
    usages = [event.get("usage") or event.get("response", {}).get("usage") for event in got.events if event != "[DONE]"]
    told: dict[str, Any] = [one for one in usages if one][-1]
    return told


def test_a_limit_cuts_and_says_so(upstream: Upstream) -> None:
    assert chat(upstream, max_tokens=5).json["choices"][0]["finish_reason"] == "length"
    assert chat(upstream, max_completion_tokens=5).json["usage"]["completion_tokens"] == 5
    assert respond(upstream, max_output_tokens=5).json["incomplete_details"] == {"reason": "max_output_tokens"}
    assert message(upstream, max_tokens=5).json["stop_reason"] == "max_tokens"


def test_choices_are_each_an_answer(upstream: Upstream) -> None:
    assert chat(upstream, n=3).json["usage"]["completion_tokens"] == 120
    chat(upstream, n=3, stream=True)
    assert [line.meters["output_text"] for line in upstream.bill.lines] == [120, 120]


def test_a_chat_that_asks_for_usage_finds_it_null_and_then_once_without_choices(upstream: Upstream) -> None:
    *chunks, last, done = chat(upstream, stream=True, stream_options={"include_usage": True}).events
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]["completion_tokens"], done) == ([], 40, "[DONE]")


def test_a_chat_that_does_not_ask_finds_no_usage(upstream: Upstream) -> None:
    assert all("usage" not in chunk for chunk in chat(upstream, stream=True).events[:-1])


def test_anthropic_says_input_at_first_and_all_of_it_so_far_at_last(upstream: Upstream) -> None:
    upstream.then(Plan(input_tokens=100, cached_tokens=60, cache_write_5m=20, cache_write_1h=10, web_searches=2))
    events = message(upstream, stream=True).events
    first, last = events[0]["message"]["usage"], events[-2]["usage"]
    assert (first["input_tokens"], first["cache_read_input_tokens"], first["output_tokens"]) == (10, 60, 1)
    assert first["cache_creation"] == {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}
    assert (last["output_tokens"], last["input_tokens"]) == (40, 10)
    assert last["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}
    assert "ping" in [event["type"] for event in events]
    # 10 at $3, 60 at $0.30, 20 at $3.75, 10 at $6 and 40 at $15 a million; two searches at $10 a thousand.
    assert upstream.bill.pico == 20_783_000_000


def test_tools_are_called_when_they_are_offered(upstream: Upstream) -> None:
    upstream.script(Script(usual=Plan(calls_tool=True, output_tokens=6, tokens_per_event=2)))
    custom = {"name": "look", "input_schema": {"type": "object"}}
    of_responses = {"type": "function", "name": "look", "parameters": {}}
    call = chat(upstream, tools=[TOOL]).json["choices"][0]
    assert (call["finish_reason"], call["message"]["tool_calls"][0]["function"]["name"]) == ("tool_calls", "look")
    told = chat(upstream, tools=[TOOL], stream=True).events[1:-2]
    pieces = [one["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] for one in told]
    assert json.loads("".join(pieces)) == json.loads(call["message"]["tool_calls"][0]["function"]["arguments"])
    (item,) = respond(upstream, tools=[of_responses]).json["output"]
    assert (item["type"], item["name"]) == ("function_call", "look")
    deltas = [one["delta"] for one in respond(upstream, tools=[of_responses], stream=True).events if "delta" in one]
    assert "".join(deltas) == item["arguments"]
    assert message(upstream, tools=[custom]).json["content"][0]["input"] == json.loads(item["arguments"])
    parts = [
        one["delta"]["partial_json"]
        for one in message(upstream, tools=[custom], stream=True).events
        if one["type"] == "content_block_delta"
    ]
    assert "".join(parts) == item["arguments"]
    assert chat(upstream).json["choices"][0]["finish_reason"] == "stop"
    assert {line.meters["output_text"] for line in upstream.bill.lines} == {6}


def test_embeddings_are_numbers_or_their_bytes(upstream: Upstream) -> None:
    body = {"model": "embed", "input": ["one", "three"]}
    said = ask(upstream, "/v1/embeddings", body).json
    assert [len(row["embedding"]) for row in said["data"]] == [8, 8]
    assert said["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    (row, _) = ask(upstream, "/v1/embeddings", {**body, "encoding_format": "base64", "dimensions": 3}).json["data"]
    assert struct.unpack("<3f", base64.b64decode(row["embedding"])) == pytest.approx((0.1, 0.2, 0.3))


def test_counting_costs_nothing(upstream: Upstream) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    said = ask(upstream, "/v1/messages/count_tokens", {"model": "claude", "messages": HELLO}, headers)
    assert (said.json, upstream.bill.lines) == ({"input_tokens": 4}, [])


def test_models_are_listed_in_either_shape(upstream: Upstream) -> None:
    assert ask(upstream, "/v1/models", None).json["data"][0]["object"] == "model"
    assert ask(upstream, "/v1/models", None, {"anthropic-version": "2023-06-01"}).json["first_id"] == "gpt"


def test_errors_are_the_familys(upstream: Upstream) -> None:
    slow = Plan(status=429, headers={"retry-after": "7"})
    upstream.then(slow, slow, Plan(status=529), Plan(status=429, code="insufficient_quota"))
    got = chat(upstream)
    assert (got.status, got.headers["retry-after"]) == (429, "7")
    assert got.json["error"]["code"] == "rate_limit_exceeded"
    got = message(upstream)
    assert (got.json["type"], got.json["error"]["type"]) == ("error", "rate_limit_error")
    assert got.json["request_id"] == got.headers["request-id"]
    assert message(upstream).json["error"]["type"] == "overloaded_error"
    assert chat(upstream).json["error"]["type"] == "insufficient_quota"
    assert upstream.bill.lines == []


def test_what_no_provider_would_take_it_does_not(upstream: Upstream) -> None:
    path = "/v1/chat/completions"
    assert ask(upstream, path, b'{"model": "gpt", ').status == 400
    assert ask(upstream, path, {"model": "gpt"}).json["error"]["param"] == "messages"
    assert chat(upstream, max_tokens=0).status == 400
    assert chat(upstream, stream_options={"include_usage": True}).json["error"]["param"] == "stream_options"
    no_version = ask(upstream, "/v1/messages", {"model": "claude", "max_tokens": 5, "messages": HELLO})
    assert no_version.status == 400
    assert ask(upstream, "/v1/nothing", {}).status == 404
    upstream.script(Script(key="sk-right"))
    assert chat(upstream).status == 401
    assert ask(upstream, path, {"model": "gpt", "messages": HELLO}, {"authorization": "Bearer sk-right"}).status == 200


def test_headers_say_the_request_and_how_much_is_left(upstream: Upstream) -> None:
    headers = chat(upstream).headers
    assert headers["x-request-id"] == upstream.bill.lines[0].request_id
    assert headers["x-ratelimit-remaining-requests"] == "9999"
    assert message(upstream).headers["anthropic-ratelimit-tokens-limit"] == "480000"


def test_two_upstreams_never_say_the_same_id(upstream: Upstream) -> None:
    with_another = Upstream()
    try:
        assert chat(upstream).json["id"] != chat(with_another).json["id"]
    finally:
        with_another.close()


def test_what_came_is_kept_byte_by_byte(upstream: Upstream) -> None:
    raw = b'{ "model":"gpt" ,"messages":[],"odd":1e3,"text":"\\u00e9\xc3\xa9" }'
    ask(upstream, "/v1/chat/completions?beta=true", raw, {"X-Stainless-Lang": "python"})
    (seen,) = upstream.seen
    assert (seen.body, seen.query, seen.header("x-stainless-lang")) == (raw, "beta=true", "python")
    assert (b"X-Stainless-Lang", b"python") in seen.headers


def test_a_test_decides_by_the_request(upstream: Upstream) -> None:
    upstream.decides(lambda seen: Plan(output_tokens=3) if seen.json["model"] == "gpt-mini" else None)
    assert chat(upstream, model="gpt-mini").json["usage"]["completion_tokens"] == 3
    assert chat(upstream).json["usage"]["completion_tokens"] == 40
    upstream.decides(None)
    upstream.script(Script(by_model={"gpt-mini": Plan(output_tokens=2)}))
    assert chat(upstream, model="gpt-mini").json["usage"]["completion_tokens"] == 2


def test_it_may_lie_about_usage_or_say_none_but_not_in_its_bill(upstream: Upstream) -> None:
    upstream.then(Plan(usage={"completion_tokens": -1}), Plan(no_usage=True), Plan(no_usage=True))
    assert chat(upstream).json["usage"]["completion_tokens"] == -1
    assert "usage" not in chat(upstream).json
    asked = chat(upstream, stream=True, stream_options={"include_usage": True})
    assert (asked.events[-1], asked.events[-2]["choices"][0]["finish_reason"]) == ("[DONE]", "stop")
    assert {line.meters["output_text"] for line in upstream.bill.lines} == {40}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["reset", "close", "truncated"])
def test_a_connection_breaks(upstream: Upstream, fault: Any, stream: bool) -> None:
    upstream.then(Plan(fault=fault))
    with pytest.raises(ConnectionResetError if fault == "reset" else http.client.IncompleteRead):
        chat(upstream, stream=stream)
    (line,) = upstream.bill.wait(1)
    assert line.cancelled


@pytest.mark.parametrize("how", DEALT)
def test_a_stream_ends_early(upstream: Upstream, how: Any) -> None:
    upstream.then(Plan(fault="unfinished"), Plan(fault="error"))
    assert "stop" not in str(how(upstream, stream=True).events[-1])
    assert "rror" in str(how(upstream, stream=True).events[-1])


def test_some_events_nobody_can_read(upstream: Upstream) -> None:
    upstream.then(Plan(fault="malformed"))
    raw = chat(upstream, stream=True).raw
    assert b"\xff\xfe" in raw
    assert raw.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
def test_one_event_is_huge(upstream: Upstream, stream: bool) -> None:
    upstream.then(Plan(fault="huge"))
    assert len(chat(upstream, stream=stream).raw) > 10 * 2**20


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_compressed_though_nobody_asked(upstream: Upstream, stream: bool) -> None:
    upstream.then(Plan(fault="gzip"))
    got = chat(upstream, stream=stream)
    assert got.headers["content-encoding"] == "gzip"
    assert gzip.decompress(got.raw).count(b"word0") == 6


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_of_the_nineties(upstream: Upstream, stream: bool) -> None:
    upstream.then(Plan(fault="http10"))
    got = chat(upstream, stream=stream)
    assert "content-length" not in got.headers
    assert "transfer-encoding" not in got.headers
    assert got.raw.count(b"word0") == 6


@pytest.mark.parametrize(("bills", "least", "most"), [("whole", 40, 40), ("so_far", 2, 39), ("nothing", 0, 0)])
def test_who_leaves_is_billed_as_it_is_switched(upstream: Upstream, bills: Any, least: int, most: int) -> None:
    upstream.script(Script(usual=Plan(holds_after=4), bills_cancelled=bills))
    _leave(upstream, after=b"word1")
    (line,) = upstream.bill.wait(1)
    assert line.cancelled
    assert least <= line.meters.get("output_text", 0) <= most


def _leave(upstream: Upstream, after: bytes) -> None:
    """Reads a stream up to there, and closes the connection."""
    body = json.dumps({"model": "gpt", "messages": HELLO, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=20) as wire:
        wire.sendall(head.encode() + body)
        read = b""
        while after not in read:
            read += wire.recv(65536)


def test_a_held_stream_goes_on_when_it_is_let_go(upstream: Upstream) -> None:
    upstream.then(Plan(holds_after=4), Plan(hangs=True))
    upstream.release()
    assert chat(upstream, stream=True).events[-1] == "[DONE]"
    assert chat(upstream).status == 200
    assert upstream.open == 0


def test_in_a_process_of_its_own_it_is_steered_over_http() -> None:
    command = [sys.executable, "-m", "tests.fakes.upstream", "--script", '{"usual": {"output_tokens": 7}}']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        there = Elsewhere(int(process.stdout.readline()))
        there.tell({"queue": [{"status": 500}]})
        assert [chat(there).status, chat(there).json["usage"]["completion_tokens"]] == [500, 7]
        told = ask(there, "/_", None).json
        assert (told["served"], told["meters"]) == (1, {"input_uncached": 4, "output_text": 7})
        assert ask(there, "/_/lines", None).json[0]["model"] == "gpt"
        assert there.tell({"forget": True})["served"] == 0
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


class Elsewhere(NamedTuple):
    port: int

    def tell(self, said: dict[str, Any]) -> Any:
        return ask(self, "/_", said).json
