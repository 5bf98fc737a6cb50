"""Whether an answer passes the gate of the rule that sent the call there. A model that is asked to check is asked as
any other call is: money is held for it, and it is charged. Its charge is tagged with the rule that wants it, so that
what the rule saves can be told net of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from finops.connectors.capstan.record import MOST_TAGS
from finops.core.errors import FinopsError
from routing.gateway.dialects.registry import DIALECTS
from routing.gateway.dialects.shaping import checking, said
from routing.gateway.dialects.texts import read_texts
from routing.gateway.dialects.types import Dialect, ModelCall
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.attempt import Attempt
from routing.gateway.proxy.candidates import Candidate, NoDeployment
from routing.gateway.proxy.errors import CutOff
from routing.gateway.proxy.failing import Failed
from routing.gateway.proxy.means import Means
from routing.rules.gates import agree, question, refused, says_yes
from routing.rules.hot import FOR_RULE, said_for
from routing.rules.types import Gate, GateKind

log = logging.getLogger(__name__)
# What a checker writes: a word, and what it thinks before.
_MOST_WRITTEN: Final = 500
# An answer that is there waits no longer for somebody to call it good.
_WITHIN_S: Final = 30.0
# Makes one more call of a candidate, to its whole answer.
Asks = Callable[[Candidate, Dialect, ModelCall], Awaitable[bytes]]


async def passes(ask: Ask, candidate: Candidate, body: bytes, asks: Asks) -> bool:
    """Whether an answer is given. It is settled before: nothing is held for it while it is looked at."""
    why = await why_not(ask, candidate, body, asks)
    if why:
        log.info("an answer of %s is not given: %s", candidate.model, why)
    return not why


async def why_not(ask: Ask, candidate: Candidate, body: bytes, asks: Asks) -> str:
    """Why an answer is not given, in a few words; '' where it is. What cannot be looked at, such as calls of tools, is
    given; where nobody can check, it is not.
    """
    gate = candidate.gate
    found = said(ask.dialect.name, body) if gate is not None else None
    if gate is None or found is None:
        return ""
    why = refused(gate, found.text, ended=found.ended)
    if why or gate.kind not in (GateKind.CHECKER, GateKind.CONSISTENT):
        return why
    try:
        if gate.kind is GateKind.CHECKER:
            return (
                "" if says_yes(await _checked(ask, gate, found.text, asks)) else f"{gate.model} does not call it right"
            )
        again = said(ask.dialect.name, await asks(candidate, ask.dialect, ask.shaped(candidate)))
    except CutOff:
        raise
    except (FinopsError, Failed, TimeoutError) as error:
        log.info("an answer could not be checked: %s", type(error).__name__)
        return "it could not be checked"
    return "" if again is not None and agree(found.text, again.text) else "asked again, it says something else"


async def _checked(ask: Ask, gate: Gate, answer: str, asks: Asks) -> str:
    asked = "\n\n".join(read_texts(ask.call, depth=0, tags={}).content.texts)
    name, body = checking(ask.dialect.family, gate.model, question(gate, asked, answer), _MOST_WRITTEN)
    dialect = DIALECTS[name]
    call = dialect.read(body)
    # It reads what the call said, and stays within the same limits.
    candidates = ask.order(ask.house.deployments.of(dialect.family, gate.model, ask.day), gate.model)
    if not candidates:
        raise NoDeployment(f"nobody serves {gate.model}", field="model")
    found = said(name, await asks(candidates[0], dialect, call))
    return found.text if found is not None else ""


async def ask_once(means: Means, ask: Ask, candidate: Candidate, number: int, waits: Callable[[], None]) -> bytes:
    """One more call, to its whole answer: paid for as any is. `waits` is told before its upstream is waited for. Raises
    what refuses it, Failed and TimeoutError.
    """
    # As it is said here, and not once more as the rule wants the call itself.
    request = _tagged(ask).request(candidate._replace(use=None), number)
    said = await means.deciding.decision(ask.house, ask.key, request)
    attempt = Attempt(means.calls, means.sender, ask.house, candidate, said)
    try:
        means.journal.flush()
        waits()
        async with asyncio.timeout(_WITHIN_S):
            return await attempt.send(ask.dialect, ask.call, "POST", "", ask.headers)
    except Failed as failed:
        attempt.fate = failed.fate
        raise
    finally:
        await means.commits.wait(attempt.give_up(attempt.fate))


def _tagged(ask: Ask) -> Ask:
    """As its charge is to be found among what was spent for the rule."""
    rule = ask.route.decided.rule
    if rule is None:
        return ask
    # Where a client says as many tags as there may be, its last one makes room.
    theirs = [pair for pair in ask.whose.tags.items() if pair[0] != FOR_RULE][: MOST_TAGS - 1]
    return ask._replace(whose=ask.whose._replace(tags=dict([*theirs, (FOR_RULE, said_for(rule))])))
