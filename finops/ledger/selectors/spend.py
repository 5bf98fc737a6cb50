"""Spend, from rollups: the narrow cube that holds the question's dimensions, or the wide one when none does.

The largest groups of many thousand are found without reading them all: each block's rows are indexed by cost, the top
of each block bounds every group's sum (`rules.contenders`), and only groups that can be among the largest are summed.
When the bounds do not tell, all is read: slower, never wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from finops.core.errors import FinopsError
from finops.core.periods import EPOCH, day_number
from finops.ledger.rules import CUBES, Group, Top, contenders, cube_for, runs
from finops.ledger.services.rows import MEASURES
from finops.ledger.types import DIMENSIONS, Grain, SpendQuestion, SpendRow

_MEASURES: Final = ", ".join(MEASURES)
_SUMS: Final = ", ".join(f"sum({measure}) AS {measure}" for measure in MEASURES)
_NOT_NOTHING: Final = " OR ".join(f"sum({measure}) <> 0" for measure in MEASURES)
_BUCKET: Final = {
    Grain.TOTAL: "NULL::date",
    Grain.DAY: "day",
    Grain.WEEK: "date_trunc('week', day)::date",
    Grain.MONTH: "date_trunc('month', day)::date",
}
MOST_GROUPED: Final = 2
# How deep the tops are read: a first try, and one more before reading all. The depth is of a day; a block four times as
# long is read twice as deep, which for heavy-tailed spend gives the tightest bounds for the rows read.
_TRIES: Final = (1, 8)
_DEPTH_LEAST: Final = 40
# More contenders than this, per group asked for, cost more to look up than reading all.
_CONTENDERS_MOST: Final = 8
_WIDE: Final = {name: f"{name}_id" for name in DIMENSIONS}
_HOURS: Final = "organization_id = %s AND hour >= %s AND hour < %s"


class UnknownDimension(FinopsError):
    code = "ledger.unknown_dimension"
    status = 400


class TooManyDimensions(FinopsError):
    code = "ledger.too_many_dimensions"
    status = 400


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where a question is answered: from cube `number` (None: the wide one), which blocks of it by level."""

    question: SpendQuestion
    number: int | None
    blocks: Mapping[int, list[int]]


def spend(question: SpendQuestion) -> list[SpendRow]:
    """Answers a question about spend: one row per group, bucket and billing currency; groups of nothing are left out.

    Ordered by bucket, then reporting cost from the largest, then values. Raises UnknownDimension, TooManyDimensions.
    """
    _check(question)
    if question.limit is None or not question.group_by:
        return _answer(_plan(replace(question, limit=None)))
    largest = _largest(_plan(replace(question, grain=Grain.TOTAL)), question.limit)
    if question.grain is Grain.TOTAL or not largest:
        return largest
    return _answer(_plan(replace(question, limit=None)), picked=sorted({row.values for row in largest}))


def _check(question: SpendQuestion) -> None:
    if len(question.group_by) > MOST_GROUPED:
        raise TooManyDimensions(f"group by at most {MOST_GROUPED} dimensions", field="group_by")
    for name in (*question.group_by, *question.filters):
        if name not in DIMENSIONS:
            raise UnknownDimension(f"there is no dimension {name!r}", field="group_by")


def _plan(question: SpendQuestion) -> _Plan:
    """Blocks for a total; plain days for a trend, which needs each."""
    number = cube_for({*question.group_by, *question.filters})
    blocks: dict[int, list[int]] = {}
    if number is not None:
        settled = _settled(question.organization_id) if question.grain is Grain.TOTAL else EPOCH
        for run in runs(question.period, settled):
            blocks.setdefault(run.level, []).extend(range(run.first, run.last + 1))
    return _Plan(question, number, blocks)


def _settled(organization_id: int) -> date:
    """Read before the statement that goes by it, which is safe: it only ever grows, and what is settled stays so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT until FROM ledger_settled WHERE organization_id = %s", [organization_id])
        row = cursor.fetchone()
    return row[0] if row else EPOCH


def _answer(plan: _Plan, picked: list[Group] | None = None) -> list[SpendRow]:
    """Sums everything that matches; `picked` keeps these groups, the question's `limit` the largest ones."""
    question = plan.question
    rows, params = _rows(plan, picked)
    names = [f"v{index}" for index in range(len(question.group_by))]
    keys = ", ".join([*names, "bucket", "currency"])
    statement = (
        f"SELECT {', '.join([*names, f'{_BUCKET[question.grain]} AS bucket', 'currency'])}, {_SUMS}"
        f" FROM ({rows}) AS r GROUP BY {keys} HAVING {_NOT_NOTHING}"
    )
    if question.limit is not None:
        values = ", ".join(names)
        statement = (
            f"WITH g AS ({statement}) SELECT g.* FROM g JOIN (SELECT {values} FROM g GROUP BY {values}"
            f" ORDER BY sum(reporting_cost) DESC, {values} LIMIT %s) AS largest USING ({values})"
        )
        params.append(question.limit)
    width = len(names)
    order = ", ".join(["bucket", "reporting_cost DESC", *names, "currency"])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({statement}) AS s ORDER BY {order}", params)
        return [_spend_row(row, width) for row in cursor.fetchall()]


def _spend_row(row: tuple[Any, ...], width: int) -> SpendRow:
    calls, read, cached, written = (int(count) for count in row[width + 2 : width + 6])
    return SpendRow(row[:width], row[width], row[width + 1], calls, read, cached, written, *row[width + 6 :])


