"""What is known, as arrays: pairs of what was drawn, apart from what was only seen, and each organization's own."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from finops.core.errors import NotFound
from routing.evidence import selectors
from routing.evidence.comparisons import comparison
from routing.evidence.rules import OutcomeInvalid
from routing.evidence.statistics.betting import Verdict
from routing.evidence.types import Kind, Order
from tests.factories.evidence import CHEAP, STRONG, coin, heard, outcome, recorded, run_of
from tests.factories.orgs import NOON, Cast


def test_pairs_are_of_the_same_item_and_measure(cast: Cast) -> None:
    recorded(
        cast.acme.id, run_of({STRONG: [1, 1, 0, 1], CHEAP: [1, 0, 0]}, costs={STRONG: "0.02", CHEAP: "0.001"}), at=NOON
    )
    recorded(cast.acme.id, [outcome("item-3", CHEAP)], at=NOON, name="other", evaluator="another suite")
    recorded(cast.globex.id, run_of({STRONG: [1] * 9, CHEAP: [0] * 9}), at=NOON)
    found = selectors.paired(cast.acme.id, "triage", STRONG, CHEAP)
    assert dict(zip(found.items, found.differences, strict=True)) == {"item-0": 0.0, "item-1": -1.0, "item-2": 0.0}
    assert set(found.incumbent_cost) == {0.02}
    assert set(found.candidate_cost) == {0.001}
    assert selectors.paired(cast.acme.id, "nothing", STRONG, CHEAP).differences.size == 0


def test_what_was_only_seen_is_apart(cast: Cast) -> None:
    heard(cast.acme.id, [outcome(f"call-{n}", (STRONG, CHEAP)[n % 2], n % 2) for n in range(40)], at=NOON)
    heard(cast.acme.id, [outcome("call-drawn", CHEAP, 1.0, propensity=0.05)], at=NOON)
    assert selectors.paired(cast.acme.id, "triage", STRONG, CHEAP).differences.size == 0
    assert [(one.model, one.outcomes, one.mean) for one in selectors.observational(cast.acme.id, "triage")] == [
        (CHEAP, 20, 1.0), (STRONG, 20, 0.0),
    ]  # fmt: skip
    told = selectors.logged(cast.acme.id, "triage")
    assert (list(told.propensities), told.models[told.model[0]]) == ([0.05], CHEAP)


def test_lists_are_newest_first_and_filtered(cast: Cast) -> None:
    recorded(cast.acme.id, [outcome("1"), outcome("2", CHEAP)], at=NOON)
    heard(cast.acme.id, [outcome("call-1", CHEAP, occurred_at=NOON - timedelta(days=1))], at=NOON)

    def items(**given: object) -> list[str]:
        return [one.item for one in selectors.outcomes(cast.acme.id, **given)]  # type: ignore[arg-type]

    assert items() == ["call-1", "2", "1"]
    assert items(kind="feedback") == ["call-1"]
    assert items(model=CHEAP) == ["call-1", "2"]
    assert items(item="2") == ["2"]
    assert items(occurred_from=NOON) == ["2", "1"]
    assert items(occurred_to=NOON) == ["call-1"]
    assert [one.name for one in selectors.evaluations(cast.acme.id)] == ["thumbs", "nightly"]
    assert [one.name for one in selectors.evaluations(cast.acme.id, standing=False)] == ["nightly"]
    assert selectors.outcomes(cast.globex.id).count() == 0


def test_the_incumbent_is_frozen_as_it_is_known(cast: Cast) -> None:
    recorded(cast.acme.id, run_of({STRONG: [1, 1, 0, 1]}, costs={STRONG: "0.02"}), at=NOON)
    strict = run_of({STRONG: [0, 0]}, costs={STRONG: "0.04"})
    recorded(cast.acme.id, strict, at=NOON, name="judged", kind=Kind.JUDGE, evaluator="strict", judge_model="judge")
    judge, found = selectors.frozen(cast.acme.id, "triage", STRONG)
    assert (found.evaluator, found.evaluator_version) == ("suite", "1")
    assert (found.items, found.mean, found.version) == (4, 0.75, 2)
    # Whoever scores otherwise is known by itself.
    assert (judge.evaluator, judge.items, judge.mean, judge.deviation) == ("strict", 2, 0.0, 0.0)
    assert found.mean_cost == pytest.approx(0.02)
    assert found.deviation == pytest.approx(0.5)
    with pytest.raises(NotFound):
        selectors.frozen(cast.acme.id, "triage", CHEAP)
    with pytest.raises(NotFound):
        selectors.frozen(cast.globex.id, "triage", STRONG)


def test_everything_at_once_is_types_by_name_with_their_flags(cast: Cast) -> None:
    for name in ("b", "a"):
        recorded(cast.acme.id, run_of({STRONG: [1] * 40, CHEAP: [1] * 40}, task_type=name), at=NOON, name=name)
    broken: dict[str, Any] = {"mute": [0.0] * 40, STRONG: coin(0.8, 40, 1), CHEAP: coin(0.8, 40, 2)}
    recorded(cast.acme.id, run_of(broken, task_type="c"), at=NOON, name="c")
    found = selectors.evidence(cast.acme.id)
    assert [(one.task_type, one.version, one.scores.shape) for one in found.types] == [
        ("a", 1, (40, 2)), ("b", 1, (40, 2)), ("c", 1, (40, 3)),
    ]  # fmt: skip
    assert [(flag.code, flag.task_type, flag.models) for flag in found.flags] == [("format_collapse", "c", ("mute",))]
    some = selectors.evidence(cast.acme.id, ["c", "nothing"])
    assert ([one.task_type for one in some.types], some.flags) == (["c"], found.flags)
    assert selectors.evidence(cast.globex.id) == ((), ())


def test_words_of_any_kind_are_read_as_they_were_written(cast: Cast) -> None:
    odd = ['a,b"c', "NULL", "", "été 模型", "\\N", "nan", "t"]
    drafts = [outcome(f"item {one}", f"m {one}", task_type="triage", cluster=one) for one in odd]
    recorded(cast.acme.id, drafts, at=NOON)
    rows = selectors.rows_of(cast.acme.id, "triage")
    assert {(rows.items[i], rows.models[m]) for i, m in zip(rows.item, rows.model, strict=True)} == {
        (f"item {one}".strip(), f"m {one}".strip()) for one in odd
    }
    assert len(set(rows.cluster)) == len(odd)


def test_a_comparison_says_all_that_is_known(cast: Cast) -> None:
    strong = coin(0.8, 600, 1)
    # Each does 12 that the other does not.
    cheap = strong.copy()
    for done in (0.0, 1.0):
        cheap[np.flatnonzero(strong == done)[:12]] = 1.0 - done
    recorded(
        cast.acme.id, run_of({STRONG: strong, CHEAP: cheap}, costs={STRONG: "0.02", CHEAP: "0.001"}), at=NOON,
    )  # fmt: skip
    heard(cast.acme.id, [outcome(f"call-{n}", CHEAP, 0.0) for n in range(30)], at=NOON)
    found = comparison(cast.acme.id, "triage", incumbent=STRONG, candidate=CHEAP)
    assert (found.pairs, found.clusters, found.margin, found.margin_fixed) == (600, 600, 0.05, False)
    assert found.difference == pytest.approx(0.0)
    assert (found.verdict, found.needed) == (Verdict.PASS, None)
    assert found.bounds.lower > -0.05
    assert found.cost is not None
    assert found.cost.quotient == pytest.approx(0.05)
    assert found.cost.bounds.upper < 0
    assert found.disagreeing == len(found.disagreements) == 24
    assert len(found.points) == 200
    assert found.points[-1].lower == pytest.approx(found.bounds.lower, abs=0.01)
    assert [(one.model, one.outcomes) for one in found.observational] == [(CHEAP, 30)]
    assert found.flags == ()


def test_sessions_count_once_and_few_pairs_say_how_many_are_needed(cast: Cast) -> None:
    drafts = [outcome(f"{n}", model, cluster=f"s{n // 10}") for n in range(100) for model in (STRONG, CHEAP)]
    recorded(cast.acme.id, drafts, at=NOON)
    found = comparison(cast.acme.id, "triage", incumbent=STRONG, candidate=CHEAP, margin=0.02)
    assert (found.pairs, found.clusters, found.verdict, found.margin) == (100, 10, Verdict.INCONCLUSIVE, 0.02)
    assert found.needed is not None
    assert found.needed > 100


def test_a_margin_that_was_fixed_with_a_run_holds(cast: Cast) -> None:
    recorded(cast.acme.id, run_of({STRONG: [1], CHEAP: [1]}), at=NOON, margin=Decimal("0.02"))
    found = comparison(cast.acme.id, "triage", incumbent=STRONG, candidate=CHEAP)
    assert (found.margin, found.margin_fixed) == (0.02, True)
    assert comparison(cast.acme.id, "triage", incumbent=STRONG, candidate=CHEAP, margin=0.1).margin_fixed is False


def test_nobody_is_compared_with_nobody(cast: Cast) -> None:
    recorded(cast.acme.id, [outcome()], at=NOON)
    with pytest.raises(NotFound):
        comparison(cast.acme.id, "nothing", incumbent=STRONG, candidate=CHEAP)
    with pytest.raises(OutcomeInvalid) as refused:
        comparison(cast.acme.id, "triage", incumbent=STRONG, candidate=CHEAP)
    assert refused.value.field == "candidate"
    with pytest.raises(OutcomeInvalid):
        comparison(cast.acme.id, "triage", incumbent=STRONG, candidate=STRONG)


def test_judges_that_change_their_mind_have_said_nothing(cast: Cast) -> None:
    drafts = [
        outcome("1", model, score, order_shown=way)
        for way, scores in ((Order.AB, (1.0, 0.0)), (Order.BA, (0.0, 1.0)))
        for model, score in zip((STRONG, CHEAP), scores, strict=True)
    ]
    recorded(cast.acme.id, drafts, at=NOON, kind=Kind.JUDGE, judge_model="judge")
    assert list(selectors.paired(cast.acme.id, "triage", STRONG, CHEAP).differences) == []


def test_what_people_would_say_is_told_from_what_judges_said_and_people_of_some(cast: Cast) -> None:
    # The judge gives the cheap model 0.2 less than people do; the strong one what it deserves.
    drafts = [
        outcome(f"{n}", model, 0.8 - off, human_score=0.8 if n < 30 else None)
        for n in range(100)
        for model, off in ((STRONG, 0.0), (CHEAP, 0.2))
    ]
    recorded(cast.acme.id, drafts, at=NOON, kind=Kind.JUDGE, judge_model="judge")
    found = comparison(cast.acme.id, "triage", incumbent=STRONG, candidate=CHEAP)
    assert found.difference == pytest.approx(-0.2)
    assert found.judged is not None
    assert found.judged.labelled == 30
    assert [found.judged.judged, found.judged.off, found.judged.mean] == pytest.approx([-0.2, 0.2, 0.0])
    # Suites need no people.
    recorded(cast.acme.id, run_of({STRONG: [1], CHEAP: [1]}, task_type="other"), at=NOON)
    assert comparison(cast.acme.id, "other", incumbent=STRONG, candidate=CHEAP).judged is None


def test_a_type_is_read_in_as_many_statements_whatever_there_is(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    recorded(cast.acme.id, run_of({STRONG: [1]}), at=NOON)
    with django_assert_num_queries(2) as few:
        selectors.rows_of(cast.acme.id, "triage")
    for name in ("one", "two", "three"):
        recorded(cast.acme.id, run_of({STRONG: [1] * 50, CHEAP: [1] * 50}), at=NOON, name=name)
    with django_assert_num_queries(len(few.captured_queries)):
        assert selectors.rows_of(cast.acme.id, "triage").score.size == 301
