"""Calls that nobody is billed for: the guard lets them in as it does any other call, and no budget is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from time import monotonic

import psycopg

from finops.budgets.guard import Guard, Lacking, Refusal
from finops.budgets.pulse import Pulse
from finops.budgets.types import Call
from finops.core.errors import FinopsError
from routing.configuration.wire import Key
from routing.gateway.asked import event_of
from routing.gateway.calls import Unavailable
from routing.gateway.deciding import ALLOWED
from routing.gateway.house import Concerned, House
from routing.gateway.refusals import guarded
from routing.gateway.requests import Authorize


class Entry:
    """Used by the event loop alone."""

    def __init__(
        self, guard: Guard, pulse: Pulse, slow: Executor, now: Callable[[], datetime], count: Callable[[str], None]
    ) -> None:
        """`count` is told of each decision, as `Deciding` tells of its own."""
        self._guard = guard
        self._pulse = pulse
        self._slow = slow
        self._now = now
        self._count = count

    def allows(self, organization_id: int, call: Call) -> bool:
        """Whether the lists of models that hold for a call have its model."""
        return self._guard.allows_model(organization_id, call)

    @asynccontextmanager
    async def entered(self, house: House, key: Key, request: Authorize) -> AsyncIterator[None]:
        """A call is under way for as long as this lasts: a request of its minute without tokens, and one of the calls
        at once. Breakers do not count it: they are for what costs, and it would end a run of identical calls. Raises
        Refused and Unavailable.
        """
        whose = house.whose(event_of(request, key, self._now()))
        try:
            try:
                await self._enter(house.id, whose, request)
            except FinopsError as error:
                self._count(error.code)
                raise
            self._count(ALLOWED)
            yield
        finally:
            self._guard.settled(request.id, amount=0, tokens=0, now=monotonic())

    async def _enter(self, organization_id: int, whose: Concerned, request: Authorize) -> None:
        call = organization_id, request.id, whose.call
        said = self._guard.check(*call, tokens=0, depth=request.depth, now=monotonic())
        found = await self._slowly(call, whose, request.depth) if isinstance(said, Lacking) else said
        if found is not None:
            raise guarded(found)

    async def _slowly(self, call: tuple[int, str, Call], whose: Concerned, depth: int) -> Refusal | None:
        """Asking the database; without it as `Calls.without_database`, and not counted."""
        try:
            check = partial(self._pulse.check, *call, tokens=0, depth=depth)
            return await asyncio.get_running_loop().run_in_executor(self._slow, check)
        except psycopg.OperationalError:
            if whose.concerns and all(one.terms.fail_open for one in whose.concerns):
                return None
            raise Unavailable("the database cannot be asked how many calls the minute has left") from None
