"""Decides a call: from memory, or with what it lacks, which calls ask for together; at last in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

import psycopg

from finops.budgets.rules.worst import Unbounded
from finops.core.errors import FinopsError
from routing.configuration.wire import Key
from routing.gateway.asked import Asked, Serves
from routing.gateway.calls import Calls, Decision, Stale
from routing.gateway.commits import Commits
from routing.gateway.configured import Configured
from routing.gateway.house import House
from routing.gateway.requests import Authorize
from routing.gateway.supply import Supply
from routing.gateway.wording import Allowance

# A new configuration comes in well under a second.
_NEWER_WITHIN_S: Final = 1.0
Bounded = Callable[[], Authorize | None]
ALLOWED: Final = "allowed"


class Deciding:
    """Used by the event loop alone."""

    def __init__(
        self,
        configured: Configured,
        calls: Calls,
        supply: Supply,
        commits: Commits,
        slow: Executor,
        count: Callable[[str], None],
    ) -> None:
        """`count` is told of each decision: `allowed`, or the code of what refuses it."""
        self._configured = configured
        self._count = count
        self._calls = calls
        self._supply = supply
        self._commits = commits
        self._slow = slow
        self._newer = asyncio.Condition()

    async def decide(self, house: House, key: Key, request: Authorize) -> Allowance:
        """A call may be made, and that is durable. Raises what refuses it."""
        said = await self.decision(house, key, request)
        await self._commits.wait(said.ticket)
        return said.allowance

    async def decision(
        self, house: House, key: Key, request: Authorize, serves: Serves | None = None, bounded: Bounded | None = None
    ) -> Decision:
        """A call may be made; nobody may be told before that is durable. Raises what refuses it. Where a budget holds
        and nothing bounds the call, it is the one that `bounded` gives, if any.
        """
        try:
            said = await self._decided(house, key, request, serves, bounded)
        except FinopsError as error:
            self._count(error.code)
            raise
        self._count(ALLOWED)
        return said

    async def _decided(
        self, house: House, key: Key, request: Authorize, serves: Serves | None, bounded: Bounded | None
    ) -> Decision:
        try:
            asked = self._calls.ask(house, key, request, serves)
        except Unbounded:
            other = bounded() if bounded else None
            if other is None:
                raise
            asked = self._calls.ask(house, key, other, serves)
        return asked if isinstance(asked, Decision) else self._calls.authorize(asked) or await self._slowly(asked)

    async def configuration_changed(self) -> None:
        async with self._newer:
            self._newer.notify_all()

    async def _slowly(self, asked: Asked) -> Decision:
        try:
            return await self._supplied(asked)
        except Stale:
            house = await self._newer_than(asked.house)
            if house is None or asked.key.prefix not in house.keys:
                raise
            again = self._calls.ask(house, house.keys[asked.key.prefix], asked.request, asked.serves)
            return again if isinstance(again, Decision) else await self._supplied(again)

    async def _supplied(self, asked: Asked) -> Decision:
        try:
            if await self._supply.fetch(asked.house, asked.whose, asked.worst.amount):
                # How accounts stand that were just opened may send the call to another model, which has its own.
                cheaper = self._calls.cheaper(asked)
                if cheaper is not asked:
                    asked = cheaper
                    await self._supply.fetch(asked.house, asked.whose, asked.worst.amount)
                said = self._calls.authorize(asked)
                if said is not None:
                    return said
        except psycopg.OperationalError:
            return self._calls.without_database(asked)
        except Exception:
            self._calls.refused(asked)
            raise
        return await asyncio.get_running_loop().run_in_executor(self._slow, self._calls.authorize_slowly, asked)

    async def _newer_than(self, house: House) -> House | None:
        """The organization's next configuration; None when none comes."""

        def newer() -> bool:
            return self._configured.houses.get(house.id) is not house

        try:
            async with asyncio.timeout(_NEWER_WITHIN_S), self._newer:
                await self._newer.wait_for(newer)
        except TimeoutError:
            return None
        return self._configured.houses.get(house.id)
