"""One captured call measured: what is asked, and what each answer is worth."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from routing.evidence.types import Order, Status
from routing.experiments.asking import CapReached, Interrupted, Reply
from routing.experiments.measuring import Unfinished, measure
from routing.experiments.types import Answer, ExperimentDraft, Item, Measured, Plan, Score, Scoring, Way
from routing.rules.types import Gate, GateKind
from tests.factories.experiments import draft

JSON = Gate(kind=GateKind.JSON)
COST = Decimal("0.001")


def reply(text: str | None = "North", *, ended: str = "stop", **given: Any) -> Reply:
    said = {"choices": [{"message": {"content": text}, "finish_reason": ended}]}
    usual: dict[str, Any] = {
        "status": 200, "body": json.dumps(said).encode(), "code": "", "cost": COST, "currency": "USD",
        "upstream": "openai", "downgraded": False, "clamped": False, "took_s": 0.5,
    }  # fmt: skip
    return Reply(**usual | given)


def points(first: int, second: int) -> Reply:
    return reply(json.dumps({"first": first, "second": second}))


class Script:
    """Says this, in this order."""

    def __init__(self, *says: Reply | Exception) -> None:
        self.says = list(says)
        self.asked: list[dict[str, Any]] = []

    def ask(self, dialect: str, body: bytes, *, only: tuple[str, ...], label: str, headers: dict[str, str]) -> Reply:
        self.asked.append(json.loads(body) | {"only": only, "label": label})
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


def plan(**given: Any) -> Plan:
    usual: dict[str, Any] = {
        "call_id": "c" * 24, "at": datetime(2026, 11, 20, tzinfo=UTC), "dialect": "openai.chat", "body": b"{}",
        "headers": {}, "label": "confidential", "asked": "Where to?", "incumbent": Answer("South", True),
        "incumbent_cost": COST, "incumbent_s": 1.0, "fingerprint": "f", "cluster": "",
        "ways": {"gpt-mini": Way("openai", "gpt-mini", ("openai",))}, "kept_from": {},
        "judge": Way("openai", "claude", ("near",)),
    }  # fmt: skip
    return Plan(**usual | given)


def measured(script: Script, says: ExperimentDraft | None = None, **given: Any) -> Item:
    return measure(plan(**given), says or draft(), script, lambda model: json.dumps({"model": model}).encode())


def gated(*says: Reply, **given: Any) -> Measured:
    found = measured(Script(*says), draft(scoring=Scoring.GATE, judge="", gate=JSON), judge=None, **given)
    return found.measured[0]


def test_a_judge_sees_both_ways_round_and_what_it_costs_is_told_apart() -> None:
    script = Script(reply(), points(9, 3), points(4, 8))
    item = measured(script)
    [one] = item.measured
    assert one.scores == (Score(0.3, 0.9, Order.AB), Score(0.4, 0.8, Order.BA))
    assert (one.status, one.cost, item.spent, item.judged) == (Status.COMPLETED, COST, 3 * COST, 2 * COST)
    asked, first, second = script.asked
    assert (asked["model"], asked["only"], asked["label"]) == ("gpt-mini", ("openai",), "confidential")
    shown, other = (one["messages"][0]["content"] for one in (first, second))
    assert shown.index("North") < shown.index("South")
    assert other.index("South") < other.index("North")
    assert {one["only"] for one in (first, second)} == {("near",)}


def test_the_same_answer_needs_no_judge() -> None:
    [one] = measured(Script(reply("South"))).measured
    assert one.scores == (Score(1.0, 1.0, Order.AB), Score(1.0, 1.0, Order.BA))


@pytest.mark.parametrize(
    "second", [reply("I like the first."), reply(status=500, code="upstream"), reply(downgraded=True)]
)
def test_a_judge_that_does_not_say_both_times_says_nothing(second: Reply) -> None:
    item = measured(Script(reply(), points(3, 9), second))
    assert item.measured == (Measured("gpt-mini", code="judge_unclear"),)
    assert item.judged > 0


def test_a_gate_looks_at_both() -> None:
    assert gated(reply('{"a": 1}')).scores == (Score(0.0, 1.0),)
    assert gated(reply("no"), incumbent=Answer("[1]", True)).scores == (Score(1.0, 0.0),)
    cut = gated(reply('{"a": 1}', ended="length"), incumbent=Answer("[1]", True))
    assert (cut.scores, cut.status) == ((Score(1.0, 0.0),), Status.TRUNCATED)


@pytest.mark.parametrize(
    ("said", "status"),
    [(reply(None), Status.REFUSED), (reply(status=400, code="upstream", cost=None), Status.ERROR)],
)
def test_a_candidate_that_cannot_do_a_call_loses_it(said: Reply, status: Status) -> None:
    [one] = measured(Script(said)).measured
    assert one.scores == (Score(1.0, 0.0, Order.AB), Score(1.0, 0.0, Order.BA))
    assert one.status is status
    assert gated(said).scores == (Score(0.0, 0.0),)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (reply(status=502, code="upstream"), "upstream"),
        (reply(status=403, code="rules.excluded"), "rules.excluded"),
        (reply(status=400, code="budgets.unbounded"), "budgets.unbounded"),
        (reply(downgraded=True), "answered_by_another"),
        (reply(upstream="elsewhere"), "answered_by_another"),
        (reply(clamped=True, ended="length"), "clamped"),
    ],
)
def test_what_is_not_its_own_doing_is_no_pair(said: Reply, code: str) -> None:
    assert measured(Script(said)).measured == (Measured("gpt-mini", code=code),)


def test_one_candidate_kept_away_keeps_no_other() -> None:
    says = draft(candidates=("far", "gpt-mini"))
    item = measured(Script(reply("South")), says, kept_from={"far": "rules.excluded"})
    assert [(one.candidate, one.code, len(one.scores)) for one in item.measured] == [
        ("far", "rules.excluded", 0),
        ("gpt-mini", "", 2),
    ]


@pytest.mark.parametrize(
    ("says", "cap", "code", "begun"),
    [
        ((CapReached(),), True, "cap_reached", False),
        ((reply(), CapReached()), True, "cap_reached", True),
        ((Interrupted("refused"),), False, "refused", False),
        ((reply(), points(1, 2), Interrupted("gateway_away")), False, "gateway_away", True),
    ],
)
def test_whoever_is_interrupted_says_whether_anything_was_asked(
    says: tuple[Reply | Exception, ...], cap: bool, code: str, begun: bool
) -> None:
    with pytest.raises(Unfinished) as error:
        measured(Script(*says))
    assert (error.value.cap, error.value.code, error.value.begun) == (cap, code, begun)
    assert error.value.item.spent == COST * sum(isinstance(one, Reply) for one in says)
