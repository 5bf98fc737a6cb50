"""What may be said of an experiment, and what becomes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from routing.experiments import rules
from routing.experiments.types import Mode, Scoring, State
from routing.rules.types import Gate, GateKind
from tests.factories.experiments import draft

GATED: dict[str, Any] = {"scoring": Scoring.GATE, "judge": "", "gate": Gate(kind=GateKind.JSON)}


def test_a_sound_draft_is_kept_as_it_is_said() -> None:
    said = draft(task_type=" triage ", candidates=("gpt-mini", " claude-mini "), question=" Is it right? ")
    kept = rules.check(said)
    assert (kept.task_type, kept.candidates, kept.question) == ("triage", ("gpt-mini", "claude-mini"), "Is it right?")
    assert rules.check(kept) == kept
    assert rules.check(draft(**GATED)).gate == Gate(kind=GateKind.JSON)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"task_type": " "}, "task_type"),
        ({"task_type": "experiment"}, "task_type"),
        ({"incumbent": "auto"}, "incumbent"),
        ({"candidates": ()}, "candidates"),
        ({"candidates": tuple("abcdef")}, "candidates"),
        ({"candidates": ("gpt",)}, "candidates"),
        ({"candidates": ("a", "a")}, "candidates"),
        ({"candidates": ("a", "b\n")}, None),
        ({"candidates": ("a", "\x00")}, "candidates[1]"),
        ({"tasks": 0}, "tasks"),
        ({"tasks": rules.MOST_TASKS + 1}, "tasks"),
        ({"margin": Decimal(0)}, "margin"),
        ({"margin": Decimal("0.00005")}, "margin"),
        ({"margin": Decimal("NaN")}, "margin"),
        ({"most_cost": Decimal(0)}, "most_cost"),
        ({"most_cost": Decimal("Infinity")}, "most_cost"),
        ({"share": Decimal("0.5")}, "share"),
        ({"mode": Mode.SHADOW, "share": Decimal(0)}, "share"),
        ({"mode": Mode.SHADOW, "share": Decimal("0.00001")}, "share"),
        ({"judge": ""}, "judge"),
        ({"judge": "gpt-mini"}, "judge"),
        ({"judge": "gpt"}, "judge"),
        ({"question": "\x00"}, "question"),
        ({"gate": Gate(kind=GateKind.JSON)}, "gate"),
        ({**GATED, "judge": "claude"}, "judge"),
        ({**GATED, "gate": None}, "gate"),
        ({**GATED, "gate": Gate(kind=GateKind.CHECKER, model="claude")}, "gate"),
        ({**GATED, "gate": Gate(kind=GateKind.SCHEMA)}, "gate.schema"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(given: dict[str, Any], field: str | None) -> None:
    if field is None:
        assert rules.check(draft(**given)).candidates == ("a", "b")
        return
    with pytest.raises(rules.ExperimentInvalid) as error:
        rules.check(draft(**given))
    assert error.value.field == field


@pytest.mark.parametrize("state", list(State))
def test_what_may_follow_from_which_state(state: State) -> None:
    def may(check: Any) -> bool:
        try:
            check(state.value)
        except rules.WrongState:
            return False
        return True

    assert may(rules.check_start) is (state is State.DRAFT)
    assert may(rules.check_stop) is (state in (State.RUNNING, State.PAUSED))
    assert may(rules.check_resume) is (state in (State.RUNNING, State.PAUSED, State.STOPPED))


def test_one_way_of_scoring_has_one_evaluator_for_each_candidate() -> None:
    one = draft()
    assert rules.evaluator(one, "gpt-mini") == "claude beside gpt-mini"
    assert rules.evaluator(one, "gpt-mini") != rules.evaluator(one, "gpt-nano")
    other = draft(question="Which is kinder?")
    assert rules.evaluator(other, "gpt-mini").startswith("claude beside gpt-mini, question ")
    assert rules.way_of_scoring(one) != rules.way_of_scoring(other)
    assert len(rules.evaluator(draft(judge="j" * 190), "c" * 190)) <= 120
    gate = draft(**GATED)
    # What a gate says of one answer has nothing to do with another.
    assert rules.evaluator(gate, "gpt-mini") == rules.evaluator(gate, "gpt-nano")
