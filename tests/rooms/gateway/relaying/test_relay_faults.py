"""Upstreams that do wrong: the client hears of it in its own words, the charge is right or says that it is estimated,
and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from routing.gateway.proxy import attempt, flow
from tests.factories.budgets import budget
from tests.factories.gateway import Gateway
from tests.factories.orgs import Cast
from tests.factories.relaying import Exchange, billed, charged, chat, counting, deployed, expired, idle, message
from tests.fakes.blunt import asked, blunt, head
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens

Speaks = Callable[..., Exchange]
CHAT_BODY = b'{"id":"c-1","model":"gpt","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}'


@pytest.fixture
def gateway(cast: Cast, gateways: Opens, provider: Upstream, now: datetime) -> Gateway:
    budget(cast.acme.id, "1000", at=now)
    deployed(cast.acme.id, provider, at=now, connect_s=1.0, first_byte_s=1.0, total_s=3.0)
    return gateways()


def ends_wrong(said: Exchange, speak: Speaks) -> bool:
    """Whether an answer is an error in the family's shape, or a stream that ends with one."""
    if said.status != 200:
        error = said.body["error"]
        return error["message"] != "" and (said.body.get("type") == "error") is (speak is message)
    last = said.raw.rstrip(b"\n").rpartition(b"\n\n")[2]
    error = json.loads(last.rpartition(b"data: ")[2])["error"]
    return "broke off" in error["message"] and last.startswith(b"event: error") is (speak is message)


@pytest.mark.parametrize("speak", [chat, message])
def test_streams_that_break_end_with_an_error_and_are_charged_by_an_estimate(
    secret: str, gateway: Gateway, provider: Upstream, speak: Speaks
) -> None:
    faults: tuple[Any, ...] = ("reset", "close", "unfinished", "truncated")
    for fault in faults:
        provider.then(Plan(fault=fault))
        said = speak(gateway, secret, stream=True).whole()
        assert (said.status, said.finished) == (200, True), fault
        assert ends_wrong(said, speak), (fault, said.raw)
        idle(gateway, provider)
    charges = charged(gateway)
    assert [evidence for evidence, _ in charges] == ["estimated"] * len(faults)
    assert all(cost > 0 for _, cost in charges)


@pytest.mark.parametrize("speak", [chat, message])
def test_streams_that_are_odd_pass_and_are_charged_exactly(
    secret: str, gateway: Gateway, provider: Upstream, speak: Speaks
) -> None:
    for plan in (
        Plan(fault="malformed"),
        Plan(fault="huge"),
        Plan(fault="huge", huge_bytes=20 * 2**20),
        Plan(fault="http10"),
        Plan(fault="gzip"),
    ):
        provider.then(plan)
        said = speak(gateway, secret, stream=True).whole()
        assert (said.status, said.finished) == (200, True), plan
        assert (b"[DONE]" in said.raw) if speak is chat else (b"message_stop" in said.raw), plan
        assert len(said.raw) > (plan.huge_bytes if plan.fault == "huge" else 0)
        if plan.fault == "malformed":
            assert b"data: \xff\xfe not text\n\n" in said.raw
        idle(gateway, provider)
    charges = charged(gateway)
    assert [evidence for evidence, _ in charges] == ["metered"] * 5
    assert sum(cost for _, cost in charges) == billed(provider)


@pytest.mark.parametrize("speak", [chat, message])
def test_whole_answers_that_are_odd_or_broken(secret: str, gateway: Gateway, provider: Upstream, speak: Speaks) -> None:
    passed: tuple[Any, ...] = ("huge", "http10", "gzip")
    for fault in passed:
        provider.then(Plan(fault=fault))
        said = speak(gateway, secret).whole()
        assert (said.status, said.body["model"]) == (200, "gpt" if speak is chat else "claude"), fault
        idle(gateway, provider)
    assert charged(gateway) == [("metered", Decimal(line.pico or 0) / 10**12) for line in provider.bill.lines]
    broken: tuple[Any, ...] = ("reset", "close", "truncated")
    for fault in broken:
        provider.then(Plan(fault=fault))
        said = speak(gateway, secret).whole()
        assert said.status == 502, (fault, said.raw)
        assert ends_wrong(said, speak)
        idle(gateway, provider)
    assert [evidence for evidence, _ in charged(gateway)][3:] == ["estimated"] * 3


LIES: tuple[dict[str, Any], ...] = (
    {"prompt_tokens": -5, "input_tokens": -5},
    {"completion_tokens": "many", "output_tokens": "many"},
    {"prompt_tokens_details": {"cached_tokens": 10**6}, "cache_read_input_tokens": -1},
    {"prompt_tokens": 10**15, "input_tokens": 10**15},
    {"prompt_tokens": 10**30, "input_tokens": 10**30},
    {"completion_tokens": 1.5, "output_tokens": 1.5},
    {"prompt_tokens": None, "completion_tokens": None, "input_tokens": [], "output_tokens": {}},
)


