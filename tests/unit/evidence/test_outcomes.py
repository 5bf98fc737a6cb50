"""Files of outcomes: read as published, and refused by row and field where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench import evidence
from routing.evidence.outcomes import Outcomes, OutcomesInvalid, outcomes_of, read_outcomes

GOOD: dict[str, Any] = {
    "dataset": ["house", "house", "house", "other"],
    "task_id": ["1", "1", "2", "1"],
    "task_type": ["bug", "bug", "test", "bug"],
    "model": ["strong", "cheap", "strong", "strong"],
    "score": [1.0, 0.5, 0.0, 1.0],
    "cost_usd": [0.2, 0.01, 0.3, 0.1],
}


def test_a_file_has_a_row_for_each_model_on_each_task(tmp_path: Path) -> None:
    pd.DataFrame(GOOD | {"licence": "MIT"}).to_parquet(tmp_path / "outcomes.parquet")
    found = read_outcomes(tmp_path / "outcomes.parquet")
    assert found.models == ("cheap", "strong")
    assert list(found.types) == ["bug", "test", "bug"]
    assert list(found.prompts) == ["", "", ""]
    assert found.scores == pytest.approx(np.array([[0.5, 1.0], [np.nan, 0.0], [np.nan, 1.0]]), nan_ok=True)
    assert found.costs[0] == pytest.approx([0.01, 0.2])
    differences, types = found.differences("strong", "cheap")
    assert (list(differences), list(types)) == ([-0.5], ["bug"])


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"score": [1.0, 1.5, 0.0, 1.0]}, "score", "score of row 2 is no number from 0 to 1"),
        ({"score": [1.0, 0.5, None, 1.0]}, "score", "row 3"),
        ({"score": ["1", "half", "0", "1"]}, "score", "row 2"),
        ({"cost_usd": [0.2, 0.1, 0.1, float("inf")]}, "cost_usd", "cost_usd of row 4"),
        ({"cost_usd": [0.2, -0.1, 0.1, 0.1]}, "cost_usd", "row 2"),
        ({"score": pd.array([1.0, 0.5, None, 1.0], dtype="Float64")}, "score", "row 3"),
        ({"cost_usd": pd.array([1, None, 0, 1], dtype="Int64")}, "cost_usd", "row 2"),
        ({"score": pd.to_datetime(["1970-01-01"] * 4)}, "score", "which are no numbers"),
        ({"model": ["strong", "", "strong", "strong"]}, "model", "row 2 has no model"),
        ({"task_type": ["bug", "test", "test", "bug"]}, "task_type", "row 2 has another task_type"),
        ({"model": ["strong", None, "strong", "strong"]}, "model", "row 2 has no model"),
        ({"task_id": ["1", "1", None, "1"]}, "task_id", "row 3 has no task_id"),
        (
            {"model": ["strong", "strong", "strong", "strong"]},
            "task_id",
            "row 2 is of a task and a model that came before",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_row(wrong: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(OutcomesInvalid, match=said) as refused:
        outcomes_of(pd.DataFrame(GOOD | wrong))
    assert refused.value.field == field


def test_a_file_may_have_its_tasks_for_an_index_and_its_words_as_categories(tmp_path: Path) -> None:
    rows = pd.DataFrame(GOOD | {"dataset": pd.Categorical(["house", "house", None, "other"])})
    rows.set_index("task_id").to_parquet(tmp_path / "outcomes.parquet")
    assert read_outcomes(tmp_path / "outcomes.parquet").scores.shape == (3, 2)


def test_a_column_that_is_missing_and_a_file_that_is_none_are_said(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    pd.DataFrame(GOOD).drop(columns="score").to_parquet(path)
    with pytest.raises(OutcomesInvalid, match="no column score"):
        read_outcomes(path)
    path.write_text("task_id,score\n")
    with pytest.raises(OutcomesInvalid, match="cannot be read as Parquet"):
        read_outcomes(path)
    with pytest.raises(OutcomesInvalid, match="cannot be read as Parquet"):
        read_outcomes(tmp_path / "nobody.parquet")


def test_a_model_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(OutcomesInvalid, match="no outcome is of 'dear'; there are cheap, strong"):
        outcomes_of(pd.DataFrame(GOOD)).differences("strong", "dear")


def test_no_rows_are_no_outcomes() -> None:
    found = outcomes_of(pd.DataFrame({name: [] for name in GOOD}))
    assert (found.models, found.scores.shape) == ((), (0, 0))


def drawn(tasks: int, **shares: float) -> Outcomes:
    """Models that do so large a share of the tasks, each by a chance of its own for every third of them."""
    chance = np.random.default_rng(11)
    common = chance.random(tasks)
    done = {
        name: np.where(np.arange(tasks) % 3 == 0, chance.random(tasks), common) < share
        for name, share in shares.items()
    }
    rows = [
        {"task_id": str(n), "task_type": f"t{n % 4}", "model": name, "score": float(done[name][n]), "cost_usd": 0.01}
        for n in range(tasks)
        for name in shares
    ]
    return outcomes_of(pd.DataFrame(rows))


def told(
    monkeypatch: pytest.MonkeyPatch, outcomes: Outcomes, *candidates: str, draws: int | None = None
) -> dict[str, Any]:
    monkeypatch.setattr(evidence, "read_outcomes", lambda _: outcomes)
    given = {"outcomes": Path("drawn"), "incumbent": "strong", "candidate": list(candidates), "margin": 0.05}
    return evidence.run(given | {"alpha": 0.05, "replays": 50, "seed": 0, "draws": draws}, lambda _: None)


def test_the_benchmark_finds_what_is_as_good_and_nothing_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = {"strong": 0.7, "same": 0.7, "worse": 0.6} | {f"bad{n}": 0.55 for n in range(8)}
    outcomes = drawn(2_000, **shares)
    same = told(monkeypatch, outcomes, "same")
    assert (same["pass_rate"], same["verdict"]) == (1.0, "pass")
    assert same["median_n_pass"] <= 600
    assert same["lower"] <= same["difference"] <= same["upper"]
    worse = told(monkeypatch, outcomes, "worse")
    assert (worse["pass_rate"], worse["median_n_pass"], worse["verdict"]) == (0.0, None, "fail")
    assert told(monkeypatch, outcomes, "same", draws=19)["pass_rate"] == 0.0
    assert told(monkeypatch, outcomes, "same", draws=3_000)["pass_rate"] >= 0.98
    many = told(monkeypatch, outcomes, *(name for name in shares if name != "strong"))
    assert (many["candidates"], many["tasks_of_all"]) == (10, 2_000)
    assert 0.8 <= many["chosen"] <= 1.1
    assert many["held"] >= 0.9


def test_without_a_task_that_all_were_tried_on_the_benchmark_chooses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, outcomes_of(pd.DataFrame(GOOD)), "cheap", "cheap")
    assert (found["tasks"], found["tasks_of_all"], found["chosen"], found["held"]) == (1, 1, None, None)
    apart = outcomes_of(pd.DataFrame(GOOD).iloc[[1, 2, 3]])
    assert told(monkeypatch, apart, "cheap")["pass_rate"] is None
