"""Calls that nobody is billed for, as counting tokens: let in by the guard, passed on and answered whole; no budget is
asked. They are tried as others are, but that they are answered says nothing of how a model answers.
"""

from __future__ import annotations

import logging
from typing import Final

from finops.core.errors import FinopsError
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.candidates import Candidate
from routing.gateway.proxy.client import Client
from routing.gateway.proxy.course import Course
from routing.gateway.proxy.errors import CutOff
from routing.gateway.proxy.failing import Failed, not_reached, refused
from routing.gateway.proxy.flow import MOST_TRIES
from routing.gateway.proxy.headers import answered_by
from routing.gateway.proxy.means import Means
from routing.gateway.proxy.plain import Said, said_by
from routing.gateway.proxy.sender import FAILS

log = logging.getLogger(__name__)
_WITHIN_S: Final = 30.0


async def pass_free(means: Means, client: Client, ask: Ask, course: Course) -> None:
    """Raises what refuses the call, Failed where no upstream has an answer, and ClientGone."""
    means.retries.called()
    last: Failed | None = None
    for candidate in ask.candidates[:MOST_TRIES]:
        if last is not None and not means.retries.may():
            break
        course.tries += 1
        try:
            async with means.entry.entered(ask.house, ask.key, ask.request(candidate, course.tries)):
                said = await _asked(means, client, ask, candidate)
        except FinopsError as error:
            if last is None or error.code == CutOff.code:
                raise
            log.info("no other try: %s", error.message)
            break
        except Failed as failed:
            means.figures.tried(ask.house.id, candidate.upstream, failed.kind, first=last is None)
            log.info("%s", failed.why)
            last = failed if failed.told or last is None or not last.told else last
            if not failed.status:
                means.health.failed(candidate.name)
            if not failed.elsewhere:
                break
        else:
            means.figures.tried(ask.house.id, candidate.upstream, "answered", first=last is None)
            headers = [*said.headers, *answered_by(candidate, ask.id, course.tries)]
            await client.answer(said.status, headers, said.body)
            return
    assert last is not None  # noqa: S101 - there is at least one candidate
    raise last


async def _asked(means: Means, client: Client, ask: Ask, candidate: Candidate) -> Said:
    """Raises Failed, and ClientGone as soon as nobody waits for it."""
    upstream = candidate.upstream
    body = ask.dialect.write(ask.call, model=candidate.model, max_output_tokens=None)
    within_s = min(_WITHIN_S, upstream.total_s)
    try:
        async with client.listening():
            said = await said_by(
                means.sender, upstream, ask.method, ask.dialect.path, ask.query, ask.headers, body, within_s
            )
    except FAILS as error:
        raise not_reached(upstream, error, within_s) from None
    if not said.good:
        raise refused(upstream, *said)
    return said
