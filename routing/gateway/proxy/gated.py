"""Whether an answer passes the gate of the rule that sent the call there. A model that is asked to check is asked as
any other call is: money is held for it, and it is charged.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from finops.core.errors import FinopsError
from routing.gateway.dialects.registry import DIALECTS
from routing.gateway.dialects.shaping import checking, said
from routing.gateway.dialects.texts import read_texts
from routing.gateway.dialects.types import Dialect, ModelCall
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.candidates import Candidate, NoDeployment
from routing.gateway.proxy.failing import Failed
from routing.rules.gates import agree, question, refused, says_yes
from routing.rules.types import Gate, GateKind

log = logging.getLogger(__name__)
# What a checker writes: a word, and what it thinks before.
_MOST_WRITTEN: Final = 500
# Makes one more call of a candidate, to its whole answer.
Asks = Callable[[Candidate, Dialect, ModelCall], Awaitable[bytes]]


async def why_not(ask: Ask, candidate: Candidate, body: bytes, asks: Asks) -> str:
    """Why an answer is not given, in a few words; '' where it is. What cannot be looked at, such as calls of tools, is
    given; where nobody can check, it is not.
    """
    gate = candidate.use.gate if candidate.use is not None else None
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
    except (FinopsError, Failed) as error:
        log.info("an answer could not be checked: %s", type(error).__name__)
        return "it could not be checked"
    return "" if again is not None and agree(found.text, again.text) else "asked again, it says something else"


async def _checked(ask: Ask, gate: Gate, answer: str, asks: Asks) -> str:
    asked = "\n\n".join(read_texts(ask.call, depth=0, tags={}).content.texts)
    name, body = checking(ask.dialect.family, gate.model, question(gate, asked, answer), _MOST_WRITTEN)
    dialect = DIALECTS[name]
    call = dialect.read(body)
    # It reads what the call said, and stays within the same limits.
    candidates = ask.order(ask.house.deployments.of(dialect.family, gate.model, ask.day))
    if not candidates:
        raise NoDeployment(f"nobody serves {gate.model}", field="model")
    found = said(name, await asks(candidates[0], dialect, call))
    return found.text if found is not None else ""