@pytest.mark.parametrize("speak", [chat, message])
@pytest.mark.parametrize("stream", [True, False])
def test_lies_about_usage_are_not_believed_and_hold_nothing(
    secret: str, gateway: Gateway, provider: Upstream, speak: Speaks, stream: bool
) -> None:
    for plan in (Plan(no_usage=True), *(Plan(usage=usage) for usage in LIES)):
        provider.then(plan)
        said = speak(gateway, secret, stream=stream).whole()
        assert (said.status, said.finished) == (200, True), (plan, said.raw)
        idle(gateway, provider)
    charges = charged(gateway)
    assert [evidence for evidence, _ in charges] == ["estimated"] * (1 + len(LIES))
    assert all(0 < cost < Decimal("0.1") for _, cost in charges)


@pytest.mark.parametrize("speak", [chat, message])
def test_an_answer_that_says_no_output_is_charged_for_what_was_written(
    secret: str, gateway: Gateway, provider: Upstream, speak: Speaks
) -> None:
    nothing = {"completion_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    for stream in (True, False):
        provider.then(Plan(usage=nothing, text="word " * 60))
        assert speak(gateway, secret, stream=stream).whole().status == 200
    charges = charged(gateway)
    assert [evidence for evidence, _ in charges] == ["estimated", "estimated"]
    # A hundred tokens, three bytes each.
    assert all(cost > 100 * Decimal("0.000015") for _, cost in charges)


@pytest.mark.parametrize("speak", [chat, message])
def test_an_upstream_that_hangs_is_waited_for_as_long_as_was_said(
    secret: str, gateway: Gateway, provider: Upstream, speak: Speaks
) -> None:
    for stream in (True, False):
        provider.then(Plan(hangs=True))
        said = speak(gateway, secret, stream=stream).whole()
        assert said.status == 502, said.raw
        assert ends_wrong(said, speak)
        assert said.body["error"]["code"] == "gateway.upstream_away"
        idle(gateway, provider)
    # It began, and goes on for ever: for no longer than a call may take.
    provider.then(Plan(holds_after=3))
    said = speak(gateway, secret, stream=True).whole()
    assert ends_wrong(said, speak)
    idle(gateway, provider)
    assert [evidence for evidence, _ in charged(gateway)] == ["estimated"] * 3


@pytest.mark.parametrize(("media_type", "drop"), [("text/event-stream", b": wait\n\n"), ("application/json", b" ")])
def test_an_upstream_that_trickles_is_listened_to_no_longer_than_a_call_takes(
    cast: Cast, secret: str, gateways: Opens, now: datetime, media_type: str, drop: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head(media_type, "connection: close"))
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)

    budget(cast.acme.id, "1", at=now)
    with blunt(talk) as slow:
        deployed(cast.acme.id, slow, at=now, connect_s=1.0, first_byte_s=1.0, total_s=2.0)
        gateway = gateways()
        said = chat(gateway, secret, stream=media_type == "text/event-stream").whole()
        assert ends_wrong(said, chat)
        idle(gateway, slow)
    assert [evidence for evidence, _ in charged(gateway)] == ["estimated"]


@pytest.mark.parametrize("stream", [True, False])
def test_who_worked_for_long_without_a_word_is_charged_as_the_most_once_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, secret: str, gateway: Gateway, provider: Upstream, stream: bool
) -> None:
    monkeypatch.setattr(attempt, "WORKED_AFTER_S", 0.5)
    provider.then(Plan(hangs=True))
    assert chat(gateway, secret, stream=stream).whole().status == 502
    ((before, estimate),) = charged(gateway)
    (held,) = [held for _, held in gateway.process.desk.leased().values() if held]
    expired(gateway)
    idle(gateway, provider)
    assert before == "estimated"
    assert sum(cost for _, cost in charged(gateway)) == estimate + Decimal(held) / 10**12


def test_a_stream_is_cut_for_its_silence_and_not_for_its_length(
    monkeypatch: pytest.MonkeyPatch, secret: str, gateway: Gateway, provider: Upstream
) -> None:
    monkeypatch.setattr(flow, "SILENCE_S", 0.3)
    provider.then(Plan(output_tokens=20, between_s=0.05))
    said = chat(gateway, secret, stream=True).whole()
    assert b"[DONE]" in said.raw
    provider.then(Plan(holds_after=3))
    said = chat(gateway, secret, stream=True).whole()
    assert ends_wrong(said, chat), said.raw
    idle(gateway, provider)
    assert [evidence for evidence, _ in charged(gateway)] == ["metered", "estimated"]


