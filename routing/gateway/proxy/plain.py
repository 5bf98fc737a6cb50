"""A request that no money is held for, answered whole: of files and batches, and calls that nobody is billed for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from finops.connectors.addresses import AddressRefused
from finops.core.sealing import CannotOpen
from routing.configuration.wire import Upstream
from routing.gateway.proxy.attempt import ERROR_MOST, passed_on, read_most
from routing.gateway.proxy.errors import UpstreamAway, UpstreamRefusesUs
from routing.gateway.proxy.sender import FAILS, Sender, failed_before_sending


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


async def said_by(
    sender: Sender, upstream: Upstream, method: str, path: str, query: str, headers: Iterable[tuple[str, str]],
    body: bytes, within_s: float,
) -> Said:  # fmt: skip
    """Whatever it is. Raises any of FAILS."""
    async with asyncio.timeout(within_s):
        response = await sender.send(upstream, method, path, query, headers, body)
        async with response:
            return Said(response.status, passed_on(response), await read_most(response, ERROR_MOST))


async def ask(
    sender: Sender, upstream: Upstream, method: str, path: str, query: str, headers: Iterable[tuple[str, str]],
    body: bytes, within_s: float,
) -> Said:  # fmt: skip
    """Raises UpstreamAway and UpstreamRefusesUs; any other answer is the client's to see."""
    try:
        said = await said_by(sender, upstream, method, path, query, headers, body, within_s)
    except FAILS as error:
        raise away(upstream, error) from None
    check(upstream, said.status)
    return said


def away(upstream: Upstream, error: Exception) -> UpstreamAway:
    kind = NotSent if isinstance(error, AddressRefused | CannotOpen) or failed_before_sending(error) else UpstreamAway
    return kind(f"{upstream.name} cannot be asked: {type(error).__name__}")


def check(upstream: Upstream, status: int) -> None:
    """Raises UpstreamAway and UpstreamRefusesUs."""
    if status in (401, 403):
        raise UpstreamRefusesUs(f"{upstream.name} does not take our credential")
    if 300 <= status < 400:
        # A client that went there would be past the gateway, with its key.
        raise UpstreamAway(f"{upstream.name} sends elsewhere, by {status}")
