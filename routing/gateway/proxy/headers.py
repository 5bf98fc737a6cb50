"""What an answer's headers say beside the upstream's own: what the call cost, what is left, and what was changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from finops.core.money import pico_text
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.attempt import Attempt, passed_on
from routing.gateway.proxy.candidates import Candidate

# What a call goes by here: its line of the log has it too.
CALL: Final = "x-capstan-call"


def told_of(attempt: Attempt, ask: Ask, tries: int) -> list[tuple[str, str]]:
    """Headers of an answer. Its cost is there when it is known before the answer begins."""
    return [*passed_on(attempt.response), *_ours(attempt, ask, tries)]


def answered_by(candidate: Candidate, call_id: str, tries: int) -> Iterator[tuple[str, str]]:
    yield CALL, call_id
    yield "x-capstan-upstream", candidate.upstream.name
    yield "x-capstan-model", candidate.model
    if tries > 1:
        yield "x-capstan-tries", str(tries)


def _ours(attempt: Attempt, ask: Ask, tries: int) -> Iterator[tuple[str, str]]:
    allowance = attempt.allowance
    yield from answered_by(attempt.candidate, ask.id, tries)
    if (rule := ask.route.decided.rule) is not None:
        yield "x-capstan-rule", f"{rule.rule.name}; version={rule.version}; arm={ask.route.decided.arm}"
    if allowance.downgraded_from:
        yield "x-capstan-downgraded-from", allowance.downgraded_from
    clamped = [ask.call.bounded] if ask.call.bounded else []
    if 0 <= allowance.held.output < allowance.wanted and attempt.most_output is not None:
        clamped.append(f"max_tokens={attempt.most_output}")
    if clamped:
        yield "x-capstan-clamped", ", ".join(clamped)
    if attempt.settlement is not None and attempt.settlement.cost is not None:
        yield "x-capstan-cost", pico_text(attempt.settlement.cost)
        yield "x-capstan-currency", attempt.settlement.currency
    least = _least(attempt)
    if least is not None:
        yield "x-capstan-headroom", least


def _least(attempt: Attempt) -> str | None:
    """What is left of the budget with the least left, as last heard of."""
    budgets = attempt.allowance.budgets
    if budgets is None:
        return None
    known = [
        (max(standing.free, 0), budgets.house.names.get(concern.terms.budget_id, ""))
        for concern, standing in zip(budgets.concerns, budgets.standings, strict=True)
        if standing is not None
    ]
    if not known:
        return None
    left, name = min(known)
    return f"{pico_text(left)}; budget={name.encode('ascii', 'replace').decode()}"
