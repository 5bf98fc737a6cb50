"""What a cheaper model's answer has to be before it is given."""

from __future__ import annotations

import pytest

from routing.rules.gates import MOST_CHARACTERS, agree, question, refused, says_yes
from routing.rules.types import Gate, GateKind

JSON = Gate(kind=GateKind.JSON)
TEAM = Gate(kind=GateKind.SCHEMA, schema={"type": "object", "required": ["team"]})
DONE = Gate(kind=GateKind.PATTERN, pattern="DONE$")


@pytest.mark.parametrize(
    ("gate", "answer", "why"),
    [
        (JSON, '{"team": "search"}', ""),
        (JSON, '```json\n{"team": "search"}\n```', ""),
        (JSON, '["search"]', ""),
        (JSON, "search", "it is no JSON"),
        # A bare word is valid JSON, and no answer that anybody asked for as such.
        (JSON, '"search"', "it is no JSON"),
        (JSON, "[" * 100_000, "it is no JSON"),
        (TEAM, '{"team": "search"}', ""),
        (TEAM, '{"queue": "search"}', "it is not as the schema says: required"),
        (DONE, "all of it is DONE", ""),
        (DONE, "DONE and more", "it does not match"),
        (DONE, "x" * 10_000 + "DONE", ""),
        (DONE, " \n", "it is empty"),
        (DONE, "x" * (MOST_CHARACTERS + 1), "it has more than 200,000 characters"),
    ],
)
def test_an_answer_passes_or_it_is_said_why_not(gate: Gate, answer: str, why: str) -> None:
    assert refused(gate, answer, ended=True) == why


def test_an_answer_that_was_cut_short_never_passes() -> None:
    assert refused(JSON, '{"team": "search"}', ended=False) == "it was cut short"


def test_a_schema_that_never_ends_refuses_rather_than_fails() -> None:
    endless = Gate(kind=GateKind.SCHEMA, schema={"$ref": "#"})
    assert refused(endless, "{}", ended=True) == "it is nested too deeply for the schema"


def test_what_is_quoted_of_an_answer_is_nothing() -> None:
    secret = Gate(kind=GateKind.SCHEMA, schema={"properties": {"team": {"type": "integer"}}})
    assert "search" not in refused(secret, '{"team": "search"}', ended=True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Search.", "  search. \n", True),
        ("Search.", "Chat.", False),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', True),
        ('{"a": 1}', '{"a": 2}', False),
    ],
)
def test_two_answers_agree_but_for_space_case_and_the_order_of_keys(one: str, other: str, same: bool) -> None:
    assert agree(one, other) is same


@pytest.mark.parametrize(
    ("said", "yes"), [("Yes.", True), ("**yes**", True), ("no", False), ("yesterday", False), ("", False)]
)
def test_a_checker_says_yes_first_or_it_is_no(said: str, yes: bool) -> None:
    assert says_yes(said) is yes


def test_a_checker_is_shown_the_task_and_the_answer() -> None:
    asked = question(Gate(kind=GateKind.CHECKER, model="large", question="Is the team right?"), "A ticket", "search")
    assert asked.startswith("Is the team right?")
    assert "A ticket" in asked
    assert "search" in asked
