"""Reads of what is known: evaluations and outcomes as lists, and as arrays for statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, Final

import pyarrow as pa
from django.db import connection
from django.db.models import QuerySet
from psycopg import sql
from pyarrow import compute, csv

from finops.core.errors import NotFound
from routing.evidence import arrays, matrices, suspect
from routing.evidence.models import Evaluation, Outcome, TypeVersion
from routing.evidence.types import (
    Evidence,
    Flag,
    Frozen,
    Known,
    Logged,
    ModelKnown,
    Pairs,
    Rows,
    Seen,
    TypeEvidence,
)

# Of one task type, and of all of an organization's: what was recorded last is read.
MOST_ROWS: Final = 2_000_000
MOST_OF_ALL: Final = 5_000_000
MOST_FLAGGED: Final = 300_000
_KINDS: Final[Mapping[str, Any]] = {
    "task_type": pa.string(), "run": pa.int64(), "batch": pa.float64(), "item": pa.string(), "cluster": pa.string(),
    "fingerprint": pa.string(), "model": pa.string(), "score": pa.float64(), "cost": pa.float64(),
    "status": pa.string(), "order_shown": pa.string(), "randomised": pa.int64(), "propensity": pa.float64(),
    "human": pa.float64(),
}  # fmt: skip
_COLUMNS: Final = (
    "o.task_type, o.evaluation_id, date_part('epoch', o.recorded_at), o.item, o.cluster,"
    " o.fingerprint, o.model, o.score, o.cost::float8, o.status, o.order_shown, o.randomised::int, o.propensity,"
    " o.human_score"
)
_FROM: Final = "FROM evidence_outcome o JOIN evidence_evaluation e ON e.id = o.evaluation_id"
_LIVING: Final = "o.organization_id = %(organization)s AND e.withdrawn_at IS NULL"
# As COPY takes it: psycopg puts the values in, for PostgreSQL takes none there.
_IN: Final = "o.organization_id = {organization}"
_STANDINGS: Final = (
    f"SELECT o.task_type, o.model, count(*), avg(o.score) {_FROM} WHERE {_LIVING} GROUP BY o.task_type, o.model"
)


def evaluations(organization_id: int, *, kind: str = "", standing: bool | None = None) -> QuerySet[Evaluation]:
    """Newest first."""
    rows = Evaluation.objects.filter(organization_id=organization_id).order_by("-id")
    if kind:
        rows = rows.filter(kind=kind)
    return rows if standing is None else rows.filter(standing=standing)


def evaluation(organization_id: int, evaluation_id: int) -> Evaluation:
    """Raises NotFound."""
    row = Evaluation.objects.filter(organization_id=organization_id, id=evaluation_id).first()
    if row is None:
        raise NotFound("There is no such evaluation.")
    return row


def outcomes(
    organization_id: int,
    *,
    task_type: str = "",
    model: str = "",
    item: str = "",
    kind: str = "",
    status: str = "",
    evaluation_id: int | None = None,
    occurred_from: datetime | None = None,
    occurred_to: datetime | None = None,
) -> QuerySet[Outcome]:
    """Newest first, those of withdrawn evaluations too. Times are half-open, [from, to)."""
    rows = Outcome.objects.filter(organization_id=organization_id).select_related("evaluation").order_by("-id")
    wished = {
        "task_type": task_type, "model": model, "item": item, "status": status, "evaluation__kind": kind,
        "evaluation_id": evaluation_id, "occurred_at__gte": occurred_from, "occurred_at__lt": occurred_to,
    }  # fmt: skip
    return rows.filter(**{name: value for name, value in wished.items() if value not in ("", None)})


def types_known(organization_id: int) -> QuerySet[TypeVersion]:
    """Task types that anything is known of, by name."""
    return TypeVersion.objects.filter(organization_id=organization_id, outcomes__gt=0).order_by("task_type")


def task_types(organization_id: int) -> list[Known]:
    """The same as values."""
    rows = types_known(organization_id)
    return [Known(row.task_type, row.version, row.outcomes, row.changed_at) for row in rows]


def versions(organization_id: int) -> dict[str, int]:
    """Of every task type that anything was ever known of, its version: another one says that something changed."""
    rows = TypeVersion.objects.filter(organization_id=organization_id)
    return dict(rows.order_by("task_type").values_list("task_type", "version"))


def models_of(organization_id: int, task_type: str) -> list[ModelKnown]:
    """Models that anything is known of in a task type, by name; empty where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT o.model, count(*), avg(o.score) {_FROM}"
            f" WHERE {_LIVING} AND o.task_type = %(task_type)s GROUP BY o.model ORDER BY o.model",
            {"organization": organization_id, "task_type": task_type},
        )
        return [ModelKnown(*row) for row in cursor.fetchall()]


