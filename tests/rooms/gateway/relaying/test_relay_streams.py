"""How streams begin and end: an error before the first word is another upstream's turn, one after it is passed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.factories.budgets import budget
from tests.factories.gateway import Gateway
from tests.factories.orgs import Cast
from tests.factories.relaying import Exchange, billed, charged, chat, deployed, idle, message
from tests.fakes.blunt import asked, blunt, head
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Fault, Plan
from tests.rooms.gateway.conftest import Opens

Speaks = Callable[..., Exchange]
WRONG = b'data: {"error":{"message":"too long","type":"invalid_request_error","code":400}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture
def backed(cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime) -> Gateway:
    """In front of the provider and of a standby, and acme may spend a dollar a month."""
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
    return gateways()


@pytest.mark.parametrize("speak", [chat, message])
def test_who_begins_with_an_error_is_followed_by_another_upstream(
    secret: str, backed: Gateway, provider: Upstream, standby: Upstream, speak: Speaks
) -> None:
    provider.then(Plan(fault="error", after_events=0))
    said = speak(backed, secret, stream=True).whole()
    assert (said.status, said.headers["x-capstan-tries"]) == (200, "2")
    assert said.headers["x-capstan-upstream"].startswith("standby")
    assert b'"error"' not in said.raw
    idle(backed, provider, standby)
    # Whoever says an error before the first word bills nothing.
    assert charged(backed) == [("metered", billed(standby))]


@pytest.mark.parametrize("speak", [chat, message])
def test_where_all_begin_with_an_error_the_client_hears_the_last_ones_own_words(
    secret: str, capped: Gateway, provider: Upstream, speak: Speaks
) -> None:
    provider.then(Plan(fault="error", after_events=0))
    said = speak(capped, secret, stream=True).whole()
    assert (said.status, said.finished) == (200, True)
    assert said.headers["Content-Type"].startswith("text/event-stream")
    assert errors_in(said) == 1
    assert "capstan" not in said.raw.decode()
    idle(capped, provider)
    assert charged(capped) == []


@pytest.mark.parametrize("speak", [chat, message])
def test_an_error_in_the_middle_is_passed_on_as_it_is_and_is_the_only_one(
    secret: str, backed: Gateway, provider: Upstream, standby: Upstream, speak: Speaks
) -> None:
    provider.then(Plan(fault="error", after_events=8))
    said = speak(backed, secret, stream=True).whole()
    assert (said.status, said.finished) == (200, True)
    assert errors_in(said) == 1
    assert b"upstream_broke" not in said.raw
    assert standby.seen == []
    idle(backed, provider)
    ((evidence, cost),) = charged(backed)
    assert (evidence, cost > 0) == ("estimated", True)


def errors_in(said: Exchange) -> int:
    events = [event.rpartition(b"data: ")[2] for event in said.raw.split(b"\n\n") if b"data: {" in event]
    return sum("error" in json.loads(event) for event in events)


@pytest.mark.parametrize("pieces", [[WRONG], [WRONG[:9], WRONG[9:], DONE], [WRONG + DONE], [WRONG.rstrip()]])
def test_an_error_that_is_the_requests_own_is_tried_nowhere_else_and_costs_nothing(
    cast: Cast, secret: str, gateways: Opens, standby: Upstream, now: datetime, pieces: list[bytes]
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head("text/event-stream", "connection: close"))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)

    budget(cast.acme.id, "1", at=now)
    with blunt(talk) as strict:
        deployed(cast.acme.id, strict, at=now)
        deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
        gateway = gateways()
        said = chat(gateway, secret, stream=True).whole()
        assert (said.status, said.raw) == (200, b"".join(pieces))
        idle(gateway)
    assert standby.seen == []
    assert charged(gateway) == []


def test_who_always_breaks_off_is_left_alone_for_a_while(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
    gateway = gateways()

    def served() -> str:
        return chat(gateway, secret, stream=True).whole().headers["x-capstan-upstream"]

    faults: tuple[Fault, ...] = ("reset", "unfinished", "error", "reset", "unfinished")
    for fault in faults:
        provider.then(Plan(fault=fault, after_events=5))
        assert served() == "openai"
    assert [served() for _ in range(3)] == ["standby"] * 3


ENDS: dict[Speaks, bytes] = {
    chat: b'data: {"id":"c-1","model":"gpt","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}\n\n' + DONE,
    message: b'event: message_start\ndata: {"type":"message_start","message":{"id":"m-1","model":"claude","usage":'
    b'{"input_tokens":9,"output_tokens":5}}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
}


@pytest.mark.parametrize("speak", [chat, message])
def test_a_body_that_is_kept_open_after_the_answers_end_keeps_nobody_waiting(
    cast: Cast, secret: str, gateways: Opens, now: datetime, speak: Speaks
) -> None:
    late = b": and a word more\n\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head("text/event-stream", "transfer-encoding: chunked"))
        for piece in (ENDS[speak], late):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.05)
        # It does not end until the connection does.
        await reader.read()

    budget(cast.acme.id, "1", at=now)
    with blunt(talk) as open_ended:
        deployed(cast.acme.id, open_ended, at=now, total_s=600.0)
        gateway = gateways()
        for _ in range(2):
            said = speak(gateway, secret, stream=True).whole()
            assert (said.status, said.finished) == (200, True)
            assert said.raw.endswith(DONE + late if speak is chat else b'"message_stop"}\n\n' + late)
        # Its connections are not used again.
        assert open_ended.connections == 2
        idle(gateway)
    assert [evidence for evidence, _ in charged(gateway)] == ["metered"] * 2


def test_a_body_that_ends_with_its_answer_leaves_its_connection_for_the_next_call(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            writer.write(head("text/event-stream", "transfer-encoding: chunked"))
            writer.write(b"%x\r\n%s\r\n" % (len(ENDS[chat]), ENDS[chat]))
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.write(b"0\r\n\r\n")

    with blunt(talk) as usual:
        deployed(cast.acme.id, usual, at=now)
        gateway = gateways()
        for _ in range(3):
            assert chat(gateway, secret, stream=True).whole().raw.endswith(DONE)
        assert usual.connections == 1


def test_who_left_is_not_read_for_beyond_the_answers_end(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head("text/event-stream", "transfer-encoding: chunked"))
        for piece in (b'data: {"id":"c-1","model":"gpt","choices":[]}\n\n', ENDS[chat]):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.2)
        await reader.read()

    budget(cast.acme.id, "1", at=now)
    with blunt(talk) as open_ended:
        deployed(cast.acme.id, open_ended, at=now, total_s=600.0, bills_cancelled=True)
        gateway = gateways()
        call = chat(gateway, secret, stream=True).until(1)
        call.leave()
        call.whole()
        idle(gateway)
    assert [evidence for evidence, _ in charged(gateway)] == ["metered"]


def test_half_an_event_is_not_yet_an_answer(
    cast: Cast, secret: str, gateways: Opens, standby: Upstream, now: datetime
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head("text/event-stream", "connection: close") + b'data: {"id":"c-1","cho')
        await reader.read()

    budget(cast.acme.id, "1", at=now)
    with blunt(talk) as stuck:
        deployed(cast.acme.id, stuck, at=now, first_byte_s=0.3)
        deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
        gateway = gateways()
        said: Any = chat(gateway, secret, stream=True).whole()
        assert (said.status, said.headers["x-capstan-upstream"]) == (200, "standby")
        idle(gateway, standby)
