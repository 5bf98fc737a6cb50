"""Measured outcomes: how well models did on the same tasks, and what that cost. Read from files of the shape in which
evaluations are published; Parquet, one row for one model on one task.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from finops.core.errors import FinopsError
from routing.evidence.types import Floats

REQUIRED: Final = ("task_id", "task_type", "model", "score", "cost_usd")
OPTIONAL: Final = ("dataset", "prompt", "session")
MOST_ROWS: Final = 20_000_000
# Kinds of columns that may hold numbers, or what reads as one.
_NUMBERS: Final = "biufO"


class OutcomesInvalid(FinopsError):
    """A file of outcomes that cannot be read, and which field of it is why."""

    code = "evidence.outcomes_invalid"


class Outcomes(NamedTuple):
    """`scores` (0 to 1) and `costs` (dollars) have the shape (tasks, models), NaN where a model was not tried; `types`,
    `prompts` and `sessions` the shape (tasks,), '' where there is none; `tasks` are their ids.
    """

    models: tuple[str, ...]
    tasks: NDArray[np.object_]
    types: NDArray[np.str_]
    prompts: NDArray[np.object_]
    scores: Floats
    costs: Floats
    sessions: NDArray[np.object_]

    def of(self, model: str) -> int:
        """The model's column. Raises OutcomesInvalid."""
        if model not in self.models:
            raise OutcomesInvalid(f"no outcome is of {model!r}; there are {', '.join(self.models)}", field="model")
        return self.models.index(model)

    def differences(self, incumbent: str, candidate: str) -> tuple[Floats, NDArray[np.str_]]:
        """Of the tasks that both were tried on, in their order: the candidate's score minus the incumbent's, and the
        type. Raises OutcomesInvalid.
        """
        found = self.scores[:, self.of(candidate)] - self.scores[:, self.of(incumbent)]
        both = ~np.isnan(found)
        return found[both], self.types[both]


def read_outcomes(path: Path) -> Outcomes:
    """Raises OutcomesInvalid."""
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MOST_ROWS:
                raise OutcomesInvalid(f"at most {MOST_ROWS:,} rows", field="rows")
            columns = [name for name in (*REQUIRED, *OPTIONAL) if name in file.schema_arrow.names]
            for name in REQUIRED:
                if name not in columns:
                    raise OutcomesInvalid(f"there is no column {name}", field=name)
            rows = file.read(columns=columns).to_pandas(ignore_metadata=True)
    except (OSError, pa.ArrowException) as error:
        raise OutcomesInvalid(f"{path.name} cannot be read as Parquet: {error}", field="outcomes") from None
    return outcomes_of(rows)


def outcomes_of(rows: pd.DataFrame) -> Outcomes:
    """As rows have them, tasks in the order they come. Raises OutcomesInvalid, which names the row."""
    rows = checked_rows(rows)
    task = ["dataset", "task_id"]
    if (again := rows.duplicated([*task, "model"])).any():
        raise OutcomesInvalid(f"row {_first(again)} is of a task and a model that came before", field="task_id")
    number = rows.groupby(task, sort=False).ngroup().to_numpy()
    if (other := rows["task_type"] != rows.groupby(number)["task_type"].transform("first")).any():
        raise OutcomesInvalid(f"row {_first(other)} has another task_type than its task before", field="task_type")
    column, models = pd.factorize(rows["model"], sort=True)
    shape = (int(number.max()) + 1 if len(number) else 0, len(models))
    scores, costs = np.full(shape, np.nan), np.full(shape, np.nan)
    scores[number, column], costs[number, column] = rows["score"], rows["cost_usd"]
    tasks = rows.drop_duplicates(task)
    return Outcomes(
        tuple(str(one) for one in models),
        tasks["task_id"].to_numpy(dtype=np.object_),
        tasks["task_type"].to_numpy(dtype=np.str_),
        tasks["prompt"].to_numpy(dtype=np.object_),
        scores,
        costs,
        tasks["session"].to_numpy(dtype=np.object_),
    )


def checked_rows(rows: pd.DataFrame, *, before: int = 0) -> pd.DataFrame:
    """Words as text, numbers as floats; `before` is how many rows of the file came before these. Raises
    OutcomesInvalid, which names the row.
    """
    rows = rows.assign(**{name: _text(rows, name) for name in (*OPTIONAL, "task_type")})
    rows["score"] = _numbers(rows, "score", most=1.0, before=before)
    rows["cost_usd"] = _numbers(rows, "cost_usd", most=1e9, before=before)
    for name in ("task_id", "model"):
        rows[name] = _text(rows, name)
        if (missing := rows[name] == "").any():
            raise OutcomesInvalid(f"row {_first(missing) + before} has no {name}", field=name)
    return rows


def _text(rows: pd.DataFrame, name: str) -> Any:
    return rows[name].astype(object).fillna("").astype(str) if name in rows else ""


def _numbers(rows: pd.DataFrame, name: str, *, most: float, before: int) -> Any:
    if rows[name].dtype.kind not in _NUMBERS:
        raise OutcomesInvalid(f"{name} is a column of {rows[name].dtype}, which are no numbers", field=name)
    found = pd.to_numeric(rows[name], errors="coerce").astype(float)
    if (wrong := ~found.between(0.0, most)).any():
        raise OutcomesInvalid(f"{name} of row {_first(wrong) + before} is no number from 0 to {most:g}", field=name)
    return found


def _first(where: Any) -> int:
    """Rows are counted from 1."""
    return int(np.flatnonzero(where.to_numpy())[0]) + 1
