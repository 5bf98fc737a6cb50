"""The database away, an upstream that dies: who can be answered is."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from decimal import Decimal

import pytest

from tests.aside import run
from tests.faults.gateway.relaying import (
    CALL,
    Providers,
    all_ready,
    deploy,
    held_to_account,
    quiet,
    spent,
    told,
)
from tests.faults.gateway.running import Gateways, settled
from tests.faults.gateway.streaming import DONE, Crowd


def _without_database(gateways: Gateways, providers: Providers, *, away_s: float) -> int:
    """How many calls were refused that began in the meantime."""
    provider = providers(output_tokens=20)
    cap = gateways.do("budget", limit="1000")["id"]
    deploy(gateways, provider)
    crowd = Crowd(gateways.ports, gateways.company["caller"], leaving=0.0, call=CALL)
    window: list[float] = []

    async def troubles() -> None:
        await asyncio.sleep(8)
        window.append(time.monotonic())
        await asyncio.to_thread(gateways.server.stop)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(gateways.server.start)
        window.append(time.monotonic())
        await asyncio.sleep(5)
        crowd.stopping = True

    async def story() -> None:
        await all_ready(gateways)
        await asyncio.gather(crowd.run(8), troubles())
        await quiet(provider)

    run(story())
    gateways.stop()
    settled(gateways)
    gateways.stop()
    within = [said for began, said in crowd.said if window[0] < began < window[1]]
    told(crowd.counts, Counter(said.status for said in within))
    refused = [(began, said) for began, said in crowd.said if not said.good]
    for began, said in refused:
        # What is in hand was spent: it is said that nobody could be asked, never that a budget is.
        assert (said.status, b"budgets.unavailable" in said.body) == (503, True), said
        assert window[0] <= began <= window[1] + 5
    assert any(said.good for said in within)
    authorised, leased, ledger = spent(gateways, cap)
    assert (authorised, leased) == (ledger, Decimal(0))
    held_to_account(gateways, provider, unknown=0)
    return len(refused)


@pytest.mark.timeout(170)
def test_calls_go_on_without_the_database_and_are_posted_when_it_is_back(
    gateways: Gateways, providers: Providers
) -> None:
    assert _without_database(gateways, providers, away_s=5) == 0


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_calls_go_on_for_a_minute_without_the_database(gateways: Gateways, providers: Providers) -> None:
    assert _without_database(gateways, providers, away_s=60) == 0


def _one_dies(gateways: Gateways, providers: Providers, *, clients: int, seconds: float) -> float:
    """The share of calls that failed."""
    first, second = providers(output_tokens=20), providers(output_tokens=20)
    gateways.do("budget", limit="1000")
    deploy(gateways, first, name="first")
    deploy(gateways, second, name="second")
    streams = Crowd(gateways.ports, gateways.company["caller"], leaving=0.0, call=CALL)
    wholes = Crowd(gateways.ports, gateways.company["caller"], leaving=0.0, call=CALL | {"stream": False})
    killed: list[float] = []

    async def troubles() -> None:
        await asyncio.sleep(seconds / 3)
        killed.append(time.monotonic())
        first.kill()
        await asyncio.sleep(seconds * 2 / 3)
        streams.stopping = wholes.stopping = True

    async def story() -> None:
        await all_ready(gateways)
        await asyncio.gather(streams.run(clients), wholes.run(clients), troubles())
        await quiet(second)

    run(story())
    bad = [(began, said) for began, said in streams.said if not said.good]
    bad += [(began, said) for began, said in wholes.said if not (said.status == 200 and said.whole)]
    total = len(streams.said) + len(wholes.said)
    tried = sum(said.header("x-capstan-tries") != "" for _, said in streams.said + wholes.said)
    told(streams.counts, wholes.counts, f"{len(bad)} of {total} failed, {tried} were tried again")
    # Those whose answer had begun when it died end with an error, and are not begun again.
    for began, said in bad:
        assert (said.status, said.whole) == (200, True), said
        assert began < killed[0] + 0.5
        assert DONE not in said.body
        assert b"upstream_broke" in said.body
    assert all(said.body.count(b'"role"') == 1 for _, said in streams.said if said.status == 200)
    assert tried > 0
    # Of all whom another upstream may answer none; the others were under way, at most one of each client.
    assert len(bad) <= clients
    return len(bad) / total


@pytest.mark.timeout(170)
def test_when_an_upstream_dies_the_other_answers(gateways: Gateways, providers: Providers) -> None:
    _one_dies(gateways, providers, clients=6, seconds=12)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_999_of_1000_calls_are_answered_while_an_upstream_dies(gateways: Gateways, providers: Providers) -> None:
    assert _one_dies(gateways, providers, clients=12, seconds=120) <= 0.001
