"""Knows before it is needed that a standby works: upstreams nobody has heard of for a while are asked which models they
have, which costs nothing, proves name, address, certificate and credential, and keeps a connection open.

Only for organizations whose calls come here: nobody else's upstreams hear of us.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import aiohttp

from finops.connectors.addresses import AddressRefused
from finops.core.sealing import CannotOpen
from routing.configuration.wire import Upstream
from routing.gateway.dialects.types import ANTHROPIC
from routing.gateway.house import House
from routing.gateway.proxy.health import Health, Name
from routing.gateway.proxy.sender import Sender

log = logging.getLogger(__name__)
# An upstream is asked when it was silent for so long, and no more often than that; up to half as long again, so that
# processes and upstreams do not fall into step. Connections are kept for longer (`sender`).
QUIET_S: Final = 30.0
SPREAD: Final = 0.5
# Whose last call is longer ago is not prepared for.
CALLED_WITHIN_S: Final = 3_600.0
TURN_S: Final = 1.0
# Of one turn: with more upstreams than that, each is asked less often.
MOST_AT_ONCE: Final = 10
WITHIN_S: Final = 10.0
# Of a list of models; one that is longer is not read to its end, and its connection not kept.
LIST_MOST: Final = 4 * 2**20

GOOD: Final = "good"
_VERSION: Final = ("anthropic-version", "2023-06-01")
_LISTS: Final[Mapping[str, tuple[str, str, list[tuple[str, str]]]]] = {
    "openai": ("/models", "", []),
    ANTHROPIC: ("/v1/models", "limit=1", [_VERSION]),
}
# There is no such list, said by somebody who is there; and who says that we ask too much says nothing of calls.
_NO_LIST: Final = (404, 405)
_TOO_MUCH: Final = 429


class _Due(NamedTuple):
    organization_id: int
    upstream: Upstream
    # Its deployments, as calls know them.
    names: tuple[Name, ...]


class Probes:
    """Used by the event loop alone. `draw` gives a random number below 1; `count` is told of each probe's outcome."""

    def __init__(
        self,
        sender: Sender,
        health: Health,
        houses: Callable[[], Mapping[int, House]],
        clock: Callable[[], float],
        draw: Callable[[], float],
        count: Callable[[int, Upstream, str], None],
    ) -> None:
        self._sender = sender
        self._health = health
        self._houses = houses
        self._clock = clock
        self._draw = draw
        self._count = count
        # When calls of an organization came last; of an upstream, when it may be asked next.
        self._called: dict[int, float] = {}
        self._next: dict[int, float] = {}

    def called(self, organization_id: int) -> None:
        """A call came."""
        self._called[organization_id] = self._clock()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(TURN_S)
            try:
                await self.turn()
            except Exception:
                # A standby that nobody looks after would fail when it is needed.
                log.exception("upstreams could not be probed; trying again")

    async def turn(self) -> int:
        """Ask those it is time for; gives how many."""
        due = self._due()
        await asyncio.gather(*[self._probe(one) for one in due])
        return len(due)

    def _due(self) -> list[_Due]:
        now = self._clock()
        self._called = {one: at for one, at in self._called.items() if now - at < CALLED_WITHIN_S}
        times: dict[int, float] = {}
        ready: list[tuple[float, House, Upstream]] = []
        for house, upstream in self._upstreams():
            its = upstream.upstream_id
            # Known for the first time: somewhere in the spread, not all at once.
            at = times[its] = self._next.get(its, now + self._draw() * QUIET_S * SPREAD)
            if now >= at:
                ready.append((at, house, upstream))
        self._next = times
        if not ready:
            return []
        heard: dict[int, list[Name]] = {}
        for name in self._health.names():
            heard.setdefault(name[0], []).append(name)
        ready.sort(key=lambda one: one[0])
        due = (
            _Due(house.id, upstream, tuple(house.deployments.at(its := upstream.upstream_id).union(heard.get(its, ()))))
            for _, house, upstream in ready
        )
        return list(islice(filter(self._wants, due), MOST_AT_ONCE))

    def _upstreams(self) -> Iterator[tuple[House, Upstream]]:
        """Those of who calls."""
        houses = self._houses()
        for organization_id in self._called:
            house = houses.get(organization_id)
            if house is not None:
                for upstream in house.deployments.upstreams:
                    yield house, upstream

    def _wants(self, one: _Due) -> bool:
        health = self._health
        if any(health.paused(name) for name in one.names):
            return True
        return all(health.quiet_for(name) >= QUIET_S for name in one.names)

    async def _probe(self, one: _Due) -> None:
        upstream, health, began = one.upstream, self._health, self._clock()
        self._next[upstream.upstream_id] = began + QUIET_S * (1 + self._draw() * SPREAD)
        outcome = await self._asked(upstream)
        self._count(one.organization_id, upstream, outcome)
        if outcome == GOOD:
            for name in one.names:
                health.proved(name)
        elif outcome != str(_TOO_MUCH):
            log.info("upstream %d (%s) was probed: %s", upstream.upstream_id, upstream.name, outcome)
            for name in one.names:
                # A call that was answered meanwhile knows better.
                if health.quiet_for(name) > self._clock() - began:
                    health.failed(name)

    async def _asked(self, upstream: Upstream) -> str:
        """GOOD, the status, or the kind of error."""
        path, query, headers = _LISTS[upstream.dialect]
        try:
            async with asyncio.timeout(min(WITHIN_S, upstream.first_byte_s)):
                response = await self._sender.send(upstream, "GET", path, query, headers, b"")
                try:
                    await _read(response)
                finally:
                    response.release()
        except TimeoutError:
            return "timeout"
        except (aiohttp.ClientError, OSError):
            return "unreachable"
        except (AddressRefused, CannotOpen) as error:
            return error.code
        status = response.status
        return GOOD if status < 400 or status in _NO_LIST else str(status)


async def _read(response: aiohttp.ClientResponse) -> None:
    """To its end, so that the connection is kept."""
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
        if size > LIST_MOST:
            return
