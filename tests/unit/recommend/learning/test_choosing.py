"""Policies learned from measured tasks: what they give to the cheaper model, and what they leave."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

from routing.evidence.outcomes import Outcomes, outcomes_of
from routing.recommend.learning.choosing import KEEP, TRUST, Learned, learn
from routing.recommend.learning.fitting import expectations, fitted
from routing.recommend.learning.tables import Tasks, contents_of, drawn_together, tasks_of, words_of
from routing.rules.document import exported, imported
from routing.rules.policy import Chooser, Policy
from routing.rules.rules import check
from routing.rules.types import Rule

DEAR, CHEAP, CHEAPEST = "dear", "cheap", "cheapest"
EASY = "please say in a few words what this paragraph is about"
HARD = "prove that the theorem holds for every prime number"


def measured(of: dict[str, tuple[str, dict[str, float]]], size: int = 400, seed: int = 0) -> Outcomes:
    """Tasks of each type: its prompt, and the chance that each model does well."""
    drawn = np.random.default_rng(seed)
    rows = []
    for kind, (prompt, chances) in of.items():
        for number in range(size):
            words = f"{prompt} {drawn.integers(1_000)}" if prompt else ""
            task = {"task_id": f"{kind} {number}", "task_type": kind.split("/")[0], "prompt": words}
            for model, chance in chances.items():
                cost = {DEAR: 0.01, CHEAP: 0.001, CHEAPEST: 0.0002}[model]
                rows.append({**task, "model": model, "score": float(drawn.random() < chance), "cost_usd": cost})
    return outcomes_of(pd.DataFrame(rows))


def tasks(of: dict[str, tuple[str, dict[str, float]]], *candidates: str, size: int = 400) -> Tasks:
    return tasks_of(measured(of, size), DEAR, candidates or (CHEAP,))


def chosen(learned: Learned, kind: str, text: str = "", times: int = 200) -> float:
    """The share of calls like this that a cheaper model gets."""
    assert learned.policy is not None
    chooser = Chooser(learned.policy)
    return sum(chooser.of(kind, text, draw / times).model != DEAR for draw in range(times)) / times


def test_types_that_a_cheaper_model_does_as_well_go_to_it_and_others_stay() -> None:
    found = learn(
        tasks({"easy": ("", {DEAR: 0.9, CHEAP: 0.9}), "hard": ("", {DEAR: 0.9, CHEAP: 0.2})}),
        target=0.95,
        assurance=0.9,
    )
    assert chosen(found, "easy") == 1.0
    assert chosen(found, "hard") < 0.1
    assert found.expected.kept - found.expected.error >= 0.95
    assert 0.4 < found.expected.saved < 0.6


def test_within_a_type_the_text_says_which_calls_are_hard() -> None:
    mixed = {"work/easy": (EASY, {DEAR: 0.95, CHEAP: 0.95}), "work/hard": (HARD, {DEAR: 0.95, CHEAP: 0.1})}
    found = learn(tasks(mixed), target=0.95, assurance=0.5)
    assert chosen(found, "work", f"{EASY} 7") > 0.9
    assert chosen(found, "work", f"{HARD} 7") < 0.2
    # At random, half of the saving would cost half of the quality.
    assert found.expected.saved > 0.4


def test_how_honest_its_chances_are_is_learned_with_it_and_an_older_policy_reads_without() -> None:
    mixed = {"work/easy": (EASY, {DEAR: 0.95, CHEAP: 0.9}), "work/hard": (HARD, {DEAR: 0.95, CHEAP: 0.2})}
    found = learn(tasks(mixed), target=0.95, assurance=0.5)
    assert found.policy is not None
    for one in (found.policy.incumbent, *found.policy.candidates):
        assert one.quality is not None
        told = one.quality.reliability
        assert told is not None
        assert (told.is_off, told.error < 0.05) == (False, True)
        assert sum(each.number for each in told.bins) == 2 * 400
    rule = Rule(name="learned", policy=found.policy)
    assert check(rule) == rule
    assert imported(exported([rule])) == (rule,)
    # As it was exported before there was such a thing.
    said = msgspec.to_builtins(found.policy)
    for one in (said["incumbent"], *said["candidates"]):
        del one["quality"]["reliability"]
    old = msgspec.convert(said, Policy)
    assert old.incumbent.quality is not None
    assert old.incumbent.quality.reliability is None
    assert Chooser(old).of("work", f"{EASY} 7", 0.5) == Chooser(found.policy).of("work", f"{EASY} 7", 0.5)


def test_a_model_that_is_worse_by_little_gets_as_many_calls_as_quality_is_to_spare() -> None:
    found = learn(tasks({"all": ("", {DEAR: 0.9, CHEAP: 0.72})}, size=2_000), target=0.95, assurance=0.5)
    # A quarter of the calls at a fifth less is five points in a hundred.
    assert 0.15 < chosen(found, "all") < 0.3


def test_of_several_the_one_that_saves_most_for_what_it_loses_is_chosen() -> None:
    same = {"all": ("", {DEAR: 0.8, CHEAP: 0.8, CHEAPEST: 0.8})}
    assert learn(tasks(same, CHEAP, CHEAPEST), target=0.95, assurance=0.9).expected.saved > 0.95
    worse = {"all": ("", {DEAR: 0.8, CHEAP: 0.8, CHEAPEST: 0.1})}
    found = learn(tasks(worse, CHEAP, CHEAPEST, size=4_000), target=0.95, assurance=0.9)
    assert found.policy is not None
    models = {Chooser(found.policy).of("all", "", draw / 100).model for draw in range(100)}
    assert CHEAP in models
    assert 0.85 < found.expected.saved < 0.97


@pytest.mark.parametrize(
    "of",
    [
        {"all": ("", {DEAR: 0.9, CHEAP: 0.0})},
        # Dearer ones are no candidates, however good.
        {"all": ("", {CHEAP: 0.5, DEAR: 1.0})},
    ],
)
def test_where_nothing_is_to_be_gained_nothing_changes(of: dict[str, tuple[str, dict[str, float]]]) -> None:
    incumbent, candidate = next(iter(of.values()))[1]
    found = learn(tasks_of(measured(of), incumbent, [candidate]), target=0.99, assurance=0.99)
    assert found == KEEP


def test_few_tasks_are_no_evidence() -> None:
    assert learn(tasks({"all": ("", {DEAR: 1.0, CHEAP: 1.0})}, size=19), target=0.95, assurance=0.5) == KEEP


def test_more_assurance_never_saves_more() -> None:
    measures = tasks({"a": ("", {DEAR: 0.9, CHEAP: 0.85}), "b": ("", {DEAR: 0.9, CHEAP: 0.6})}, size=150)
    saved = [learn(measures, target=0.95, assurance=one).expected.saved for one in (0.5, 0.8, 0.9, 0.99)]
    assert saved == sorted(saved, reverse=True)
    assert saved[0] > saved[-1]


def test_what_is_learned_for_many_is_what_is_decided_for_one() -> None:
    mixed = {"work/easy": (EASY, {DEAR: 0.9, CHEAP: 0.9}), "work/hard": (HARD, {DEAR: 0.9, CHEAP: 0.3})}
    outcomes = measured(mixed, 60)
    table = tasks_of(outcomes, DEAR, [CHEAP])
    found = learn(table, target=0.9, assurance=0.5)
    assert found.policy is not None
    (again,) = imported(exported([Rule(name="learned", policy=found.policy)]))
    assert again.policy == found.policy
    losses, savings = expectations(fitted(table), table, TRUST)
    chooser = Chooser(again.policy)
    for row, text in enumerate(outcomes.prompts):
        choice = chooser.of("work", text, 0.0)
        if choice.model == CHEAP:
            assert choice.loss == pytest.approx(losses[row, 0], abs=2e-3)
            assert choice.saving == pytest.approx(savings[row, 0], rel=1e-6)
        else:
            assert losses[row, 0] > again.policy.price * savings[row, 0] - 2e-3


def test_a_task_type_nobody_measured_is_taken_for_the_average() -> None:
    found = learn(tasks({"all": ("", {DEAR: 0.9, CHEAP: 0.9})}), target=0.9, assurance=0.9)
    assert chosen(found, "never seen") == 1.0


def test_a_model_that_was_hardly_tried_on_the_same_tasks_is_not_believed() -> None:
    outcomes = measured({"all": ("", {DEAR: 0.9, CHEAP: 0.9})})
    scores, costs = outcomes.scores.copy(), outcomes.costs.copy()
    cheap, dear = outcomes.of(CHEAP), outcomes.of(DEAR)
    # Nineteen tasks that both did, and any number that one did alone.
    scores[19:200, cheap] = costs[19:200, cheap] = np.nan
    scores[200:, dear] = costs[200:, dear] = np.nan
    assert (
        learn(tasks_of(outcomes._replace(scores=scores, costs=costs), DEAR, [CHEAP]), target=0.9, assurance=0.5) == KEEP
    )


def test_what_is_drawn_together_has_one_number() -> None:
    sessions = np.array(["a", "", "b", "a", "", ""], dtype=object)
    contents = np.array(["", "x", "x", "", "y", ""], dtype=object)
    # Tasks 0 and 3 are of one session; 1 says what 2 says; 4 and 5 are alone.
    numbers = drawn_together(sessions, contents)
    assert numbers[0] == numbers[3]
    assert numbers[1] == numbers[2]
    assert len(set(numbers)) == 4


def test_equal_texts_are_one_and_a_form_that_all_have_is_none() -> None:
    told = contents_of(words_of(["Is it late?", "is  it LATE", "it is", ""]))
    assert told[0] == told[1] != told[2]
    assert told[3] == ""
    assert set(contents_of(words_of(["fill in this form"] * 40))) == {""}


def test_a_prompt_that_is_there_twice_says_nothing_of_itself() -> None:
    """Every text four times, with the same outcome, and no word that tells anything of another: what one says of its
    copies is no evidence, so that nothing is saved that types alone would not save.
    """
    drawn = np.random.default_rng(5)
    size = 120
    right = np.repeat((drawn.random(size) < 0.6).astype(float), 4)
    texts = [f"zq{drawn.integers(10**9)} zw{drawn.integers(10**9)}" for _ in range(size)]
    repeated = [text for text in texts for _ in range(4)]
    scores = np.column_stack([np.ones(4 * size), right])
    costs = np.column_stack([np.full(4 * size, 0.01), np.full(4 * size, 0.001)])
    words = words_of(repeated)
    made = Tasks(
        (DEAR, CHEAP), np.full(4 * size, "all"), np.full(4 * size, 20.0), words, scores, costs,
        drawn_together(contents_of(words)),
    )  # fmt: skip
    honest = learn(made, target=0.95, assurance=0.5).expected.saved
    leaking = learn(replace(made, clusters=np.arange(4 * size)), target=0.95, assurance=0.5).expected.saved
    assert honest < 0.2 < leaking


def test_what_costs_nothing_is_not_to_be_saved() -> None:
    outcomes = measured({"all": ("", {DEAR: 0.9, CHEAP: 0.9})})
    free = outcomes._replace(costs=np.zeros_like(outcomes.costs))
    assert learn(tasks_of(free, DEAR, [CHEAP]), target=0.9, assurance=0.5) == KEEP
