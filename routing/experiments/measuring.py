"""One captured call measured: each candidate asked, and its answer held beside the incumbent's. No database here: what
is asked goes through the gateway, and what came of it is a value.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Protocol

from routing.evidence.types import Order, Status
from routing.experiments import judge
from routing.experiments.asking import CapReached, Interrupted, Reply
from routing.experiments.reading import read_answer
from routing.experiments.types import Answer, ExperimentDraft, Item, Measured, Plan, Score, Scoring, Way
from routing.gateway.dialects.shaping import checking
from routing.rules.gates import refused
from routing.rules.types import Gate

# What an upstream refuses for good, and not for whom or how often it is asked: the model cannot do this call.
_CANNOT: Final = frozenset({400, 413, 422})
# An answer that is not there loses to one that is.
_LOST: Final = (1.0, 0.0)


class Asks(Protocol):
    def ask(
        self, dialect: str, body: bytes, *, only: tuple[str, ...], label: str, headers: dict[str, str]
    ) -> Reply: ...


class Unfinished(Exception):
    """Nothing more may be asked for now: `cap` where that is the experiment's own, else `code` says why. `begun`:
    something was asked for this call already, and is paid.
    """

    def __init__(self, item: Item, *, cap: bool, code: str, begun: bool) -> None:
        super().__init__(code)
        self.item, self.cap, self.code, self.begun = item, cap, code, begun


class _Spent:
    """What was paid for one call so far."""

    def __init__(self) -> None:
        self.asked = 0
        self.all = self.judged = Decimal(0)

    def add(self, reply: Reply, *, judged: bool = False) -> None:
        self.asked += reply.status == 200
        self.all += reply.cost or 0
        self.judged += (reply.cost or Decimal(0)) if judged else 0


def measure(plan: Plan, draft: ExperimentDraft, asks: Asks, body_of: Callable[[str], bytes]) -> Item:
    """Every candidate on one call. `body_of` is the request for a model. Raises Unfinished."""
    spent, found = _Spent(), list[Measured]()
    for candidate in draft.candidates:
        try:
            found.append(_one(plan, draft, candidate, asks, body_of, spent))
        except (CapReached, Interrupted) as error:
            item = Item(plan, tuple(found), spent.all, spent.judged)
            code = error.code if isinstance(error, Interrupted) else "cap_reached"
            raise Unfinished(item, cap=isinstance(error, CapReached), code=code, begun=spent.asked > 0) from None
    return Item(plan, tuple(found), spent.all, spent.judged)


def _one(
    plan: Plan, draft: ExperimentDraft, candidate: str, asks: Asks, body_of: Callable[[str], bytes], spent: _Spent
) -> Measured:
    if candidate in plan.kept_from:
        return Measured(candidate, code=plan.kept_from[candidate])
    way = plan.ways[candidate]
    reply = asks.ask(plan.dialect, body_of(candidate), only=way.upstreams, label=plan.label, headers=dict(plan.headers))
    spent.add(reply)
    if reply.status != 200:
        if reply.status in _CANNOT and reply.code == "upstream":
            return _without_answer(plan, draft, candidate, Status.ERROR, reply)
        return Measured(candidate, code=reply.code or "upstream")
    if reply.downgraded or reply.upstream not in way.upstreams:
        # A budget sent it to another model.
        return Measured(candidate, code="answered_by_another")
    answer = read_answer(plan.dialect, reply.body)
    if answer is None or not answer.text.strip():
        return _without_answer(plan, draft, candidate, Status.REFUSED, reply)
    if not answer.ended and reply.clamped:
        # It was cut short by the money that was left, and not by itself.
        return Measured(candidate, code="clamped")
    status = Status.COMPLETED if answer.ended else Status.TRUNCATED
    scores = _scores(plan, draft, answer, asks, spent)
    if not scores:
        return Measured(candidate, code="judge_unclear")
    return Measured(candidate, scores, status, reply.cost, reply.took_s)


def _without_answer(plan: Plan, draft: ExperimentDraft, candidate: str, status: Status, reply: Reply) -> Measured:
    """Left out, calls that a candidate cannot do would speak for it."""
    scores: tuple[Score, ...] = (Score(*_LOST, Order.AB), Score(*_LOST, Order.BA))
    if draft.gate is not None:
        scores = (Score(_passes(draft.gate, plan.incumbent), 0.0),)
    return Measured(candidate, scores, status, reply.cost, reply.took_s)


def _scores(plan: Plan, draft: ExperimentDraft, answer: Answer, asks: Asks, spent: _Spent) -> tuple[Score, ...]:
    """By a gate one, by a judge one in each order; none where the judge did not say."""
    if draft.scoring is Scoring.GATE:
        assert draft.gate is not None  # noqa: S101 - `rules.check` saw to it
        return (Score(_passes(draft.gate, plan.incumbent), _passes(draft.gate, answer)),)
    assert plan.judge is not None  # noqa: S101 - a plan for a judge has one
    ours, theirs = plan.incumbent.text, answer.text
    if ours == theirs:
        # Nobody has to be asked.
        return Score(1.0, 1.0, Order.AB), Score(1.0, 1.0, Order.BA)
    if max(len(ours), len(theirs)) > judge.MOST_CHARACTERS:
        return ()
    # As `statistics.judging` has it: the candidate first, then last.
    first = _judged(plan, draft, plan.judge, asks, theirs, ours, spent)
    if first is None:
        return ()
    last = _judged(plan, draft, plan.judge, asks, ours, theirs, spent)
    if last is None:
        return ()
    return Score(first[1], first[0], Order.AB), Score(*last, Order.BA)


def _judged(
    plan: Plan, draft: ExperimentDraft, way: Way, asks: Asks, first: str, second: str, spent: _Spent
) -> tuple[float, float] | None:
    said = judge.question(plan.asked, first, second, about=draft.question)
    dialect, body = checking(way.family, way.model, said, judge.MOST_WRITTEN)
    # Of the headers those of the call are none of the judge's.
    headers = {"anthropic-version": "2023-06-01"} if dialect == "anthropic.messages" else {}
    reply = asks.ask(dialect, body, only=way.upstreams, label=plan.label, headers=headers)
    spent.add(reply, judged=True)
    if reply.status != 200 or reply.downgraded:
        return None
    answer = read_answer(dialect, reply.body)
    return judge.read(answer.text) if answer is not None and answer.ended else None


def _passes(gate: Gate, answer: Answer) -> float:
    return 0.0 if refused(gate, answer.text, ended=answer.ended) else 1.0
