"""One look at all processes of the host, whichever of them is asked; and who may look."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from finops.core.errors import FinopsError
from routing.gateway.answers import Answer, Asked
from routing.gateway.figures.shown import CONTENT_TYPE, shown
from routing.gateway.figures.tallies import Told
from routing.gateway.peers import OwnerAway, Peers

# What only processes ask each other.
FIGURES: Final = "/figures"
# A process that hangs is missed, and hides no others.
_WITHIN_S: Final = 2.0
_decode: Final = msgspec.msgpack.Decoder(Told)


class FiguresRefused(FinopsError):
    """Figures are shown on this machine alone, or to who has the token."""

    code = "gateway.figures_refused"
    status = 403


class Scrape:
    def __init__(self, name: str, own: Callable[[], Awaitable[Told]], peers: Peers, token: str) -> None:
        """`own` gives this process's figures, `name` is what it is called among the others. '' is no token."""
        self._name = name
        self._own = own
        self._peers = peers
        self._token = token

    async def own(self) -> Answer:
        """For another process of the host."""
        return Answer(200, msgspec.msgpack.encode(await self._own()), {"content-type": "application/msgpack"})

    async def answer(self, asked: Asked) -> Answer:
        """For Prometheus. Raises FiguresRefused."""
        self._check(asked)
        neighbours = self._peers.neighbours()
        told = await asyncio.gather(self._own(), *[self._of(one) for one in neighbours])
        each = dict(zip([self._name, *[one[:12] for one in neighbours]], told, strict=True))
        for process in each.values():
            process["up"] = [((), [1.0 if len(process) else 0.0])]
        # A large text takes a while, in which calls go on.
        text = await asyncio.to_thread(shown, each)
        return Answer(200, text, {"content-type": CONTENT_TYPE})

    async def _of(self, process: str) -> Told:
        try:
            async with asyncio.timeout(_WITHIN_S):
                answer = await self._peers.forward(process, Asked("GET", FIGURES, {}, "", b""))
            return _decode.decode(answer.body) if answer.status == 200 else {}
        except (OwnerAway, TimeoutError, msgspec.MsgspecError):
            return {}

    def _check(self, asked: Asked) -> None:
        if not self._token:
            if not asked.local:
                raise FiguresRefused("figures are shown to this machine alone, where CAPSTAN_METRICS_TOKEN is not set")
            return
        given = asked.authorization.removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise FiguresRefused("this needs CAPSTAN_METRICS_TOKEN, as a bearer's")
