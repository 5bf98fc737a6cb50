"""Spend, from rollups: the narrow cube that holds the question's dimensions, or the wide one when none does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.db import connection

from finops.core.errors import FinopsError
from finops.core.periods import day_number
from finops.ledger.rules import CUBES, Run, cube_for, runs
from finops.ledger.services.rows import MEASURES
from finops.ledger.types import DIMENSIONS, Grain, SpendQuestion, SpendRow

_MEASURES: Final = ", ".join(MEASURES)
_SUMS: Final = ", ".join(f"sum({measure})" for measure in MEASURES)
_NOT_NOTHING: Final = " OR ".join(f"sum({measure}) <> 0" for measure in MEASURES)
_BUCKET: Final = {
    Grain.TOTAL: "NULL::date",
    Grain.DAY: "day",
    Grain.WEEK: "date_trunc('week', day)::date",
    Grain.MONTH: "date_trunc('month', day)::date",
}
MOST_GROUPED: Final = 2


class UnknownDimension(FinopsError):
    code = "ledger.unknown_dimension"
    status = 400


class TooManyDimensions(FinopsError):
    code = "ledger.too_many_dimensions"
    status = 400


def spend(question: SpendQuestion) -> list[SpendRow]:
    """Answers a question about spend: one row per group, bucket and billing currency; groups of nothing are left out.

    Ordered by bucket, then reporting cost from the largest, then values. Raises UnknownDimension, TooManyDimensions.
    """
    _check(question)
    picked: list[tuple[int, ...]] | None = None
    if question.limit is not None and question.group_by:
        picked = top_values(question)
        if not picked:
            return []
    rows, params = _rows(question, picked)
    names = _output(question)
    bucket = _BUCKET[question.grain]
    keys = ", ".join([*names, "bucket", "currency"])
    statement = (
        f"SELECT {', '.join([*names, f'{bucket} AS bucket', 'currency'])}, {_SUMS} FROM ({rows}) AS r"
        f" GROUP BY {keys} HAVING {_NOT_NOTHING}"
        f" ORDER BY bucket, sum(reporting_cost) DESC, {', '.join([*names, 'currency'])}"
    )
    width = len(names)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [
            SpendRow(row[:width], row[width], row[width + 1], *map(int, row[width + 2 : width + 6]), *row[width + 6 :])
            for row in cursor.fetchall()
        ]


def top_values(question: SpendQuestion) -> list[tuple[int, ...]]:
    """The `limit` largest groups over the whole period by reporting cost, largest first."""
    _check(question)
    rows, params = _rows(replace(question, grain=Grain.TOTAL), None, measures="reporting_cost")
    names = ", ".join(_output(question))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {names} FROM ({rows}) AS r GROUP BY {names}"
            f" ORDER BY sum(reporting_cost) DESC, {names} LIMIT %s",
            [*params, question.limit],
        )
        return cursor.fetchall()


def _check(question: SpendQuestion) -> None:
    if len(question.group_by) > MOST_GROUPED:
        raise TooManyDimensions(f"group by at most {MOST_GROUPED} dimensions", field="group_by")
    for name in (*question.group_by, *question.filters):
        if name not in DIMENSIONS:
            raise UnknownDimension(f"there is no dimension {name!r}", field="group_by")


def _output(question: SpendQuestion) -> list[str]:
    return [f"v{index}" for index in range(len(question.group_by))]


def _rows(
    question: SpendQuestion, picked: list[tuple[int, ...]] | None, measures: str = _MEASURES
) -> tuple[str, list[Any]]:
    """The rows that make the answer, as a subquery (v0, v1, day, currency, measures) and its parameters."""
    number = cube_for({*question.group_by, *question.filters})
    branches: list[str] = []
    params: list[Any] = []

    def add(table: str, columns: dict[str, str], day: str, where: str, where_params: list[Any]) -> None:
        values = [f"{columns[name]} AS v{index}" for index, name in enumerate(question.group_by)]
        clauses, values_params = _conditions(question, columns, picked)
        selected = ", ".join([*values, f"{day} AS day", "currency", measures])
        branches.append(f"SELECT {selected} FROM {table} WHERE {' AND '.join([where, *clauses])}")
        params.extend([*where_params, *values_params])

    wide = {name: f"{name}_id" for name in DIMENSIONS}
    organization, period = question.organization_id, question.period
    if number is None:
        days = "organization_id = %s AND day >= %s AND day < %s"
        add("ledger_daily", wide, "day", days, [organization, period.start, period.end])
    else:
        narrow = dict(zip(CUBES[number], "ab", strict=False))
        for run in _runs(question):
            blocks = "organization_id = %s AND cube = %s AND level = %s AND block BETWEEN %s AND %s"
            day = "DATE '1970-01-01' + block" if run.level == 0 else "NULL::date"
            add(f"ledger_cube_{number}", narrow, day, blocks, [organization, number, run.level, run.first, run.last])
    hours = "organization_id = %s AND hour >= %s AND hour < %s"
    add("ledger_rollup_delta", wide, "(hour AT TIME ZONE 'UTC')::date", hours, [organization, *period.instants()])
    return " UNION ALL ".join(branches), params


def _runs(question: SpendQuestion) -> list[Run]:
    """Blocks for a total; plain days for a trend, which needs each."""
    if question.grain is Grain.TOTAL:
        return runs(question.period)
    first, end = day_number(question.period.start), day_number(question.period.end)
    return [Run(0, first, end - 1)] if first < end else []


def _conditions(
    question: SpendQuestion, columns: dict[str, str], picked: list[tuple[int, ...]] | None
) -> tuple[list[str], list[Any]]:
    clauses, params = [], []
    for name, allowed in sorted(question.filters.items()):
        clauses.append(f"{columns[name]} = ANY(%s)")
        params.append(sorted(allowed))
    if picked is not None:
        # One list per column lets the index be used; the pairs themselves are exact.
        for index, name in enumerate(question.group_by):
            clauses.append(f"{columns[name]} = ANY(%s)")
            params.append(sorted({values[index] for values in picked}))
        if len(question.group_by) > 1:
            pair = ", ".join(columns[name] for name in question.group_by)
            clauses.append(f"({pair}) IN (SELECT * FROM unnest(%s::int[], %s::int[]))")
            params.extend([[values[0] for values in picked], [values[1] for values in picked]])
    return clauses, params
