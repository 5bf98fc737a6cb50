"""Requests about files and batches on their way to an upstream and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import aiohttp

from finops.connectors.addresses import AddressRefused
from finops.core.sealing import CannotOpen
from routing.configuration.wire import Upstream
from routing.gateway.proxy.attempt import ERROR_MOST, SILENCE_S, passed_on, read_most
from routing.gateway.proxy.client import Client
from routing.gateway.proxy.errors import UpstreamAway, UpstreamBroke, UpstreamRefusesUs
from routing.gateway.proxy.sender import Sender, failed_before_sending

_WITHIN_S: Final = 60.0
_FAILS: Final = (aiohttp.ClientError, OSError, TimeoutError, AddressRefused, CannotOpen)


class NotSent(UpstreamAway):
    """Nothing of the request can have been worked on."""


class Said(NamedTuple):
    """An upstream's answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


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
        """Raises UpstreamAway and UpstreamRefusesUs; any other answer is the client's to see."""
        return await self._asked(self._sender, upstream, method, path, headers, body, within_s)

    async def ask_once(self, upstream: Upstream, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Said:
        """As `ask`, of what must not be made twice. Raises NotSent where it was not made."""
        sender = self._fresh()
        try:
            return await self._asked(sender, upstream, "POST", path, headers, body, _WITHIN_S)
        finally:
            await sender.close()

    async def _asked(
        self, sender: Sender, upstream: Upstream, method: str, path: str, headers: Iterable[tuple[str, str]],
        body: bytes, within_s: float,
    ) -> Said:  # fmt: skip
        try:
            async with asyncio.timeout(within_s):
                response = await sender.send(upstream, method, path, "", headers, body)
                async with response:
                    answer = await read_most(response, ERROR_MOST)
        except _FAILS as error:
            raise _away(upstream, error) from None
        return Said(_checked(upstream, response).status, passed_on(response), answer)

    async def stream(self, upstream: Upstream, path: str, headers: Iterable[tuple[str, str]], client: Client) -> None:
        """A file of any length, to the client as it comes. Raises as `ask`, and UpstreamBroke once it has begun."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                response = await self._sender.send(upstream, "GET", path, "", headers, b"")
        except _FAILS as error:
            raise _away(upstream, error) from None
        async with response:
            _checked(upstream, response)
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


def _away(upstream: Upstream, error: Exception) -> UpstreamAway:
    kind = NotSent if isinstance(error, AddressRefused | CannotOpen) or failed_before_sending(error) else UpstreamAway
    return kind(f"{upstream.name} cannot be asked: {type(error).__name__}")


def _checked(upstream: Upstream, response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    if response.status in (401, 403):
        raise UpstreamRefusesUs(f"{upstream.name} does not take our credential")
    if 300 <= response.status < 400:
        # A client that went there would be past the gateway, with its key.
        raise UpstreamAway(f"{upstream.name} sends elsewhere, by {response.status}")
    return response
