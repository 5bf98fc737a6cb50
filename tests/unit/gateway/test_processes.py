"""Processes among themselves: who decides, who owns, what is told; and none of them has Django."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from finops.budgets.bank import Other
from finops.connectors.types import NO_COUNTS, UsageEvent
from finops.ingest.records import Held, Spent, Voided, decode, encode, still_open
from finops.runtime.places import CHECKOUT
from routing.gateway import asgi
from routing.gateway.cut import Cuts, heard
from routing.gateway.peers import Peers
from routing.gateway.process import Clock
from routing.gateway.settings import Settings
from tests.aside import run

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EVENT = UsageEvent(external_id="call-1", occurred_at=NOON, provider="openai", model="gpt", counts=NO_COUNTS)


def other(holder: UUID, *, alive: bool = True, adopted_by: UUID | None = None) -> Other:
    return Other(holder, "unix:/nowhere", alive, adopted_by)


def held(call_id: str, **given: object) -> Held:
    usual = Held(call_id, "cap_acme", "call-1", 1, 1, (7, 8), 100, 10, NOON, EVENT)
    return Held(**{name: given.get(name, getattr(usual, name)) for name in usual.__struct_fields__})  # type: ignore[arg-type]


def spent(call_id: str, amount: int, *, final: bool = True) -> Spent:
    return Spent(call_id, 1, 1, (7, 8), amount, 0, final, False, EVENT)


def test_importing_the_gateway_leaves_django_out() -> None:
    asked = "import sys, routing.gateway.asgi; sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", asked], cwd=CHECKOUT, check=False).returncode == 0


def test_a_gateway_that_cannot_start_says_so_and_serves_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    no_folder = tmp_path / "a file"
    no_folder.touch()
    settings = Settings("postgresql://nowhere", b"", no_folder, "", "here")
    monkeypatch.setattr(asgi, "from_environment", lambda: settings)
    monkeypatch.setattr(asgi, "configure", lambda **_: None)
    said: list[str] = []

    async def story() -> None:
        asked = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, str]:
            return {"type": next(asked)}

        async def send(message: dict[str, str]) -> None:
            said.append(message["type"])

        await asgi.Gateway()({"type": "lifespan"}, receive, send)

    run(story())
    assert said == ["lifespan.startup.failed", "lifespan.shutdown.complete"]
    assert "the gateway cannot start" in caplog.text


def test_only_who_has_the_installations_key_is_one_of_us() -> None:
    ours, others = Peers(uuid4(), b"our key"), Peers(uuid4(), b"another")
    assert Peers(uuid4(), b"our key").is_one_of_us(ours._word)
    assert not any(ours.is_one_of_us(word) for word in (others._word, "1", "", "ü"))


def test_all_who_know_the_same_processes_agree_who_decides() -> None:
    ids = [uuid4() for _ in range(4)]
    all_peers = [Peers(one) for one in ids]
    for peers in all_peers:
        peers.heard([other(one) for one in ids])
    deciders = [{peers.decides("cap_acme", f"call-{n}") for peers in all_peers} for n in range(200)]
    assert all(len(one) == 1 for one in deciders)
    assert {next(iter(one)) for one in deciders} == {one.hex for one in ids}


def test_when_one_dies_only_its_calls_are_decided_by_others() -> None:
    ids = [uuid4() for _ in range(4)]
    peers = Peers(ids[0])
    peers.heard([other(one) for one in ids])
    before = [peers.decides("cap_acme", f"call-{n}") for n in range(200)]
    peers.heard([other(one, alive=one != ids[3]) for one in ids])
    after = [peers.decides("cap_acme", f"call-{n}") for n in range(200)]
    assert all(was == now for was, now in zip(before, after, strict=True) if was != ids[3].hex)
    assert ids[3].hex not in after


def test_a_call_belongs_to_whoever_took_over_in_the_end() -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    peers = Peers(third)
    peers.heard([other(first, adopted_by=second), other(second, adopted_by=third), other(third)])
    assert peers.is_own(peers.owns(f"{first.hex}-1f"))


def test_what_an_older_journal_says_of_a_hold_is_understood() -> None:
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(encode(held("a", charged=5)))[:-1])
    assert decode(older) == held("a", charged=5)


def test_what_is_open_after_what_a_journal_says() -> None:
    told = [
        held("a"), held("b"), held("c"), held("d"), spent("a", 60), spent("b", 30, final=False), Voided("c"),
        held("e", charged=5),
    ]  # fmt: skip
    found = still_open(decode(encode(one)) for one in told)
    assert {name: call.charged for name, call in found.items()} == {"b": 30, "d": 0, "e": 5}


def test_a_cursor_of_another_process_gets_all_of_the_last_minute() -> None:
    async def story() -> None:
        cuts = Cuts("here")
        await cuts.add([("cap_acme", "a"), ("cap_globex", "b")], "It loops")
        first = await cuts.since("cap_acme", "", 0)
        assert first["stopped"] == [{"id": "a", "reason": "It loops"}]
        assert (await cuts.since("cap_acme", first["cursor"], 0))["stopped"] == []
        assert (await cuts.since("cap_acme", "there:99", 0))["stopped"] == first["stopped"]

    # In a thread of its own: after a browser test, this one has a loop that runs.
    run(story())


def test_what_somebody_else_says_on_the_channel_is_passed_over() -> None:
    assert list(heard("nonsense")) == list(heard('{"calls": 3}')) == []


def test_the_clock_follows_the_database_and_never_goes_back_a_little() -> None:
    clock = Clock()
    clock.set(NOON)
    clock.set(NOON - timedelta(seconds=2))
    assert timedelta(0) <= clock.now() - NOON < timedelta(seconds=5)
    clock.set(NOON + timedelta(hours=1))
    assert clock.now() >= NOON + timedelta(hours=1)
    clock.set(NOON)
    assert clock.now() - NOON < timedelta(seconds=5)
