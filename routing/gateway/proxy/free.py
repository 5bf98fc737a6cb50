"""Calls that nobody is billed for, as counting tokens: passed on and answered whole, and no budget is asked."""

from __future__ import annotations

import asyncio

import aiohttp

from finops.connectors.addresses import AddressRefused
from finops.core.sealing import CannotOpen
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.attempt import ERROR_MOST, passed_on, read_most
from routing.gateway.proxy.client import Client
from routing.gateway.proxy.errors import UpstreamAway, UpstreamRefusesUs
from routing.gateway.proxy.flow import MOST_TRIES, Means

_WITHIN_S = 30.0


async def pass_free(means: Means, client: Client, ask: Ask) -> None:
    """Raises UpstreamAway and UpstreamRefusesUs."""
    for candidate in ask.candidates[:MOST_TRIES]:
        upstream = candidate.upstream
        body = ask.dialect.write(ask.call, model=candidate.model, max_output_tokens=None)
        try:
            async with asyncio.timeout(min(_WITHIN_S, upstream.total_s)):
                response = await means.sender.send(upstream, ask.method, ask.dialect.path, ask.query, ask.headers, body)
                async with response:
                    answer = await read_most(response, ERROR_MOST)
        except (aiohttp.ClientError, OSError, TimeoutError, AddressRefused, CannotOpen):
            means.health.failed(candidate.name)
            continue
        if 300 <= response.status < 400:
            # A client that went there would be past the gateway, with its key.
            continue
        if response.status >= 500 and candidate is not ask.candidates[-1]:
            continue
        if response.status in (401, 403):
            raise UpstreamRefusesUs(f"{upstream.name} does not take our credential")
        await client.answer(response.status, passed_on(response), answer)
        return
    raise UpstreamAway("no upstream could be asked")
