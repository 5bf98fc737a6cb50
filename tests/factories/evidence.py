"""Outcomes to tell stories with: runs of made-up models, and published ones where their files are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from routing.evidence import arrays
from routing.evidence.services import record_evaluation, record_outcomes
from routing.evidence.types import EvaluationDraft, Kind, OutcomeDraft, Recorded, Rows
from tests.factories.orgs import HOUSE

STRONG: Final = "strong"
CHEAP: Final = "cheap"


def published(name: str) -> Path:
    """A file of published outcomes: beside the checkout, or in CAPSTAN_ROUTING_DATA. Without it the test is skipped."""
    beside = Path(__file__).parents[2].parent / "shared" / "data" / "routing"
    path = Path(os.environ.get("CAPSTAN_ROUTING_DATA") or beside) / f"{name}.parquet"
    if not path.is_file():
        pytest.skip(f"needs {name}.parquet: set CAPSTAN_ROUTING_DATA to the folder that has it")
    return path


def draft(name: str = "nightly", **given: Any) -> EvaluationDraft:
    usual: dict[str, Any] = {"name": name, "kind": Kind.EVALUATION, "evaluator": "suite", "evaluator_version": "1"}
    return EvaluationDraft(**usual | given)


def outcome(item: str = "1", model: str = STRONG, score: float = 1.0, **given: Any) -> OutcomeDraft:
    usual: dict[str, Any] = {"item": item, "task_type": "triage", "model": model, "score": score}
    return OutcomeDraft(**usual | given)


def run_of(scores: Mapping[str, Iterable[float]], **given: Any) -> list[OutcomeDraft]:
    """By model, its scores on items 0, 1, 2 and so on. `given` may have `costs` by model, one for each of its items."""
    costs = given.pop("costs", {})
    return [
        outcome(f"item-{place}", model, float(score), cost=Decimal(costs[model]) if model in costs else None, **given)
        for model, its in scores.items()
        for place, score in enumerate(its)
    ]


def recorded(
    organization_id: int, outcomes: Iterable[OutcomeDraft], *, at: datetime, name: str = "nightly", **given: Any
) -> Recorded:
    return record_evaluation(
        organization_id=organization_id, draft=draft(name, **given), outcomes=list(outcomes), by=HOUSE, at=at
    )


def heard(organization_id: int, outcomes: Iterable[OutcomeDraft], *, at: datetime, **given: Any) -> Recorded:
    """Feedback of calls."""
    usual: dict[str, Any] = {"kind": Kind.FEEDBACK, "evaluator": "thumbs", "evaluator_version": ""}
    return record_outcomes(
        organization_id=organization_id, source=draft("thumbs", **usual | given), outcomes=list(outcomes), by=HOUSE,
        at=at,
    )  # fmt: skip


def rows(outcomes: Iterable[Mapping[str, Any]], task_type: str = "triage", **measures: tuple[str, str, str]) -> Rows:
    """As the database would give them. `r2=("evaluation", "suite", "2")` says what run 2 was measured with."""
    usual: dict[str, Any] = {
        "run": 1, "batch": 0, "item": "1", "cluster": "", "fingerprint": "", "model": STRONG, "score": 1.0,
        "cost": None, "status": "completed", "order_shown": "", "randomised": 1, "propensity": None, "human": None,
    }  # fmt: skip
    kinds = {"run": pa.int64(), "batch": pa.int64(), "randomised": pa.int64()}
    numbers = ("score", "cost", "propensity", "human")
    said = [usual | dict(one) for one in outcomes]
    table = pa.table(
        {
            name: pa.array(
                [one[name] for one in said], kinds.get(name, pa.float64() if name in numbers else pa.string())
            )
            for name in usual
        }
    )
    runs = {one["run"]: ("evaluation", "suite", "1") for one in said}
    return arrays.rows_of(task_type, table, runs | {int(name[1:]): of for name, of in measures.items()})


def rows_by(scores: Mapping[str, Iterable[float]], task_type: str = "triage", **given: Any) -> Rows:
    """By model, its scores on items 0, 1, 2 and so on."""
    return rows(
        [
            {"item": f"item-{place}", "model": model, "score": float(score), **given}
            for model, its in scores.items()
            for place, score in enumerate(its)
        ],
        task_type,
    )


def coin(share: float, number: int, seed: int) -> np.ndarray[Any, Any]:
    """Zeros and ones."""
    return (np.random.default_rng(seed).random(number) < share).astype(float)
