"""Which gates may be said: nothing that fetches, and nothing that runs away."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from routing.rules.document import exported, imported
from routing.rules.rules import RuleInvalid, check
from routing.rules.types import Gate, GateKind, Rule, Use
from routing.rules.wording import differences, in_words

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"tree": {"$ref": "#/$defs/tree"}, "code": {"type": "string", "maxLength": 8}},
    "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
}


def rule(**given: Any) -> Rule:
    return Rule(name="cascade", use=(Use(model="small", gate=Gate(**given)), Use(model="big")))


@pytest.mark.parametrize(
    "given",
    [
        {"kind": GateKind.JSON},
        {"kind": GateKind.CONSISTENT},
        {"kind": GateKind.SCHEMA, "schema": SCHEMA},
        {"kind": GateKind.PATTERN, "pattern": r"^\s*(yes|no)\s*$"},
        {"kind": GateKind.CHECKER, "model": "judge"},
        {"kind": GateKind.CHECKER, "model": "judge", "question": "Is it polite?\nIs it short?"},
    ],
)
def test_what_can_be_is_taken_and_comes_back(given: dict[str, Any]) -> None:
    said = rule(**given)
    assert check(said) is said
    assert imported(exported([said])) == (said,)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": GateKind.JSON, "pattern": "a"}, "pattern"),
        ({"kind": GateKind.SCHEMA}, "schema"),
        ({"kind": GateKind.PATTERN}, "pattern"),
        ({"kind": GateKind.PATTERN, "pattern": "(a+)+$"}, "pattern"),
        ({"kind": GateKind.PATTERN, "pattern": "("}, "pattern"),
        ({"kind": GateKind.CHECKER}, "model"),
        ({"kind": GateKind.CHECKER, "model": "auto"}, "model"),
        ({"kind": GateKind.CHECKER, "model": " judge"}, "model"),
        ({"kind": GateKind.CHECKER, "model": "judge", "question": "a" * 1_001}, "question"),
        ({"kind": GateKind.SCHEMA, "schema": {"type": "thing"}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"$ref": "https://example.com/schema"}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"items": {"$ref": "#/$defs/nobody"}}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"$id": "https://example.com/"}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"pattern": "(a+)+$"}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"patternProperties": {"(a*)*": {}}}}, "schema"),
        # Harmless for a short answer, and minutes of work for a long one.
        ({"kind": GateKind.SCHEMA, "schema": {"pattern": "[a-z]+[0-9]+x"}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"type": "array", "uniqueItems": True}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"const": float("nan")}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"const": date(2026, 1, 1)}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"const": {1: 2}}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"const": "a\0"}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"const": "a\ud800"}}, "schema"),
        ({"kind": GateKind.SCHEMA, "schema": {"const": "a" * 20_001}}, "schema"),
    ],
)
def test_what_cannot_be_names_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        check(rule(**given))
    assert refused.value.field == f"use[0].gate.{field}"


def test_a_gate_is_told_and_another_is_different() -> None:
    one = rule(kind=GateKind.CHECKER, model="judge")
    assert in_words(one) == "All calls go to small (if judge calls it right), and where that fails to big."
    two = rule(kind=GateKind.SCHEMA, schema=SCHEMA)
    three = rule(kind=GateKind.SCHEMA, schema=SCHEMA | {"required": ["tree"]})
    assert len(differences(one, two)) == len(differences(two, three)) == 1
    assert differences(two, two) == ()
