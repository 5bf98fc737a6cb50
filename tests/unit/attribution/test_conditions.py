"""What rules may look at, what is refused with the path of the mistake, and patterns that cannot run away."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.attribution.patterns import LONGEST_VALUE, compile_pattern
from finops.attribution.rules import MAX_CONDITIONS, BadCondition, attribute, check_assignment, check_conditions
from finops.attribution.types import Assignment, Condition, Operator
from tests.unit.attribution.cast import CHAT, GATEWAY, acme, call, rule


def holds(condition: tuple[str, str, tuple[str, ...]], **told: Any) -> bool:
    return attribute(acme(rules=(rule(1, condition, team=CHAT),)), call(**told), GATEWAY).team_id == CHAT


@pytest.mark.parametrize(
    ("wanted", "values", "yes", "no"),
    [
        ("is", ("eu-1",), ["eu-1"], ["eu-10", "EU-1", ""]),
        ("is_not", ("eu-1",), ["us-1", ""], ["eu-1"]),
        ("one_of", ("eu-1", "eu-2"), ["eu-2"], ["eu-3", ""]),
        ("starts_with", ("eu-", "us-"), ["eu-1", "us-9"], ["x-eu-1", ""]),
        ("ends_with", ("-1",), ["eu-1"], ["eu-10", ""]),
        ("contains", ("-",), ["eu-1"], ["eu1", ""]),
        ("contains", ("x", "-"), ["eu-1", "x"], ["eu1"]),
        ("matches", (r"^eu-\d+$",), ["eu-12"], ["eu-1a", "xeu-1"]),
        ("exists", (), ["eu-1"], [""]),
        ("absent", (), [""], ["eu-1"]),
    ],
)
def test_operators(wanted: str, values: tuple[str, ...], yes: list[str], no: list[str]) -> None:
    for region in yes:
        assert holds(("region", wanted, values), region=region)
    for region in no:
        assert not holds(("region", wanted, values), region=region)
    # The same of a tag; '' there is a tag that is missing.
    for value in yes:
        assert holds(("tag:zone", wanted, values), tags=(("zone", value),) if value else ())
    for value in no:
        assert not holds(("tag:zone", wanted, values), tags=(("zone", value),) if value else ())


def test_of_several_values_any_will_do_and_is_not_means_none() -> None:
    both = (("email", "A@x.test"), ("email", "b@x.test"))
    assert holds(("identity:email", "is", ("B@X.test",)), identities=both)
    assert not holds(("identity:email", "is_not", ("a@x.TEST",)), identities=both)
    assert holds(("identity:email", "matches", (r"^b@",)), identities=both)
    assert not holds(("identity:github", "exists", ()), identities=both)


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        (Condition("colour", Operator.IS, ("red",)), "conditions[0].field"),
        (Condition("identity:shoe", Operator.EXISTS), "conditions[0].field"),
        (Condition("tag:", Operator.EXISTS), "conditions[0].field"),
        (Condition("tag:a\0b", Operator.EXISTS), "conditions[0].field"),
        (Condition("model", "like", ("x",)), "conditions[0].operator"),  # type: ignore[arg-type]
        (Condition("model", Operator.IS), "conditions[0].values"),
        (Condition("model", Operator.IS, ("a", "b")), "conditions[0].values"),
        (Condition("model", Operator.IS, ("",)), "conditions[0].values"),
        (Condition("model", Operator.EXISTS, ("a",)), "conditions[0].values"),
        (Condition("model", Operator.IS, ("a" * 201,)), "conditions[0].values"),
        (Condition("model", Operator.IS, ("a\0",)), "conditions[0].values"),
        (Condition("model", Operator.ONE_OF, ("a",) * 501), "conditions[0].values"),
        (Condition("model", Operator.MATCHES, ("(",)), "conditions[0].values"),
    ],
)
def test_a_bad_condition_is_named_by_its_path(condition: Condition, path: str) -> None:
    with pytest.raises(BadCondition) as caught:
        check_conditions([condition])
    assert caught.value.field == path
    assert caught.value.code == "attribution.bad_condition"


def test_there_is_an_end_to_conditions() -> None:
    good = Condition("model", Operator.IS, ("a",))
    assert len(check_conditions([good] * MAX_CONDITIONS)) == MAX_CONDITIONS
    with pytest.raises(BadCondition, match="at most"):
        check_conditions([good] * (MAX_CONDITIONS + 1))


@pytest.mark.parametrize(
    ("assignment", "path"),
    [
        (Assignment(), "assignment"),
        (Assignment({"colour": 1}), "assignment.colour"),
        (Assignment({"team": 0}), "assignment.team"),
        (Assignment({"team": 2**31}), "assignment.team"),
        (Assignment({}, "x" * 61), "assignment.task_type"),
        (Assignment({}, "a\0"), "assignment.task_type"),
    ],
)
def test_a_rule_must_set_something_that_can_be_set(assignment: Assignment, path: str) -> None:
    with pytest.raises(BadCondition) as caught:
        check_assignment(assignment)
    assert caught.value.field == path


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|aa)*b",
        r"(a*)*",
        r"(.)\1",
        r"(?=a)b",
        r"(?i)abc",
        r"(?i:a)bc",
        r"(?>a)",
        r"a++",
        r"(?P<x>a)(?P=x)",
        ".*a.*b.*c",
        "a?" * 30 + "a" * 30,
        "(a|ab)" * 33,
        "(a?)?" * 30 + "b",
        "$.*a.*b.*c",
        "x" * 201,
        "a{250}",
        "a{1,99999999999999999999}",
        "[",
        "(?<=a)b",
    ],
)
def test_patterns_that_could_run_away_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"^gpt-[0-9.]+(-mini|-nano)?", r"^team-[a-z]+-[0-9]+-.*$", r"claude|gemini", r"^(eu|us)-.+-\d$", ".*x.*"],
)
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    compile_pattern(pattern)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", ".", "[ab]", "(a|ab)", "(a*b)", "b"]), st.sampled_from(["", "*", "+", "?", "{2,5}"])
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_whatever_is_taken_ends_soon(parts: list[tuple[str, str]], anchored: bool) -> None:
    pattern = ("^" if anchored else "") + "".join(one + times for one, times in parts) + "$"
    try:
        compiled = compile_pattern(pattern)
    except ValueError:
        return
    begun = perf_counter()
    for text in ("a" * 5000, "ab" * 2500, "a" * 199 + "c"):
        compiled.search(text, 0, LONGEST_VALUE)
    assert perf_counter() - begun < 2
    assert isinstance(compiled, re.Pattern)
