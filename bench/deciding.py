"""What `bench budget` times of ours, in a process of its own without Django: leases alone, and the whole gateway."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import uvloop

from finops.connectors.types import UsageEvent
from finops.ingest.records import Held, Spent, encode
from finops.runtime.collecting import calm_collector
from routing.gateway.asked import came_to, event_of
from routing.gateway.process import Process
from routing.gateway.requests import Authorize, Settle
from routing.gateway.settings import Settings

# Calls under way at once. A process that decides tens of thousands a second has more than that: models take seconds.
CALLERS: Final = 1_024
MODELS: Final = (("openai", "gpt-5"), ("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-4-5"))
SETTLED: Final = Settle(usage={"input_uncached": 900, "output_text": 200})
_replace = msgspec.structs.replace


def call(dice: random.Random, n: int, people: int, projects: int) -> dict[str, Any]:
    person = dice.randrange(people)
    provider, model = MODELS[person % len(MODELS)]
    return {
        "id": f"c{n}",
        "provider": provider,
        "model": model,
        "input": {"bytes": dice.randrange(200, 20_000), "messages": 4},
        "max_output_tokens": 1_000,
        "dimensions": {"person": f"p{person}", "project": f"j{person % projects}"},
    }


def decide(answers: Queue[dict[str, Any]], address: str, folder: str, pairs: int, kind: str, size: list[int]) -> None:
    answers.put(uvloop.run(_Deciding(address, Path(folder) / kind, size).run(pairs, kind)))


class _Deciding:
    """A gateway process without its server."""

    def __init__(self, address: str, folder: Path, size: list[int]) -> None:
        self.statements = _counted()
        folder.mkdir()
        self.process = Process(Settings(address, b"", folder / "journals", f"unix:{folder}", "bench"))
        self.size = size
        # How long decisions took, once half is done and before.
        self.taken: list[float] = []
        self.cold: list[float] = []
        self.half: tuple[int, int] | None = None

    async def run(self, pairs: int, kind: str) -> dict[str, Any]:
        await self.process.start()
        await asyncio.to_thread(self.process.configured.ready.wait)
        (self.house,) = self.process.configured.houses.values()
        (self.key,) = self.house.keys.values()
        dice = random.Random(7)
        self.requests = [msgspec.convert(call(dice, n, *self.size), Authorize) for n in range(50_000)]
        pair = self._whole if kind == "whole" else self._leases()
        calm_collector()
        numbers = iter(range(pairs))

        async def caller() -> None:
            for n in numbers:
                if n == pairs // 2:
                    self.half, self.cold = (self.statements[0], n), self.taken
                    self.taken = []
                await pair(n)

        began = time.perf_counter()
        await asyncio.gather(*[caller() for _ in range(CALLERS)])
        seconds = time.perf_counter() - began
        assert self.half is not None
        steady = (self.statements[0] - self.half[0]) * 1000 / (pairs - self.half[1])
        await self.process.stop()
        steady_taken, all_taken = sorted(self.taken), sorted(self.cold + self.taken)
        return {
            "pairs_per_s": pairs / seconds,
            "p50_us": steady_taken[len(steady_taken) // 2] * 1e6,
            "p99_us": steady_taken[len(steady_taken) * 99 // 100] * 1e6,
            "p99_with_cold_us": all_taken[len(all_taken) * 99 // 100] * 1e6,
            "statements_per_1000_calls": steady,
            "statements": self.statements[0],
        }

    async def _whole(self, n: int) -> None:
        """Everything a gateway does for a call but HTTP."""
        calls = self.process.calls
        request = _replace(self.requests[n % len(self.requests)], id=f"w{n}")
        began = time.perf_counter()
        said = await self.process.deciding.decision(self.house, self.key, request)
        self.taken.append(time.perf_counter() - began)
        _, ticket = calls.settle(self.house, said.allowance.held.id, SETTLED)
        await self.process.commits.wait(ticket)

    def _leases(self) -> Callable[[int], Awaitable[None]]:
        """What the database is asked for too: to hold an amount in four accounts, and to settle it. Whose a call is and
        what it can cost is known; accounts are opened and leased when they first come, and the journal keeps it all.
        """
        house, process = self.house, self.process
        desk, commits, append, supply = process.desk, process.commits, process.journal.append, process.supply
        prepared = []
        for request in self.requests:
            event = event_of(request, self.key, process.clock.now())
            settled = came_to(event, SETTLED)
            rated = house.cost(settled)
            cost = house.reporting(rated.effective_pico, rated.currency, event.occurred_at.date())
            prepared.append((house.whose(event), house.worst(request, event.occurred_at.date()), event, settled, cost))

        async def pair(n: int) -> None:
            whose, worst, event, settled, cost = prepared[n % len(prepared)]
            began = time.perf_counter()
            call_id = f"l{n:x}"
            accounts = supply.known(whose)
            said = None if accounts is None else desk.at_once(call_id, accounts, worst)
            while accounts is None or said is None:
                await supply.fetch(house, whose, worst.amount)
                accounts = supply.known(whose)
                said = None if accounts is None else desk.at_once(call_id, accounts, worst)
            named = _replace(event, external_id=call_id)
            held = (house.id, house.source_id, accounts, said.amount, said.output, event.occurred_at, named)
            append(encode(Held(call_id, "", call_id, *held)))
            self.taken.append(time.perf_counter() - began)
            outcome = _replace(settled, external_id=call_id)
            desk.settle(call_id, cost, lambda spent: append(_spent(call_id, house, spent, outcome)))
            await commits.wait(process.journal.last)

        return pair


def _spent(call_id: str, house: Any, said: Any, event: UsageEvent) -> bytes:
    return encode(Spent(call_id, house.id, house.source_id, said.accounts, said.spent, said.beyond, True, False, event))


def _counted() -> list[int]:
    """How many statements this process has sent, as they are sent."""
    count = [0]
    execute, copy = psycopg.Cursor.execute, psycopg.Cursor.copy

    def executes(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        return execute(*arguments, **named)

    def copies(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        return copy(*arguments, **named)

    psycopg.Cursor.execute = executes  # type: ignore[method-assign]
    psycopg.Cursor.copy = copies  # type: ignore[method-assign]
    return count
