"""Clients that leave and calls that are stopped, at whatever moment: nothing is left behind, and nothing is charged
that was never sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from finops.budgets.services.stops import stop_now
from tests.factories.budgets import budget, standing
from tests.factories.gateway import Gateway
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import Exchange, charged, chat, deployed, expired, idle, message, under_way
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan, Script
from tests.rooms.gateway.conftest import Opens


@pytest.mark.parametrize("bills_cancelled", [False, True])
def test_clients_that_leave_at_any_moment_leave_nothing_behind(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, bills_cancelled: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    cap = budget(cast.acme.id, "1", at=now)
    deployed(
        cast.acme.id, provider, at=now, connect_s=1.0, first_byte_s=1.0, total_s=2.0, bills_cancelled=bills_cancelled
    )
    provider.script(Script(usual=Plan(between_s=0.001, first_byte_s=0.005)))
    gateway = gateways()
    dice = Random(4)
    calls = []
    for n in range(120):
        call = (chat if n % 2 else message)(gateway, secret, stream=n % 3 != 0)
        gateway.loop.call_soon_threadsafe(gateway.loop.call_later, dice.random() * 0.08, call.leave)
        calls.append(call)
        if n % 6 == 5:
            for one in calls[-6:]:
                one.whole()
    whole = [one for one in calls if one.finished]
    assert 0 < len(whole) < len(calls)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    charges = charged(gateway)
    assert len(charges) >= len(provider.bill.lines)
    assert all(cost > 0 for _, cost in charges)
    if not bills_cancelled:
        idle(gateway, provider)
    else:
        # Read to its end: what the upstream billed, but for what had not begun to be answered, which stays held.
        expired(gateway)
        idle(gateway, provider)
    gateway.process.desk.give_back()
    assert Decimal(0) <= standing(cap, now).leased < Decimal("0.5")


def test_a_picture_is_no_text_though_its_answer_breaks_off(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "10", at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    provider.then(Plan(holds_after=3))
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000_000}}
    call = chat(gateway, secret, stream=True, messages=[{"role": "user", "content": [picture]}]).until(1)
    call.leave()
    call.whole()
    ((evidence, cost),) = charged(gateway)
    # Not the million tokens that its bytes would be.
    assert (evidence, Decimal("0.4") < cost < Decimal("0.6")) == ("estimated", True)


def test_a_call_that_was_never_sent_costs_nothing(
    secret: str, capped: Gateway, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = capped.process.deciding
    decision = deciding.decision
    calls: list[Any] = []

    async def slowly(*given: Any) -> Any:
        said = await decision(*given)
        calls[-1].leave()
        await asyncio.sleep(0.05)
        return said

    monkeypatch.setattr(type(deciding), "decision", staticmethod(slowly))
    for stream in (True, False):
        calls.append(chat(capped, secret, stream=stream))
        calls[-1].whole()
    idle(capped, provider)
    assert (provider.seen, charged(capped)) == ([], [])


@pytest.mark.parametrize("stream", [True, False])
def test_a_stop_that_comes_while_a_call_waits_for_its_money_ends_it(
    secret: str, capped: Gateway, provider: Upstream, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, deciding = capped.process.relay, capped.process.deciding
    decision = deciding.decision

    async def stopped_at_once(*given: Any) -> Any:
        # Its money is held, and whoever waits for that has not heard so yet.
        said = await decision(*given)
        await relay.cut([("", said.allowance.held.id)], "It loops")
        return said

    monkeypatch.setattr(type(deciding), "decision", staticmethod(stopped_at_once))
    said = chat(capped, secret, stream=stream).whole()
    assert (said.status, said.body["error"]["code"]) == (429, "budgets.stopped"), said.raw
    idle(capped, provider)
    assert (provider.seen, charged(capped)) == ([], [])


def test_a_stop_before_the_first_byte_is_told_as_a_refusal(
    cast: Cast, secret: str, gateway: Gateway, provider: Upstream, now: datetime
) -> None:
    waiting = []
    for n, (speak, stream) in enumerate([(chat, True), (chat, False), (message, True), (message, False)]):
        provider.then(Plan(hangs=True))
        waiting.append((speak(gateway, secret, stream=stream, headers={"x-capstan-session": "loop"}), speak))
        provider.asked(n + 1)
    stop_now(organization_id=cast.acme.id, dimension="session", subject="loop", reason="It loops", by=HOUSE, at=now)
    for call, speak in waiting:
        said = call.whole()
        assert (said.status, said.body["error"]["code"]) == (429, "budgets.stopped"), said.raw
        assert (said.body.get("type") == "error") is (speak is message)
        assert "It loops" in said.body["error"]["message"]
        assert said.headers["x-should-retry"] == "false"
    idle(gateway, provider)
    assert [evidence for evidence, _ in charged(gateway)] == ["estimated"] * 4


def test_a_process_that_stops_breaks_off_what_does_not_end_in_time(
    secret: str, patient: Gateway, provider: Upstream
) -> None:
    provider.then(Plan(hangs=True), Plan(holds_after=5))
    waiting = chat(patient, secret)
    provider.asked(1)
    stream = message(patient, secret, stream=True).until(1)
    reading = Exchange(patient, "/v1/messages", b"{}", {"x-api-key": secret}, slowly=True)
    under_way(patient, 3)
    patient.run(patient.process.relay.drain(0.1))
    for call in (waiting, reading):
        said = call.whole()
        assert (said.status, said.body["error"]["code"]) == (503, "gateway.stopping")
        assert said.headers["retry-after"] == "1"
    said = stream.whole()
    assert (said.status, said.finished) == (200, True)
    assert json.loads(said.raw.rpartition(b"data: ")[2])["error"]["code"] == "gateway.stopping"
    # Nobody begins anew, and what may be billed to its end stays held for whoever comes next.
    assert chat(patient, secret).whole().body["error"]["code"] == "gateway.stopping"
    expired(patient)
    idle(patient, provider)


def test_a_client_whose_connection_breaks_while_it_is_written_to_is_one_that_left(
    secret: str, patient: Gateway, provider: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    call = chat(patient, secret, stream=True)
    call.breaks()
    call.whole()
    idle(patient, provider)
    # It is read to its end, whoever listens.
    assert [evidence for evidence, _ in charged(patient)] == ["metered"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