def rows_of(organization_id: int, task_type: str) -> Rows:
    """What is known of a task type and not withdrawn, as columns: the last MOST_ROWS."""
    which = f"{_IN} AND e.withdrawn_at IS NULL AND o.task_type = {{task_type}}"
    table = _table(which, {"organization": organization_id, "task_type": task_type}, MOST_ROWS)
    return arrays.rows_of(task_type, table, _measures(organization_id, table))


def evidence(organization_id: int, task_types: Iterable[str] | None = None) -> Evidence:
    """Everything that runs drew, as tasks x models for each task type, and what looks broken in it. `task_types`: those
    alone, with flags that know of the others. At most MOST_OF_ALL outcomes, types by name; whoever has more asks for
    some types at a time.
    """
    known = versions(organization_id)
    wished = known if task_types is None else {name: known[name] for name in sorted(set(task_types)) if name in known}
    standings = standings_of(organization_id)
    types: list[TypeEvidence] = []
    flags: list[Flag] = []
    left = MOST_OF_ALL
    for name, version in wished.items():
        rows = rows_of(organization_id, name)
        left -= rows.score.size
        if left < 0:
            break
        if rows.score.size:
            types.append(matrices.evidence_of(rows, version=version))
            flags += suspect.flags_of(rows, standings)
    return Evidence(tuple(types), tuple(flags))


def standings_of(organization_id: int) -> dict[str, dict[str, suspect.Standing]]:
    """Each model's mean in each task type, of all that is not withdrawn."""
    found: dict[str, dict[str, suspect.Standing]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS, {"organization": organization_id})
        for task_type, model, number, mean in cursor.fetchall():
            found.setdefault(task_type, {})[model] = suspect.Standing(number, mean)
    return found


def paired(organization_id: int, task_type: str, incumbent: str, candidate: str) -> Pairs:
    """Both models on the same items in runs, by the same measure: what statistics of a difference take. Nothing that
    was logged is among it.
    """
    rows = rows_of(organization_id, task_type)
    return matrices.pairs(matrices.evidence_of(rows, version=0), incumbent, candidate)


def observational(organization_id: int, task_type: str) -> list[Seen]:
    """By model, what nobody drew for. It may suggest an experiment; a difference of two of these means nothing."""
    return matrices.seen(rows_of(organization_id, task_type))


def logged(organization_id: int, task_type: str) -> Logged:
    """Outcomes of calls whose model was drawn by a chance that was written down."""
    return matrices.logged(rows_of(organization_id, task_type))


def frozen(organization_id: int, task_type: str, incumbent: str) -> list[Frozen]:
    """The incumbent as it is known now, to hold what comes later against: by each evaluator alone, in their order.
    Raises NotFound where no run had it.
    """
    version = versions(organization_id).get(task_type, 0)
    found = matrices.evidence_of(rows_of(organization_id, task_type), version=version)
    known = matrices.frozen(found, incumbent)
    if not known:
        raise NotFound("No run has this model on this task type.")
    return known


def flags_of_evaluation(organization_id: int, row: Evaluation) -> list[Flag]:
    """What looks broken in one evaluation, by itself, in the last MOST_FLAGGED outcomes; also if it was withdrawn."""
    which = f"{_IN} AND o.evaluation_id = {{evaluation}}"
    table = _table(which, {"organization": organization_id, "evaluation": row.id}, MOST_FLAGGED)
    measures = _measures(organization_id, table)
    of_types = compute.dictionary_encode(table["task_type"]).combine_chunks()
    rows = [
        arrays.rows_of(name, table.filter(compute.equal(table["task_type"], name)), measures)
        for name in sorted(of_types.dictionary.to_pylist())
    ]
    standings = {one.task_type: suspect.standings_of(one) for one in rows}
    return [flag for one in rows for flag in suspect.flags_of(one, standings)]


def _measures(organization_id: int, table: pa.Table) -> dict[int, tuple[str, str, str]]:
    runs = compute.unique(table["run"]).to_pylist()
    found = Evaluation.objects.filter(organization_id=organization_id, id__in=runs)
    named = found.values_list("id", "kind", "evaluator", "evaluator_version")
    return {run: (kind, evaluator, version) for run, kind, evaluator, version in named}


def _table(which: str, given: Mapping[str, Any], most: int) -> pa.Table:
    """The outcomes that were recorded last, through CSV: a million in about two seconds."""
    chosen = f"SELECT {_COLUMNS} {_FROM} WHERE {which} ORDER BY o.id DESC LIMIT {most}"
    values = {name: sql.Literal(value) for name, value in given.items()}
    statement = sql.SQL(f"COPY ({chosen}) TO STDOUT (FORMAT csv)").format(**values)
    buffer = BytesIO()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for data in copy:
            buffer.write(data)
    if not buffer.tell():
        return pa.table({name: pa.array([], kind) for name, kind in _KINDS.items()})
    buffer.seek(0)
    return csv.read_csv(
        buffer,
        read_options=csv.ReadOptions(column_names=list(_KINDS)),
        convert_options=csv.ConvertOptions(column_types=dict(_KINDS), strings_can_be_null=False, null_values=[""]),
    )
