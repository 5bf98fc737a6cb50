"""What may be said of outcomes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.evidence.rules import (
    OutcomeInvalid,
    check_evaluation,
    check_outcomes,
    content_of,
    key_of,
    signal_score,
    sorted_out,
)
from routing.evidence.types import Kind, Order, OutcomeDraft, Status
from tests.factories.evidence import draft, outcome
from tests.factories.orgs import NOON


def checked(*drafts: OutcomeDraft, kind: Kind = Kind.EVALUATION, standing: bool = False) -> list[OutcomeDraft]:
    return check_outcomes(drafts, kind=kind, standing=standing, most=100, at=NOON)


def test_an_outcome_is_kept_as_it_was_said_with_its_time() -> None:
    [kept] = checked(outcome("  1 ", cost=Decimal("0.0000000000014")))
    assert (kept.item, kept.cost, kept.occurred_at) == ("1", Decimal("0.000000000001"), NOON)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"item": " "}, "item"),
        ({"item": "x" * 201}, "item"),
        ({"task_type": ""}, "task_type"),
        ({"model": "two\nlines"}, "model"),
        ({"score": 1.01}, "score"),
        ({"score": float("nan")}, "score"),
        ({"score": -0.1}, "score"),
        ({"human_score": 2.0}, "human_score"),
        ({"cost": Decimal(-1)}, "cost"),
        ({"cost": Decimal("NaN")}, "cost"),
        ({"cost": Decimal(10**7)}, "cost"),
        ({"latency_s": -1.0}, "latency_s"),
        ({"latency_s": float("nan")}, "latency_s"),
        ({"propensity": 0.5}, "propensity"),
        ({"order_shown": Order.AB}, "order_shown"),
        ({"fingerprint": "f" * 65}, "fingerprint"),
        ({"occurred_at": NOON + timedelta(seconds=1)}, "occurred_at"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place_and_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(OutcomeInvalid) as refused:
        checked(outcome(), outcome(**wrong))
    assert refused.value.field == f"outcomes[1].{field}"


@pytest.mark.parametrize("chance", [0.0, 0.0005, 1.5, float("nan")])
def test_a_propensity_is_a_chance_of_a_call(chance: float) -> None:
    assert checked(outcome(propensity=0.25), kind=Kind.FEEDBACK, standing=True)[0].propensity == 0.25
    with pytest.raises(OutcomeInvalid, match="a propensity is"):
        checked(outcome(propensity=chance), kind=Kind.FEEDBACK, standing=True)


def test_too_many_at_once_are_refused() -> None:
    with pytest.raises(OutcomeInvalid, match="at most 100 outcomes at once"):
        checked(*[outcome(f"{n}") for n in range(101)])


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"evaluator": ""}, "evaluator"),
        ({"kind": Kind.JUDGE}, "judge_model"),
        ({"margin": Decimal(0)}, "margin"),
        ({"margin": Decimal("0.6")}, "margin"),
        ({"margin": Decimal("0.05001")}, "margin"),
        ({"margin": Decimal("NaN")}, "margin"),
    ],
)
def test_an_evaluation_says_with_what_it_measured(wrong: dict[str, Any], field: str) -> None:
    assert check_evaluation(draft(margin=Decimal("0.05"))).margin == Decimal("0.0500")
    with pytest.raises(OutcomeInvalid) as refused:
        check_evaluation(draft(**wrong))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("signals", "score"),
    [
        ({"tests_passed": True, "retried": 3, "escalated": True}, 1.0),
        ({"tests_passed": False, "edited": 0.0}, 0.0),
        ({"escalated": True, "edited": 0.0}, 0.0),
        ({"escalated": False}, 1.0),
        ({"edited": 0.25}, 0.75),
        ({"retried": 0}, 1.0),
        ({"retried": True}, 0.5),
        ({"retried": 2, "edited": 0.5}, 0.125),
        ({"edited": 1}, 0.0),
    ],
)
def test_hard_signals_are_scores_by_a_stated_rule(signals: dict[str, Any], score: float) -> None:
    assert signal_score(signals) == pytest.approx(score)


@pytest.mark.parametrize(
    ("signals", "field"),
    [
        ({}, "signals"),
        ({"liked": True}, "liked"),
        ({"tests_passed": 1}, "tests_passed"),
        ({"escalated": "no"}, "escalated"),
        ({"retried": -1}, "retried"),
        ({"retried": 0.5}, "retried"),
        ({"edited": 1.1}, "edited"),
        ({"edited": True}, "edited"),
        ({"edited": float("nan")}, "edited"),
    ],
)
def test_signals_that_nobody_can_read_are_refused(signals: dict[str, Any], field: str) -> None:
    with pytest.raises(OutcomeInvalid) as refused:
        signal_score(signals)
    assert refused.value.field == field


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "tests_passed": st.booleans(),
            "escalated": st.booleans(),
            "retried": st.integers(0, 1_000),
            "edited": st.floats(0, 1),
        },
    ).filter(bool)
)
def test_every_signal_is_a_score_and_worse_signals_are_no_better(signals: dict[str, Any]) -> None:
    score = signal_score(signals)
    assert 0.0 <= score <= 1.0
    worse = signals | {"retried": min(int(signals.get("retried", 0)) + 1, 1_000), "escalated": True}
    assert signal_score(worse) <= score


def test_the_same_again_is_a_repeat_and_something_else_a_conflict() -> None:
    drafts = [
        outcome("1", score=1.0), outcome("1", score=1.0), outcome("1", score=0.0), outcome("1", "cheap"),
        outcome("1", order_shown=Order.AB), outcome("2", score=0.0), outcome("2", score=1.0),
    ]  # fmt: skip
    keys, contents = [key_of(one) for one in drafts], [content_of(one) for one in drafts]
    known = {keys[5]: content_of(outcome("2", score=1.0))}
    made = set(keys) - set(known)
    assert sorted_out(keys, contents, made, known) == ([0, 3, 4], [1, 6], [2, 5])


def test_what_is_said_is_in_its_digest_and_when_is_not() -> None:
    plain = outcome(cost=Decimal("0.10"))
    others = [
        outcome(), outcome(cost=Decimal("0.11")), outcome(cost=Decimal("0.10"), score=0.5),
        outcome(cost=Decimal("0.10"), status=Status.TRUNCATED), outcome(cost=Decimal("0.10"), cluster="s"),
    ]  # fmt: skip
    assert len({content_of(one) for one in (plain, *others)}) == 6
    assert content_of(plain) == content_of(outcome(cost=Decimal("0.10"), occurred_at=NOON))
    assert -(2**63) <= content_of(plain) < 2**63
