"""A rule that the benchmark learned from published outcomes, imported: it sends the same tasks to the same models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench import routing
from tests.factories.evidence import published
from tests.interfaces.conftest import Api, told

MOST: int = 1_000


OPUS: str = "claude-opus-4-7"
NEMOTRON: str = "llama-3.1-nemotron-51b-instruct"
GPT: str = "gpt-4-1106-preview"


@pytest.mark.parametrize(
    ("name", "incumbent", "candidates"),
    [
        ("mt_bench", GPT, ["mistralai/Mixtral-8x7B-Instruct-v0.1"]),
        ("fourteen_tasks_nine_models", NEMOTRON, ["gemma-2-9b-it"]),
        pytest.param("fourteen_tasks_nine_models", NEMOTRON, ["qwen2.5-7b-instruct"], marks=pytest.mark.soak),
        pytest.param("mmlu_gpt4_mixtral", GPT, ["mixtral-8x7b-instruct-v0.1"], marks=pytest.mark.soak),
        pytest.param("coding_agents", OPUS, None, marks=pytest.mark.soak),
    ],
)
def test_what_the_benchmark_applied_is_what_the_gateway_would_do(
    name: str, incumbent: str, candidates: list[str] | None, alice: Api, tmp_path: Path
) -> None:
    """`candidates` None: all others."""
    outcomes = pd.read_parquet(published(name))
    candidates = candidates or sorted(set(outcomes["model"]) - {incumbent})
    learned = outcomes["task_id"].isin(outcomes["task_id"].drop_duplicates().sample(frac=0.5, random_state=1))
    paths: dict[str, Any] = {one: tmp_path / one for one in ("train", "test", "rule", "choices")}
    outcomes[learned].to_parquet(paths["train"])
    outcomes[~learned].to_parquet(paths["test"])
    wished = {"incumbent": incumbent, "candidate": candidates, "target": 0.95, "assurance": 0.5}
    came = routing.run(paths | wished, lambda _: None)
    assert came["kept"] > 0.9
    assert came["saved"] > came["saved_random_mix"]

    text = paths["rule"].read_text()
    told(alice.post("routing-rules/import?why=Learned", text, content_type="application/yaml"))
    chosen = [json.loads(line) for line in paths["choices"].read_text().splitlines()]
    assert len(chosen) == came["tasks"]
    tasks = outcomes.drop_duplicates("task_id").set_index("task_id")
    calls = [
        {
            "model": incumbent,
            "task_type": tasks.loc[one["task_id"], "task_type"],
            "text": tasks.loc[one["task_id"], "prompt"],
            "session": one["task_id"],
        }
        for one in chosen[:MOST]
    ]
    answers = told(alice.post("route", {"calls": calls}))["answers"]
    assert [one["models"][0] for one in answers] == [one["model"] for one in chosen[:MOST]]
    assert len({one["models"][0] for one in answers}) > 1
