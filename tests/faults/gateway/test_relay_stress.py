"""Model calls through four gateway processes, from clients that leave, to upstreams that die: no cap is passed, every
call that was served is charged once, and who can be answered is.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.faults.gateway.running import PROCESSES, Gateways, ready, run, settled
from tests.faults.gateway.streaming import DONE, Crowd, Provider

# About half a tenth of a cent: 13 tokens in, 20 out.
CALL = {"model": "gpt", "stream": True, "max_tokens": 20,
        "messages": [{"role": "user", "content": "Say something that is twenty tokens long, please."}]}  # fmt: skip
TOTAL_S = 6.0
# What a hold outlives its try by.
GRACE_S = 60
Providers = Callable[..., Provider]


@pytest.fixture
def providers() -> Iterator[Providers]:
    running: list[Provider] = []

    def starts(**usual: Any) -> Provider:
        running.append(Provider({"bills_cancelled": "whole", "usual": {"between_s": 0.004} | usual}))
        return running[-1]

    yield starts
    for provider in running:
        provider.close()


def told(*figures: Any) -> None:
    """For whoever runs it with -s."""
    sys.stdout.write(" ".join(map(str, figures)) + "\n")


def deploy(gateways: Gateways, provider: Provider, **given: Any) -> None:
    seconds = {"connect_s": 2.0, "first_byte_s": 5.0, "total_s": TOTAL_S}
    gateways.do("upstream", address=provider.address, bills_cancelled=True, **seconds | given)


async def all_ready(gateways: Gateways) -> None:
    for n in range(PROCESSES):
        await ready(gateways, n)


async def quiet(*providers: Provider) -> None:
    """Until no upstream has anything under way."""
    async with asyncio.timeout(TOTAL_S + 10):
        for one in providers:
            while (await asyncio.to_thread(one.get))["open"]:  # noqa: ASYNC110 - it is in a process of its own
                await asyncio.sleep(0.1)


def spent(gateways: Gateways, budget: int) -> tuple[Decimal, Decimal, Decimal]:
    """What an account's calls came to, what is held, and what the ledger says."""
    (row,) = [row for row in gateways.do("standing")["accounts"] if row[0] == budget]
    return Decimal(row[4]) + Decimal(row[6]), Decimal(row[5]), Decimal(row[7])


def held_to_account(gateways: Gateways, provider: Provider, *, unknown: int) -> None:
    """Every line of the bill is charged, by the answer's id, at its price; or is one of so many whose answer nobody
    could be told of, which cost at least as much. Nothing is charged twice.
    """
    lines = {line["answer_id"]: Decimal(line["pico"]) / 10**12 for line in provider.get("/lines")}
    charges = gateways.do("charges")
    known = {answer: (evidence, Decimal(cost)) for answer, evidence, cost, _ in charges if answer}
    named = [answer for answer, *_ in charges if answer]
    assert len(named) == len(set(named))
    assert len(charges) == len({call for *_, call in charges})
    metered = {answer: cost for answer, (evidence, cost) in known.items() if evidence == "metered"}
    assert metered.items() <= lines.items()
    missing = lines.keys() - known.keys()
    nameless = [Decimal(cost) for answer, _, cost, _ in charges if not answer]
    assert len(missing) <= len(nameless), (len(missing), len(nameless))
    assert len(lines) - len(metered) <= unknown, (len(lines), len(metered))
    assert sum(Decimal(cost) for _, _, cost, _ in charges) >= sum(lines.values())


def _cap(gateways: Gateways, providers: Providers, *, clients: int, seconds: float, waits: bool) -> Counter[str]:
    provider = providers(output_tokens=20)
    cap = gateways.do("budget", limit="1")["id"]
    deploy(gateways, provider)
    crowd = Crowd(gateways.ports, gateways.company["caller"], leaving=0.15, call=CALL)

    async def troubles() -> None:
        await asyncio.sleep(seconds / 5)
        gateways.kill(0)
        gateways.start(0)
        await ready(gateways, 0)
        await asyncio.sleep(seconds * 4 / 5)
        if waits:
            # What the dead one held is over: all of the cap is there to be spent again, or is spent.
            await asyncio.sleep(TOTAL_S + GRACE_S)
        crowd.stopping = True

    async def story() -> None:
        await all_ready(gateways)
        await asyncio.gather(crowd.run(clients), troubles())
        await quiet(provider)

    run(story())
    gateways.stop()
    settled(gateways, 90 if waits else 3)
    gateways.stop()
    authorised, leased, ledger = spent(gateways, cap)
    told(crowd.counts, authorised, leased, ledger)
    assert authorised == ledger
    assert ledger <= 1
    assert authorised + leased >= Decimal("0.995")
    if waits:
        assert leased == 0
        held_to_account(gateways, provider, unknown=3 * clients)
    return crowd.counts


@pytest.mark.timeout(170)
def test_a_cap_of_a_dollar_is_spent_and_never_passed_while_clients_leave_and_a_process_dies(
    gateways: Gateways, providers: Providers
) -> None:
    counts = _cap(gateways, providers, clients=24, seconds=20, waits=False)
    assert counts["429"] > 0


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_64_clients_spend_a_dollar_and_no_more(gateways: Gateways, providers: Providers) -> None:
    assert _cap(gateways, providers, clients=64, seconds=40, waits=True)["429"] > 0


@pytest.mark.timeout(170)
def test_under_a_cap_that_is_far_nothing_is_refused_or_cut_and_all_is_charged(
    gateways: Gateways, providers: Providers
) -> None:
    provider = providers(output_tokens=20)
    cap = gateways.do("budget", limit="1000")["id"]
    deploy(gateways, provider)
    crowd = Crowd(gateways.ports, gateways.company["caller"], leaving=0.15, call=CALL)

    async def story() -> None:
        await all_ready(gateways)

        async def ends() -> None:
            await asyncio.sleep(8)
            crowd.stopping = True

        await asyncio.gather(crowd.run(24), ends())
        await quiet(provider)

    run(story())
    gateways.stop()
    settled(gateways, 3)
    gateways.stop()
    told(crowd.counts)
    assert set(crowd.counts) == {"200", "left"}
    assert all(said.good and not said.header("x-capstan-clamped") for _, said in crowd.said)
    authorised, leased, ledger = spent(gateways, cap)
    assert authorised == ledger
    # Only who left before the upstream began to answer is not known to the last token.
    held_to_account(gateways, provider, unknown=crowd.counts["left"] // 4)
    assert leased < Decimal("0.2")


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
    return len(refused) * 1_000 // len(within)


@pytest.mark.timeout(170)
def test_calls_go_on_without_the_database_and_are_posted_when_it_is_back(
    gateways: Gateways, providers: Providers
) -> None:
    assert _without_database(gateways, providers, away_s=5) == 0


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_calls_go_on_for_a_minute_without_the_database(gateways: Gateways, providers: Providers) -> None:
    assert _without_database(gateways, providers, away_s=60) == 0


def _one_dies(gateways: Gateways, providers: Providers, *, clients: int, seconds: float) -> None:
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
    # Of all whom another upstream may answer.
    assert len(bad) <= clients


@pytest.mark.timeout(170)
def test_when_an_upstream_dies_the_other_answers(gateways: Gateways, providers: Providers) -> None:
    _one_dies(gateways, providers, clients=6, seconds=12)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_999_of_1000_calls_are_answered_while_an_upstream_dies(gateways: Gateways, providers: Providers) -> None:
    _one_dies(gateways, providers, clients=12, seconds=120)
