"""Requests about files and batches on their way to an upstream and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import aiohttp

from routing.configuration.wire import Upstream
from routing.gateway.proxy import plain
from routing.gateway.proxy.attempt import SILENCE_S, passed_on
from routing.gateway.proxy.client import Client
from routing.gateway.proxy.errors import UpstreamBroke
from routing.gateway.proxy.plain import Said
from routing.gateway.proxy.sender import FAILS, Sender

_WITHIN_S: Final = 60.0


class Passing:
    def __init__(self, sender: Sender, fresh: Callable[[], Sender]) -> None:
        """`fresh` makes a sender whose connections nobody used before: over one that was kept a request may be sent
        again, when it is closed under it.
        """
        self._sender = sender
        self._fresh = fresh

    async def ask(
        self, upstream: Upstream, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes = b"",
        within_s: float = _WITHIN_S,
    ) -> Said:  # fmt: skip
        """Raises UpstreamAway and UpstreamRefusesUs."""
        return await plain.ask(self._sender, upstream, method, path, "", headers, body, within_s)

    async def ask_once(self, upstream: Upstream, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Said:
        """As `ask`, of what must not be made twice. Raises NotSent where it was not made."""
        sender = self._fresh()
        try:
            return await plain.ask(sender, upstream, "POST", path, "", headers, body, _WITHIN_S)
        finally:
            await sender.close()

    async def stream(self, upstream: Upstream, path: str, headers: Iterable[tuple[str, str]], client: Client) -> None:
        """A file of any length, to the client as it comes. Raises as `ask`, and UpstreamBroke once it has begun."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                response = await self._sender.send(upstream, "GET", path, "", headers, b"")
        except FAILS as error:
            raise plain.away(upstream, error) from None
        async with response:
            plain.check(upstream, response.status)
            await client.start(response.status, passed_on(response))
            while piece := await _piece(response):
                await client.write(piece)
        await client.finish()


async def _piece(response: aiohttp.ClientResponse) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await response.content.readany()
    except (aiohttp.ClientError, OSError, TimeoutError):
        raise UpstreamBroke("The upstream broke off in the middle of the file.") from None
