"""Calls that nobody is billed for, as counting tokens: passed on and answered whole, and no budget is asked."""

from __future__ import annotations

from routing.gateway.proxy import plain
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.client import Client
from routing.gateway.proxy.errors import UpstreamAway
from routing.gateway.proxy.flow import MOST_TRIES, Means

_WITHIN_S = 30.0


async def pass_free(means: Means, client: Client, ask: Ask) -> None:
    """Raises UpstreamAway and UpstreamRefusesUs."""
    for candidate in ask.candidates[:MOST_TRIES]:
        upstream = candidate.upstream
        body = ask.dialect.write(ask.call, model=candidate.model, max_output_tokens=None)
        within_s = min(_WITHIN_S, upstream.total_s)
        try:
            said = await plain.ask(
                means.sender, upstream, ask.method, ask.dialect.path, ask.query, ask.headers, body, within_s
            )
        except UpstreamAway:
            means.health.failed(candidate.name)
            continue
        if said.status >= 500 and candidate is not ask.candidates[-1]:
            continue
        await client.answer(*said)
        return
    raise UpstreamAway("no upstream could be asked")
