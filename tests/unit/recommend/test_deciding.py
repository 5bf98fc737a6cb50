"""What follows from measured task types: who is replaced by whom, what stays, and what is to be tried first."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from routing.evidence.types import Flag, Seen
from routing.recommend.measuring import DEAREST
from routing.recommend.types import Advice, Examined, Volume
from routing.rules.document import imported
from routing.rules.rules import read
from routing.rules.types import Use, Within
from tests.factories.recommend import CHEAP, COSTS, SPENT, STRONG, advised, coins, tried, worked_out


def type_of(name: str = "triage", *, number: int = 800, seed: int = 0, cheap: float = 0.9, **given: object) -> Examined:
    scores = coins({STRONG: 0.9, CHEAP: cheap}, number, seed)
    return worked_out(tried(scores, task_type=name), **given)  # type: ignore[arg-type]


def only(found: list[Advice]) -> Advice:
    [one] = found
    return one


def test_a_model_that_is_as_good_and_cheaper_is_switched_to() -> None:
    one = only(advised(type_of()))
    assert (one.kind, one.task_type, one.incumbent, one.candidate, one.verdict) == (
        "switch", "triage", STRONG, CHEAP, "pass",
    )  # fmt: skip
    assert one.pairs == one.clusters == 800
    assert one.difference is not None
    assert one.difference.lower is not None
    assert -0.05 < one.difference.lower < one.difference.value
    # A tenth of the price a task: nine tenths of the month's spend, less what the failed tasks cost.
    assert one.saving.share is not None
    assert one.saving.share.value == pytest.approx(0.9, abs=0.02)
    assert one.saving.amount == pytest.approx(
        Decimal(1_000) * Decimal(str(one.saving.share.value)), rel=Decimal("1e-6")
    )
    assert one.saving.lower is not None
    assert one.saving.upper is not None
    assert one.saving.lower < one.saving.amount < one.saving.upper
    # Of two models there is no third to send calls to at random.
    assert one.saving.random_mix == 0.0
    assert "$1,000.00" in " ".join(one.reasons)


def test_the_rule_is_the_very_one_that_can_be_exported_and_imported() -> None:
    one = only(advised(type_of()))
    rule = read(one.rule)
    assert imported(one.yaml) == (rule,)
    assert (rule.when.models, rule.when.task_types) == ((STRONG,), ("triage",))
    assert rule.use == (Use(model=CHEAP), Use(model=STRONG))


def test_a_worse_model_is_not_and_what_there_is_stays() -> None:
    one = only(advised(type_of(cheap=0.7)))
    assert (one.kind, one.candidate, one.verdict, one.rule, one.saving.amount) == ("keep", "", "fail", None, Decimal(0))
    assert "worse by more than the margin" in one.reasons[0]


def test_what_is_not_known_well_enough_is_tried_first() -> None:
    one = only(advised(type_of(number=60)))
    assert (one.kind, one.candidate, one.verdict, one.rule) == ("experiment", CHEAP, "inconclusive", None)
    assert one.trial is not None
    assert 100 < one.trial.tasks < 2_000
    # Both models on each of the tasks.
    assert one.trial.cost == pytest.approx(Decimal("0.022") * one.trial.tasks, rel=Decimal("0.15"))
    assert one.trial.share == pytest.approx(0.9, abs=0.03)
    assert one.saving.amount == 0


def test_few_tasks_never_pass_whatever_they_say() -> None:
    perfect = {STRONG: np.zeros(19), CHEAP: np.ones(19)}
    one = only(advised(worked_out(tried(perfect))))
    assert (one.kind, one.verdict) == ("experiment", "inconclusive")
    # Nineteen sessions of fifty tasks are nineteen draws.
    many = {STRONG: np.zeros(950), CHEAP: np.ones(950)}
    sessions = [place // 50 for place in range(950)]
    assert only(advised(worked_out(tried(many, clusters=sessions)))).kind == "experiment"


def test_small_types_lean_on_what_the_same_models_do_elsewhere() -> None:
    others = [type_of(f"type-{seed}", number=400, seed=seed, cheap=0.4) for seed in range(1, 6)]
    lucky = worked_out(tried({STRONG: [1.0, 0.0] * 6, CHEAP: [0.0, 1.0] * 6}, task_type="small"))
    assert only(advised(lucky)).kind == "experiment"
    [small] = [one for one in advised(*others, lucky) if one.task_type == "small"]
    # Alone it looks as good; with the others in mind it is not even worth a trial.
    assert small.kind == "keep"
    [row] = small.considered
    assert row.difference is not None
    assert row.expected is not None
    assert row.difference.value == 0.0
    assert row.expected.value < -0.05


def test_of_several_that_are_as_good_it_is_the_cheapest() -> None:
    scores = coins({STRONG: 0.9, CHEAP: 0.9, "middle": 0.9}, 1_500)
    one = only(advised(worked_out(tried(scores, costs=COSTS | {"middle": 0.01}))))
    assert (one.kind, one.candidate) == ("switch", CHEAP)
    assert [(row.model, row.why) for row in one.considered] == [
        (CHEAP, ""), ("middle", "it is as good, and another one is cheaper"),
    ]  # fmt: skip


def test_one_that_is_as_good_and_dearer_changes_nothing() -> None:
    one = only(advised(worked_out(tried(coins({STRONG: 0.9, "dear": 0.9}, 800), costs=COSTS | {"dear": 0.04}))))
    assert (one.kind, one.considered[0].verdict) == ("keep", "pass")
    assert "not shown to be cheaper" in one.reasons[0]


def test_beside_a_switch_what_may_save_more_is_tried() -> None:
    scores = coins({STRONG: 0.9, CHEAP: 0.9, "tiny": 0.88}, 800)
    scores["tiny"][100:] = np.nan
    switch, trial = advised(worked_out(tried(scores, costs=COSTS | {"tiny": 0.0002})))
    assert (switch.kind, switch.candidate, trial.kind, trial.candidate) == ("switch", CHEAP, "experiment", "tiny")


@pytest.mark.parametrize("about", [CHEAP, STRONG])
def test_what_looks_broken_is_not_believed(about: str) -> None:
    flag = Flag("format_collapse", f"{about} is at 0.02", "triage", (about,))
    one = only(advised(type_of(flags=[flag])))
    assert (one.kind, one.verdict, one.rule) == ("experiment", "suspect", None)
    assert f"{about} is at 0.02" in one.reasons[0]
    assert [raised.code for raised in one.flags] == ["format_collapse"]
    # Where it would save nothing, nobody need look.
    dear = tried(coins({STRONG: 0.9, "dear": 0.9}, 400), costs=COSTS | {"dear": 0.04})
    kept = only(advised(worked_out(dear, flags=[Flag("format_collapse", "odd", "triage", (STRONG,))])))
    assert (kept.kind, "odd" in kept.reasons[0]) == ("keep", True)


def test_logged_calls_give_an_experiment_and_nothing_else() -> None:
    # Hard tasks went to the strong model: the cheap one looks better by far.
    nothing = tried({STRONG: np.full(1, np.nan), CHEAP: np.full(1, np.nan)})
    seen = [Seen(STRONG, 5_000, 0.6, 0.02), Seen(CHEAP, 5_000, 0.95, 0.002)]
    one = only(advised(worked_out(nothing, seen=seen)))
    assert (one.kind, one.candidate, one.verdict, one.rule, one.pairs) == ("experiment", CHEAP, "inconclusive", None, 0)
    assert "nobody drew for" in one.reasons[0]


def test_the_same_model_with_less_effort_and_one_that_runs_in_the_house() -> None:
    costs = COSTS | {"strong@low": 0.005}
    effort = only(advised(worked_out(tried(coins({STRONG: 0.9, "strong@low": 0.9}, 800), costs=costs))))
    assert (effort.kind, read(effort.rule).use) == ("effort", (Use(model=STRONG, effort="low"),))
    local = only(advised(type_of(), local={CHEAP}))
    rule = read(local.rule)
    assert (local.kind, rule.use, rule.within) == ("local", (Use(model=CHEAP),), Within(labels=("local",)))
    # Where another one is cheaper still, both are said.
    three = coins({STRONG: 0.9, CHEAP: 0.9, "ours": 0.9}, 1_500)
    both = advised(worked_out(tried(three, costs=COSTS | {"ours": 0.004})), local={"ours"})
    assert [(one.kind, one.candidate) for one in both] == [("switch", CHEAP), ("local", "ours")]


def test_without_spend_there_is_advice_and_no_saving() -> None:
    one = only(advised(type_of(by=DEAREST)))
    assert (one.kind, one.volume, one.saving.amount) == ("switch", Volume(), Decimal(0))
    assert any("no saving a month to tell" in reason for reason in one.reasons)


def test_a_name_that_no_rule_may_have_is_advised_and_cannot_be_applied() -> None:
    odd = "odd\x07name"
    scores = coins({STRONG: 0.9, odd: 0.9}, 800)
    one = only(advised(worked_out(tried(scores, costs=COSTS | {odd: 0.001}), volume=SPENT)))
    assert (one.kind, one.rule, one.yaml) == ("switch", None, "")


def test_a_type_with_nothing_but_the_incumbent_says_nothing() -> None:
    assert advised(worked_out(tried({STRONG: np.ones(50)}))) == []


def test_a_trial_is_larger_where_many_are_tried_at_once() -> None:
    alone = only(advised(type_of(number=60)))
    others = [
        worked_out(
            tried(coins({STRONG: 0.9, "other": 0.6}, 200, seed), task_type=f"t{seed}", costs=COSTS | {"other": 0.001})
        )
        for seed in range(100)
    ]
    [among] = [one for one in advised(type_of(number=60), *others) if one.task_type == "triage"]
    assert alone.trial is not None
    assert among.trial is not None
    assert alone.trial.tasks < among.trial.tasks < 4 * alone.trial.tasks


def test_a_trial_of_that_size_tells_mostly() -> None:
    """An equal candidate, tried on as many tasks as were asked for, passes about four of five times."""
    told = []
    for seed in range(60):
        scores = coins({STRONG: 0.9, CHEAP: 0.9}, 4_000, seed)
        one = advised(worked_out(tried({name: its[:150] for name, its in scores.items()})))[0]
        if one.trial is not None:
            whole = {name: its[: 150 + one.trial.tasks] for name, its in scores.items()}
            told.append(advised(worked_out(tried(whole)))[0].kind == "switch")
    assert len(told) >= 30
    assert np.mean(told) >= 0.7
