"""What looks broken, on made-up runs that are, and on made-up runs that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from routing.evidence.outcomes import read_outcomes
from routing.evidence.suspect import (
    Standings,
    concerns,
    duplicated_items,
    flags_of,
    format_collapses,
    judge_drifts,
    one_order,
    standings_of,
    truncated_runs,
)
from routing.evidence.types import Flag, Rows
from tests.factories.evidence import coin, published, rows, rows_by


def told(found: list[Flag]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.code, one.models) for one in found]


def standings(*types: Rows) -> Standings:
    return {one.task_type: standings_of(one) for one in types}


def elsewhere() -> list[Rows]:
    """Three task types on which `fragile` is as good as the others."""
    return [
        rows_by(
            {name: coin(0.8, 100, seed) for seed, name in enumerate(("fragile", "one", "two"), place)}, f"type{place}"
        )
        for place in range(3)
    ]


class TestFormats:
    def test_a_model_that_falls_far_below_itself_where_others_do_not(self) -> None:
        here = rows_by({"fragile": coin(0.28, 100, 7), "one": coin(0.8, 100, 8), "two": coin(0.75, 100, 9)})
        [flag] = format_collapses(here, standings(here, *elsewhere()))
        assert (flag.code, flag.models, flag.task_type) == ("format_collapse", ("fragile",), "triage")
        assert "below what it does in other task types: the form of its answers may have changed" in flag.reason
        assert 0 < len(flag.items) <= 20

    def test_a_model_that_is_bad_everywhere_is_just_bad(self) -> None:
        others = [
            rows_by({"weak": coin(0.2, 100, 1), "one": coin(0.8, 100, 2), "two": coin(0.8, 100, 3)}, f"type{place}")
            for place in range(3)
        ]
        here = rows_by({"weak": coin(0.25, 100, 4), "one": coin(0.8, 100, 5), "two": coin(0.8, 100, 6)})
        assert format_collapses(here, standings(here, *others)) == []

    def test_a_type_that_is_hard_for_all_is_just_hard(self) -> None:
        here = rows_by({"fragile": coin(0.1, 100, 7), "one": coin(0.12, 100, 8), "two": coin(0.2, 100, 9)})
        assert format_collapses(here, standings(here, *elsewhere())) == []

    def test_next_to_nothing_where_others_can(self) -> None:
        here = rows_by({"mute": [0.0] * 99 + [1.0], "one": coin(0.8, 100, 8), "two": coin(0.75, 100, 9)})
        assert told(format_collapses(here, standings(here))) == [("format_collapse", ("mute",))]

    def test_all_alike_where_another_varies(self) -> None:
        here = rows_by({"stuck": [0.5] * 60, "one": coin(0.9, 60, 1)})
        [flag] = format_collapses(here, standings(here))
        assert flag.reason.startswith("all 60 scores of stuck are 0.5, while others are at 0.")
        assert format_collapses(rows_by({"good": [1.0] * 60, "one": coin(0.9, 60, 1)}), {}) == []

    def test_a_handful_and_a_model_alone_say_nothing(self) -> None:
        few = rows_by({"mute": [0.0] * 15, "one": [1.0] * 15, "two": [1.0] * 15})
        alone = rows_by({"mute": [0.0] * 100})
        assert format_collapses(few, standings(few)) == []
        assert format_collapses(alone, standings(alone)) == []


class TestTruncated:
    def test_answers_that_were_cut_off_far_more_often_than_those_of_others(self) -> None:
        said = [
            {"item": f"{n}", "model": model, "status": "truncated" if model == "cut" and n % 4 == 0 else "completed"}
            for n in range(80)
            for model in ("cut", "one", "two")
        ]
        [flag] = truncated_runs(rows(said))
        assert (flag.code, flag.models) == ("truncated_run", ("cut",))
        assert flag.reason == "25% of cut's answers were truncated, refused or errors, 0% of those of others"

    def test_tasks_that_break_every_model_blame_none(self) -> None:
        said = [
            {"item": f"{n}", "model": model, "status": "error" if n % 4 == 0 else "completed"}
            for n in range(80)
            for model in ("one", "two", "three")
        ]
        assert truncated_runs(rows(said)) == []

    def test_a_run_that_ended_early_lacks_what_others_have(self) -> None:
        full = rows_by({"one": [1.0] * 100, "two": [1.0] * 100, "early": [1.0] * 60})
        [flag] = truncated_runs(full)
        assert flag.models == ("early",)
        assert "lacks 40 of 100 items that nearly all others of its run have" in flag.reason
        assert set(flag.items) <= {f"item-{n}" for n in range(60, 100)}

    def test_a_choice_of_items_that_several_share_is_no_broken_run(self) -> None:
        half = {f"some{n}": [1.0] * 60 for n in range(3)}
        assert truncated_runs(rows_by({"one": [1.0] * 100, "two": [1.0] * 100, "three": [1.0] * 100} | half)) == []

    def test_a_sample_in_a_run_of_its_own_lacks_nothing(self) -> None:
        said: list[Mapping[str, Any]] = [{"item": f"{n}", "model": "one"} for n in range(100)]
        said += [{"item": f"{n}", "model": "sampled", "run": 2} for n in range(30)]
        assert truncated_runs(rows(said)) == []

    def test_calls_have_one_model_each(self) -> None:
        said = [{"item": f"{n}", "model": ("one", "two")[n % 2], "randomised": 0} for n in range(100)]
        drawn = [one | {"randomised": 1, "propensity": 0.5} for one in said]
        assert truncated_runs(rows(said)) == truncated_runs(rows(drawn)) == []


class TestDrift:
    def test_another_version_that_is_kinder_to_the_same_answers(self) -> None:
        before = np.random.default_rng(1).uniform(0.3, 0.8, 60)
        said = [{"item": f"{n}", "score": score, "run": 1, "batch": 1} for n, score in enumerate(before)]
        said += [{"item": f"{n}", "score": score + 0.1, "run": 2, "batch": 2} for n, score in enumerate(before)]
        [flag] = judge_drifts(rows(said, r1=("judge", "rubric", "1"), r2=("judge", "rubric", "2")))
        assert (flag.code, flag.models) == ("judge_drift", ("strong",))
        assert flag.reason == "rubric 2 scores the same 60 items of strong 0.10 higher than before"
        # Two evaluators need not agree.
        assert judge_drifts(rows(said, r1=("judge", "rubric", "1"), r2=("judge", "other", "1"))) == []

    def test_the_same_judge_in_a_later_week(self) -> None:
        first, later = coin(0.9, 200, 1), coin(0.6, 200, 2)
        said = [
            {"item": f"{n}", "score": score, "run": run, "batch": run}
            for run, scores in ((1, first), (2, later))
            for n, score in enumerate(scores)
        ]
        [flag] = judge_drifts(rows(said))
        assert "lower than before" in flag.reason

    def test_models_that_answer_anew_vary_and_do_not_drift(self) -> None:
        wrong = 0
        for seed in range(100):
            said = [
                {"item": f"{n}", "score": score, "run": run, "batch": run}
                for run in (1, 2, 3)
                for n, score in enumerate(coin(0.7, 100, seed * 10 + run))
            ]
            wrong += len(judge_drifts(rows(said)))
        assert wrong <= 1


class TestDuplicates:
    def test_the_same_content_under_several_ids(self) -> None:
        said = [{"item": f"{n}", "fingerprint": f"f{n % 40}"} for n in range(60)]
        [flag] = duplicated_items(rows(said))
        assert (flag.code, flag.models) == ("duplicated_items", ("strong",))
        assert "20 of 60 items have the content of another one" in flag.reason
        assert duplicated_items(rows([one | {"fingerprint": f"f{one['item']}"} for one in said])) == []
        assert duplicated_items(rows([one | {"fingerprint": ""} for one in said])) == []

    def test_a_run_that_was_sent_again_under_another_name(self) -> None:
        costs = np.random.default_rng(1).uniform(0.01, 0.02, 50)
        said = [
            {"item": f"{n}", "score": score, "cost": cost, "run": run}
            for run in (1, 2)
            for n, (score, cost) in enumerate(zip(coin(0.7, 50, 3), costs, strict=True))
        ]
        [flag] = duplicated_items(rows(said))
        assert flag.reason == "evaluation 2 repeats evaluation 1: 50 outcomes are the same"
        said[-1]["cost"] = 0.5
        assert duplicated_items(rows(said)) == []


class TestOrders:
    def test_judgements_that_saw_one_order_alone(self) -> None:
        both: list[Mapping[str, Any]] = [
            {"item": f"{n}", "model": model, "order_shown": way}
            for n in range(40)
            for model in ("one", "two")
            for way in ("ab", "ba")
        ]
        assert one_order(rows(both)) == []
        [first, second] = one_order(rows([one for one in both if one["order_shown"] == "ab"]))
        assert (first.models, second.models) == (("one",), ("two",))
        assert "100% of the judgements of one" in first.reason


def test_flags_stand_against_the_models_they_are_about_alone() -> None:
    here = rows_by({"mute": [0.0] * 40, "one": coin(0.8, 40, 8), "two": coin(0.75, 40, 9)})
    flags = flags_of(here, standings(here))
    assert told(list(flags)) == [("format_collapse", ("mute",))]
    assert concerns(flags, "triage", "one", "two") == ()
    assert concerns(flags, "triage", "one", "mute") == flags
    assert concerns(flags, "other", "one", "mute") == ()


def test_sound_runs_are_not_suspect() -> None:
    for seed in range(30):
        types = [
            rows_by(
                {f"m{n}": coin(share, 80, seed * 100 + n * 7 + place) for n, share in enumerate((0.9, 0.7, 0.55, 0.8))},
                name,
            )
            for place, name in enumerate(("a", "b", "c"))
        ]
        assert [flag for one in types for flag in flags_of(one, standings(*types))] == []


def types_of(name: str) -> list[Rows]:
    outcomes = read_outcomes(published(name))
    found = []
    for task_type in np.unique(outcomes.types):
        tasks = np.flatnonzero(outcomes.types == task_type)
        said = [
            {"item": f"{task}", "model": model, "score": float(outcomes.scores[task, column])}
            for task in tasks
            for column, model in enumerate(outcomes.models)
            if not np.isnan(outcomes.scores[task, column])
        ]
        found.append(rows(said, str(task_type)))
    return found


def test_published_runs_that_lost_points_to_their_format_are_found() -> None:
    types = types_of("fourteen_tasks_nine_models")
    flags = [flag for one in types for flag in flags_of(one, standings(*types))]
    found = {(flag.task_type, *flag.models) for flag in flags if flag.code == "format_collapse"}
    assert ("mmlu", "qwen2.5-7b-instruct") in found
    assert ("arc_challenge", "llama3-chatqa-1.5-70b") in found
    # The ones that the savings of the reference come from are sound.
    assert not {one for one in found if {"gemma-2-9b-it", "llama-3.1-nemotron-51b-instruct"} & set(one)}


def test_published_runs_that_ended_early_are_found() -> None:
    types = types_of("coding_agents")
    flags = [flag for one in types for flag in flags_of(one, standings(*types))]
    assert ("gaia", "Nemotron-3-Nano") in {
        (flag.task_type, *flag.models) for flag in flags if flag.code == "truncated_run"
    }
    # Half of them were tried on fewer items, the same ones: that is no run that broke off.
    assert not [flag for flag in flags if flag.models == ("claude-opus-4-7",)]


def test_published_pairs_are_sound_but_for_one_broken_subject() -> None:
    for name, expected in (
        ("mt_bench", []),
        ("mmlu_gpt4_mixtral", [("format_collapse", "high_school_mathematics", ("gpt-4-1106-preview",))]),
    ):
        types = types_of(name)
        flags = [flag for one in types for flag in flags_of(one, standings(*types))]
        assert [(one.code, one.task_type, one.models) for one in flags] == expected