def _rows(plan: _Plan, picked: list[Group] | None) -> tuple[str, list[Any]]:
    """The rows that make the answer, as a subquery (v0, v1, day, currency, measures) and its parameters."""
    question, number = plan.question, plan.number
    branches: list[str] = []
    params: list[Any] = []

    def add(table: str, columns: Mapping[str, str], day: str, where: str, where_params: list[Any]) -> None:
        clauses, values_params = _conditions(question, columns, picked)
        selected = ", ".join([*_values(question, columns), f"{day} AS day", "currency", _MEASURES])
        branches.append(f"SELECT {selected} FROM {table} WHERE {' AND '.join([where, *clauses])}")
        params.extend([*where_params, *values_params])

    organization, period = question.organization_id, question.period
    if number is None:
        days = "organization_id = %s AND day >= %s AND day < %s"
        add("ledger_daily", _WIDE, "day", days, [organization, period.start, period.end])
    else:
        narrow = dict(zip(CUBES[number], "ab", strict=False))
        for level, blocks in plan.blocks.items():
            day = "DATE '1970-01-01' + block" if level == 0 else "NULL::date"
            key = f"organization_id = %s AND cube = {number} AND level = {level} AND block = ANY(%s)"
            add(f"ledger_cube_{number}", narrow, day, key, [organization, blocks])
    add("ledger_rollup_delta", _WIDE, "(hour AT TIME ZONE 'UTC')::date", _HOURS, [organization, *period.instants()])
    return " UNION ALL ".join(branches), params


def _values(question: SpendQuestion, columns: Mapping[str, str]) -> list[str]:
    return [f"{columns[name]} AS v{index}" for index, name in enumerate(question.group_by)]


def _conditions(
    question: SpendQuestion, columns: Mapping[str, str], picked: list[Group] | None = None
) -> tuple[list[str], list[Any]]:
    clauses: list[str] = []
    params: list[Any] = []
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


# --- The largest groups -----------------------------------------------------------------------------------------------
def _largest(plan: _Plan, limit: int) -> list[SpendRow]:
    """The rows of the `limit` groups with the largest reporting cost over the whole period."""
    for effort in _TRIES if plan.number is not None and limit > 0 else ():
        tops, copies = _tops(plan, effort * (limit + _DEPTH_LEAST))
        if not any(top.more for top in tops):
            break
        found = contenders(tops, limit, copies)
        if found is None or len(found) > _CONTENDERS_MOST * (limit + _DEPTH_LEAST):
            continue
        rows = _answer(replace(plan, question=replace(plan.question, limit=None)), picked=sorted(found))
        kept = _first(rows, limit)
        # Groups that came to nothing are left out; then others, not looked up, may belong in their place.
        if len({row.values for row in kept}) == limit:
            return kept
        break
    return _answer(plan)


def _first(rows: list[SpendRow], limit: int) -> list[SpendRow]:
    sums: dict[Group, Decimal] = {}
    for row in rows:
        sums[row.values] = sums.get(row.values, Decimal(0)) + row.reporting_cost
    kept = set(sorted(sums, key=lambda group: (-sums[group], group))[:limit])
    return [row for row in rows if row.values in kept]


def _tops(plan: _Plan, depth: int) -> tuple[list[Top], int]:
    """The dearest rows of each block and currency, `depth` of a day's, and the unfolded deltas whole; and how many rows
    a group may have in one of them. One statement, so that all are of one moment.
    """
    question, number = plan.question, plan.number
    organization, width = question.organization_id, len(question.group_by)
    narrow = dict(zip(CUBES[number or 0], "ab", strict=False))
    own, own_params = _conditions(question, narrow)
    wide, wide_params = _conditions(question, _WIDE)
    levels = [level for level, blocks in plan.blocks.items() for _ in blocks]
    blocks = [block for blocks in plan.blocks.values() for block in blocks]
    table = f"ledger_cube_{number}"
    key = "organization_id = %s AND (level, block, currency) = (w.level, w.block, c.currency)"
    statement = f"""
SELECT w.n, c.currency, w.depth, least.cost, t.*
FROM unnest(%s::int[], %s::int[], %s::int[]) WITH ORDINALITY AS w(level, block, depth, n)
CROSS JOIN (SELECT DISTINCT currency FROM ledger_cube_0
    WHERE organization_id = %s AND level = 0 AND block >= %s AND block < %s) AS c
CROSS JOIN LATERAL (SELECT min(reporting_cost) AS cost FROM {table} WHERE {key}) AS least
CROSS JOIN LATERAL (SELECT reporting_cost, {", ".join(_values(question, narrow))} FROM {table}
    WHERE {" AND ".join([key, *own])} ORDER BY reporting_cost DESC LIMIT w.depth) AS t
UNION ALL
SELECT 0, '', NULL, 0, sum(reporting_cost), {", ".join(_values(question, _WIDE))} FROM ledger_rollup_delta
    WHERE {" AND ".join([_HOURS, *wide])} GROUP BY {", ".join(str(6 + index) for index in range(width))}"""
    days = day_number(question.period.start), day_number(question.period.end)
    params: list[Any] = [levels, blocks, [depth << level for level in levels], organization, *days]
    params += [organization, organization, *own_params, organization, *question.period.instants(), *wide_params]
    found: dict[tuple[Any, ...], list[tuple[Decimal, Group]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        for row in cursor.fetchall():
            found.setdefault(row[:4], []).append((row[4], row[5:]))
    copies = 1
    for name, allowed in question.filters.items():
        copies *= 1 if name in question.group_by else max(1, len(allowed))
    return [_top(rows, most, least) for (_, _, most, least), rows in found.items()], copies


def _top(rows: list[tuple[Decimal, Group]], most: int | None, least: Decimal) -> Top:
    zero = Decimal(0)
    return Top(rows, more=len(rows) == most, most=max(min(rows)[0], zero), least=min(least, zero))