@pytest.mark.parametrize("stream", [True, False])
def test_who_bills_to_the_end_is_not_waited_for_longer_than_a_call_takes(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, stream: bool
) -> None:
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now, connect_s=1.0, first_byte_s=1.0, total_s=2.0, bills_cancelled=True)
    gateway = gateways()
    provider.then(Plan(holds_after=3, hangs=not stream))
    call = chat(gateway, secret, stream=stream)
    if stream:
        call.until(1)
    else:
        provider.asked(1)
    call.leave()
    call.whole()
    assert gateway.process.relay._flows == set()
    ((evidence, cost),) = charged(gateway)
    assert (evidence, cost > 0) == ("estimated", True)
    # The rest of what it may have cost stays held until nobody can say more.
    assert any(held for _, held in gateway.process.desk.leased().values())


ODD: dict[str, tuple[bytes, int, str]] = {
    "a page": (head("text/html", "content-length: 19") + b"<html>Hello.</html>", 502, ""),
    "nothing": (head("application/json", "content-length: 0"), 502, "estimated"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 502, "estimated"),
    "half a head": (b"HTTP/1.1 200 OK\r\ncontent-ty", 502, "estimated"),
    "elsewhere": (head("text/plain", "location: http://evil/", "content-length: 0", status="307 Moved"), 502, ""),
    "no such coding": (head("application/json", "content-encoding: gzip", "content-length: 9") + b"not gzip!", 502,
                       "estimated"),
    "cut JSON": (head("application/json", "connection: close") + CHAT_BODY[:40], 502, "estimated"),
    "an empty stream": (head("text/event-stream", "content-length: 0"), 502, "estimated"),
    "a list": (head("application/json", "content-length: 2") + b"[]", 502, "estimated"),
}  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
def test_answers_that_are_none_are_told_as_such(
    cast: Cast, secret: str, gateways: Opens, now: datetime, stream: bool
) -> None:
    raw = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(raw)
        await writer.drain()

    budget(cast.acme.id, "1", at=now)
    with blunt(talk) as odd:
        deployed(cast.acme.id, odd, at=now, connect_s=1.0, first_byte_s=1.0, total_s=3.0)
        gateway = gateways()
        expected = []
        for name, (said_raw, status, evidence) in ODD.items():
            raw = said_raw
            said = chat(gateway, secret, stream=stream).whole()
            assert (said.status, said.finished) == (status, True), (name, said.raw)
            assert said.body["error"]["message"], name
            assert "location" not in said.headers
            if name in ("elsewhere", "no HTTP", "half a head"):
                counted = counting(gateway, secret).whole()
                assert (counted.status, counted.body["type"]) == (502, "error"), name
            idle(gateway)
            expected += [evidence] if evidence else []
        assert [evidence for evidence, _ in charged(gateway)] == expected


def test_an_error_that_comes_in_pieces_comes_as_a_whole(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    words = json.dumps({"error": {"message": "no" * 500, "type": "invalid_request_error"}}).encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head("application/json", f"content-length: {len(words)}", status="400 Bad Request") + words[:100])
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(words[100:])

    with blunt(talk) as slow:
        deployed(cast.acme.id, slow, at=now)
        gateway = gateways()
        said = chat(gateway, secret).whole()
        assert (said.status, said.raw) == (400, words)
        counted = counting(gateway, secret).whole()
        assert (counted.status, counted.raw) == (400, words)
        idle(gateway)


def test_a_connection_that_was_closed_under_us_is_made_anew_and_one_that_was_just_made_is_not(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    turn = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        while True:
            await asked(reader)
            turn += 1
            if turn in (2, 5):
                return
            # All its answers have one id: they are charged, each.
            writer.write(head("application/json", f"content-length: {len(CHAT_BODY)}") + CHAT_BODY)
            if turn == 4:
                return

    budget(cast.acme.id, "1", at=now)
    with blunt(talk) as closing:
        deployed(cast.acme.id, closing, at=now)
        gateway = gateways()
        assert [chat(gateway, secret).whole().status for _ in range(3)] == [200, 200, 200]
        assert (turn, closing.connections) == (4, 2)
        # The fourth connection is new, and whoever closes that may have done its work.
        said = chat(gateway, secret).whole()
        assert (said.status, turn, closing.connections) == (502, 5, 3)
        idle(gateway)
    assert [evidence for evidence, _ in charged(gateway)] == ["metered"] * 3 + ["estimated"]


def test_a_connection_that_does_not_come_about_costs_nothing(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "1", at=now)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            # Nobody accepts: the next one to come waits.
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        there = SimpleNamespace(address=f"http://127.0.0.1:{full.getsockname()[1]}")
        deployed(cast.acme.id, there, at=now, connect_s=0.3)
        gateway = gateways()
        said = chat(gateway, secret).whole()
        assert (said.status, said.body["error"]["code"]) == (502, "gateway.upstream_away")
        assert "cannot be reached" in said.body["error"]["message"]
        idle(gateway)
    assert charged(gateway) == []
