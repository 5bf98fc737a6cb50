"""What stories of model calls under faults share: the call, its upstreams, and how its charges are held to account."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.faults.gateway.running import PROCESSES, Gateways, ready
from tests.faults.gateway.streaming import Provider

# About half a tenth of a cent: 13 tokens in, 20 out.
CALL = {"model": "gpt", "stream": True, "max_tokens": 20,
        "messages": [{"role": "user", "content": "Say something that is twenty tokens long, please."}]}  # fmt: skip
TOTAL_S = 6.0
# What a hold outlives its try by.
GRACE_S = 60
Providers = Callable[..., Provider]


def told(*figures: Any) -> None:
    """For whoever runs it with -s."""
    sys.stdout.write(" ".join(map(str, figures)) + "\n")


def deploy(gateways: Gateways, provider: Provider, **given: Any) -> None:
    seconds = {"connect_s": 2.0, "first_byte_s": 5.0, "total_s": TOTAL_S}
    gateways.serve(provider.address, bills_cancelled=True, **seconds | given)


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
