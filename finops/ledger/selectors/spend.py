"""Spend, from rollups: the narrow cube that holds the question's dimensions, or the wide one when none does.

The largest groups of many thousand are found without reading them all. Each block's rows are indexed by cost, so the
top of every block is read, and what was not read of a group is bounded by where each block's reading stopped. Groups
that can be among the largest are then summed exactly. When the bounds do not tell, all is read: slower, never wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from finops.core.errors import FinopsError
from finops.core.periods import EPOCH, day_number
from finops.ledger.columns import COUNTS, DAILY_SUMS, EXTRAS_OF_COSTS, MEASURES, WHOLE, WHOLE_SUMS
from finops.ledger.rules import CUBES, cube_for, runs
from finops.ledger.types import DIMENSIONS, MOST_GROUPED, TAG_SLOTS, Grain, SpendQuestion, SpendRow

Group = tuple[int, ...]

_COUNTS: Final = ", ".join(COUNTS)
_MEASURES: Final = ", ".join(MEASURES)
_SUMS: Final = ", ".join(f"sum({measure}) AS {measure}" for measure in MEASURES)
_NOT_NOTHING: Final = " OR ".join(f"{measure} <> 0" for measure in MEASURES)
_NOT_NOTHING_SUMMED: Final = " OR ".join(f"sum({measure}) <> 0" for measure in MEASURES)
# The first day of the bucket. Whole-number arithmetic: date_trunc goes by way of a time zone, for every row of a scan.
_BUCKET: Final = {
    Grain.TOTAL: "NULL::date",
    Grain.DAY: "{day}",
    Grain.WEEK: "{day} - ({day} - DATE '2001-01-01') %% 7",
    Grain.MONTH: "{day} - (date_part('day', {day})::int - 1)",
}
_DAY_OF_BLOCK: Final = "(DATE '1970-01-01' + block)"
_DAY_OF_HOUR: Final = "(hour AT TIME ZONE 'UTC')::date"
_COLUMNS: Final = {name: f"{name}_id" for name in DIMENSIONS}
_HOURS: Final = "organization_id = %s AND hour >= %s AND hour < %s"
# Dimensions that may have many thousand values, and those that may have a hundred. Where the buckets of all the small
# ones would be too many to keep, a trend of the largest is two scans of the wide cube, else it is one.
_THOUSANDS: Final = frozenset({"person", "agent", "customer", "key"})
_HUNDREDS: Final = frozenset({"team", "project", *TAG_SLOTS})
# Sums are kept in memory, or the disk is what one waits for.
_ROOM: Final = "SET LOCAL work_mem = '96MB'"
# The planner takes the days of a trend for its buckets, believes in more groups than fit, and would sort all the rows.
_ROOM_WIDE: Final = f"{_ROOM}; SET LOCAL enable_sort = off"
# The largest groups are looked for in this many rows of the tops per group asked for, and once more in six times as
# many; and looked up when so few can be among them that it costs less than more reading.
_TRIES: Final = ((30, 4), (180, 12))
_GROUPS_LEAST: Final = 40


class UnknownDimension(FinopsError):
    code = "ledger.unknown_dimension"
    status = 400


class TooManyDimensions(FinopsError):
    code = "ledger.too_many_dimensions"
    status = 400


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where a question is answered: from cube `number` (None: the wide one), which (level, block) pairs of it."""

    question: SpendQuestion
    number: int | None
    levels: list[int]
    blocks: list[int]

    @property
    def columns(self) -> dict[str, str]:
        """The question's dimensions as columns of the cube."""
        return _COLUMNS if self.number is None else dict(zip(CUBES[self.number], "ab", strict=False))


def spend(question: SpendQuestion, *, settled: date | None = None) -> list[SpendRow]:
    """Answers a question about spend: one row per group, bucket and billing currency; groups of nothing are left out.

    Ordered by bucket, then reporting cost from the largest, then values. Who asks much at once reads `settled_until`
    once and says it as `settled`. Raises UnknownDimension, TooManyDimensions.
    """
    _check(question)
    if not all(question.filters.values()):
        # A filter that allows nothing needs no query.
        return []
    if question.limit is None or not question.group_by:
        question = replace(question, limit=None)
    if settled is None:
        settled = settled_until(question.organization_id)
    plan = _plan(question, settled)
    if plan.number is not None and question.limit is None:
        return _answer(plan)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ROOM_WIDE if plan.number is None else _ROOM)
        return _limited(plan, settled)


def crossed(question: SpendQuestion) -> list[SpendRow]:
    """As `spend`, grouped by as many dimensions as are named, in one scan of the wide cube: for reports that put the
    rows together again. The more dimensions, the more rows: `limit` is not for this. Raises UnknownDimension.
    """
    _known(question)
    if not all(question.filters.values()):
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ROOM_WIDE)
        return _answer(_plan(replace(question, limit=None), settled_until(question.organization_id)))


def _limited(plan: _Plan, settled: date) -> list[SpendRow]:
    question = plan.question
    if question.limit is None:
        return _answer(plan)
    many = _THOUSANDS | _HUNDREDS if question.grain is Grain.DAY else _THOUSANDS
    if plan.number is None and not many.intersection(question.group_by):
        return _answer(plan)
    largest = _largest(_plan(replace(question, grain=Grain.TOTAL), settled), question.limit)
    if question.grain is Grain.TOTAL or not largest:
        return largest
    return _answer(_plan(replace(question, limit=None), settled), sorted({row.values for row in largest}))


def _check(question: SpendQuestion) -> None:
    if len(question.group_by) > MOST_GROUPED:
        raise TooManyDimensions(f"group by at most {MOST_GROUPED} dimensions", field="group_by")
    _known(question)


def _known(question: SpendQuestion) -> None:
    for name in (*question.group_by, *question.filters):
        if name not in DIMENSIONS:
            raise UnknownDimension(f"there is no dimension {name!r}", field="group_by")


def _plan(question: SpendQuestion, settled: date) -> _Plan:
    """Blocks for a total; plain days for a trend, which needs each."""
    number = cube_for({*question.group_by, *question.filters})
    levels: list[int] = []
    blocks: list[int] = []
    if number is not None:
        for run in runs(question.period, settled if question.grain is Grain.TOTAL else EPOCH):
            blocks += range(run.first, run.last + 1)
            levels += [run.level] * (run.last + 1 - run.first)
    return _Plan(question, number, levels, blocks)


def settled_until(organization_id: int) -> date:
    """The day before which larger blocks are made. Read before the statements that go by it, which is safe: it only
    ever grows, and what is settled stays so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT until FROM ledger_settled WHERE organization_id = %s", [organization_id])
        row = cursor.fetchone()
    return row[0] if row else EPOCH


def _answer(plan: _Plan, picked: list[Group] | None = None) -> list[SpendRow]:
    """Sums everything that matches; `picked` keeps these groups, the question's `limit` the largest ones."""
    rows, params = _rows(plan, picked)
    names = [f"v{index}" for index in range(len(plan.question.group_by))]
    keys = ", ".join([*names, "bucket", "currency"])
    sums = WHOLE_SUMS if plan.number is None else _SUMS
    statement = f"SELECT * FROM (SELECT {keys}, {sums} FROM ({rows}) AS r GROUP BY {keys}) AS s WHERE {_NOT_NOTHING}"
    if plan.question.limit is not None:
        values = ", ".join(names)
        statement = (
            f"WITH g AS ({statement}) SELECT g.* FROM g JOIN (SELECT {values} FROM g GROUP BY {values}"
            f" HAVING {_NOT_NOTHING_SUMMED} ORDER BY sum(reporting_cost) DESC, {values} LIMIT %s) AS largest"
            f" USING ({values})"
        )
        params.append(plan.question.limit)
    order = ", ".join(["bucket", "reporting_cost DESC", *names, "currency"])
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} ORDER BY {order}", params)
        return [_spend_row(row, len(names)) for row in cursor.fetchall()]


def _spend_row(row: tuple[Any, ...], width: int) -> SpendRow:
    calls, read, cached, written = (int(count) for count in row[width + 2 : width + 6])
    return SpendRow(row[:width], row[width], row[width + 1], calls, read, cached, written, *row[width + 6 :])


def _rows(plan: _Plan, picked: list[Group] | None) -> tuple[str, list[Any]]:
    """The rows that make the answer, as a subquery (v0, v1, bucket, currency, measures) and its parameters."""
    question = plan.question
    if plan.number is None:
        measures = f"{_COUNTS}, {WHOLE}, {EXTRAS_OF_COSTS}"
        cube, params = _wide(plan, picked)
    else:
        measures = _MEASURES
        cube, params = _looked_up(plan, picked) if picked is not None else _scanned(plan)
    where, hours_params = _where(_HOURS, replace(plan, number=None), picked)
    unfolded = f"SELECT {_keys(question, _COLUMNS, _DAY_OF_HOUR)}, {measures} FROM ledger_rollup_delta WHERE {where}"
    return f"{cube} UNION ALL {unfolded}", [
        *params,
        question.organization_id,
        *question.period.instants(),
        *hours_params,
    ]


def _wide(plan: _Plan, picked: list[Group] | None) -> tuple[str, list[Any]]:
    """Rows of the wide cube, summed: above the union the planner could not tell how many groups there are."""
    question = plan.question
    where, params = _where("organization_id = %s AND day >= %s AND day < %s", plan, picked)
    places = ", ".join(str(1 + index) for index in range(len(question.group_by) + 2))
    statement = (
        f"SELECT {_keys(question, _COLUMNS, 'day')}, {DAILY_SUMS} FROM ledger_daily WHERE {where} GROUP BY {places}"
    )
    return statement, [question.organization_id, question.period.start, question.period.end, *params]


def _scanned(plan: _Plan) -> tuple[str, list[Any]]:
    """All rows of the plan's blocks, a branch for each level."""
    branches: list[str] = []
    params: list[Any] = []
    for level in sorted(set(plan.levels)) or [0]:
        key = f"organization_id = %s AND cube = {plan.number} AND level = {level} AND block = ANY(%s)"
        where, where_params = _where(key, plan)
        branches.append(
            f"SELECT {_keys(plan.question, plan.columns, _DAY_OF_BLOCK)}, {_MEASURES}"
            f" FROM ledger_cube_{plan.number} WHERE {where}"
        )
        blocks = [block for block, its in zip(plan.blocks, plan.levels, strict=True) if its == level]
        params += [plan.question.organization_id, blocks, *where_params]
    return " UNION ALL ".join(branches), params


def _looked_up(plan: _Plan, picked: list[Group]) -> tuple[str, list[Any]]:
    """Rows of these groups alone, each found by its key; OFFSET 0 keeps it so, whatever the planner believes."""
    question, columns = plan.question, plan.columns
    names = [f"v{index}" for index in range(len(question.group_by))]
    key = " AND ".join(
        [
            f"organization_id = %s AND cube = {plan.number} AND level = w.level AND block = w.block",
            *(f"{columns[name]} = p.v{index}" for index, name in enumerate(question.group_by)),
        ]
    )
    where, params = _where(key, plan)
    lists = ", ".join("%s::int[]" for _ in names)
    statement = (
        f"SELECT {''.join(f'p.{name}, ' for name in names)}r.* FROM unnest({lists}) AS p({', '.join(names)})"
        " CROSS JOIN unnest(%s::int[], %s::int[]) AS w(level, block) CROSS JOIN LATERAL ("
        f"SELECT {_BUCKET[question.grain].format(day=_DAY_OF_BLOCK)} AS bucket, currency, {_MEASURES}"
        f" FROM ledger_cube_{plan.number} WHERE {where} OFFSET 0) AS r"
    )
    values = [[group[index] for group in picked] for index in range(len(names))]
    return statement, [*values, plan.levels, plan.blocks, question.organization_id, *params]


def _keys(question: SpendQuestion, columns: Mapping[str, str], day: str) -> str:
    """What is grouped by: v0, v1, bucket, currency."""
    bucket = _BUCKET[question.grain].format(day=day)
    return f"{_values(question, columns)}{bucket} AS bucket, currency"


def _values(question: SpendQuestion, columns: Mapping[str, str]) -> str:
    return "".join(f"{columns[name]} AS v{index}, " for index, name in enumerate(question.group_by))


def _where(first: str, plan: _Plan, picked: list[Group] | None = None) -> tuple[str, list[Any]]:
    """`first` and the question's filters, as a condition and the filters' parameters."""
    question, columns = plan.question, plan.columns
    clauses = [first]
    params: list[Any] = []
    for name, allowed in sorted(question.filters.items()):
        # One value is by far the most usual, and a plain comparison by far the cheaper.
        clauses.append(f"{columns[name]} = {'%s' if len(allowed) == 1 else 'ANY(%s)'}")
        params.append(next(iter(allowed)) if len(allowed) == 1 else sorted(allowed))
    if picked is not None:
        lists = ", ".join("%s::int[]" for _ in question.group_by)
        clauses.append(f"({', '.join(columns[name] for name in question.group_by)}) IN (SELECT * FROM unnest({lists}))")
        params.extend([group[index] for group in picked] for index in range(len(question.group_by)))
    return " AND ".join(clauses), params


# --- The largest groups -----------------------------------------------------------------------------------------------
# A `list` is one block's rows in one currency; its top is read down to `depth`. Where there are `more`, no row left out
# costs more than `most` or less than `least`; neither is on the wrong side of nought, so they bound a group without a
# row there as well. A group has at most `copies` rows in each. The unfolded deltas are read whole. So whoever's upper
# bound reaches the `limit`-th best lower bound may be among the largest, unless even a group nobody saw could be.
_CONTENDERS: Final = """
WITH list AS MATERIALIZED (
    SELECT w.*, stop.cost IS NOT NULL AS more, greatest(stop.cost, 0) AS most,
        CASE WHEN stop.cost IS NULL THEN 0 ELSE least(low.cost, 0) END AS least
    FROM (
        SELECT level, block, depth, currency
        FROM unnest(%(levels)s::int[], %(blocks)s::int[], %(depths)s::int[]) AS b(level, block, depth)
        CROSS JOIN (
            SELECT DISTINCT currency FROM ledger_cube_0 WHERE organization_id = %(organization)s AND cube = 0
                AND level = 0 AND block >= %(first)s AND block < %(end)s
        ) AS c
    ) AS w
    CROSS JOIN LATERAL (SELECT min(reporting_cost) AS cost FROM ledger_cube_{number} WHERE {key}) AS low
    LEFT JOIN LATERAL (
        SELECT reporting_cost AS cost FROM ledger_cube_{number} WHERE {key}{narrow_filters}
        ORDER BY reporting_cost DESC OFFSET w.depth - 1 LIMIT 1
    ) AS stop ON TRUE
), bound AS MATERIALIZED (
    SELECT {values}, sum(cost - most) AS upper, sum(cost - least) AS lower
    FROM (
        SELECT t.*, w.most, w.least FROM list AS w CROSS JOIN LATERAL (
            SELECT {narrow}, reporting_cost AS cost FROM ledger_cube_{number} WHERE {key}{narrow_filters}
            ORDER BY reporting_cost DESC LIMIT w.depth
        ) AS t
        UNION ALL
        SELECT {wide}, reporting_cost, 0, 0 FROM ledger_rollup_delta
        WHERE organization_id = %(organization)s AND hour >= %(from)s AND hour < %(to)s{wide_filters}
    ) AS top GROUP BY {values}
), unseen AS (
    SELECT bool_or(more) AS more, sum(most) * %(copies)s AS most, sum(least) * %(copies)s AS least FROM list
), line AS MATERIALIZED (
    SELECT more, most, least + (SELECT lower FROM bound ORDER BY lower DESC OFFSET %(limit)s - 1 LIMIT 1) AS least
    FROM unseen
)
SELECT {values} FROM bound CROSS JOIN line
WHERE CASE WHEN more THEN most < least AND upper + most >= least ELSE least IS NULL OR upper >= least END
ORDER BY {values} LIMIT %(enough)s
"""


def _largest(plan: _Plan, limit: int) -> list[SpendRow]:
    """The rows of the `limit` groups with the largest reporting cost over the whole period."""
    wanted = limit + _GROUPS_LEAST
    for rows, enough in _TRIES if plan.number is not None and limit > 0 else ():
        found = _contenders(plan, limit, rows=rows * wanted, enough=enough * wanted + 1)
        if not 0 < len(found) <= enough * wanted:
            continue
        kept = _first(_answer(replace(plan, question=replace(plan.question, limit=None)), found), limit)
        # Groups that came to nothing are left out; then others, not looked up, may belong in their place.
        if len({row.values for row in kept}) == min(limit, len(found)):
            return kept
        break
    return _answer(plan)


def _contenders(plan: _Plan, limit: int, *, rows: int, enough: int) -> list[Group]:
    """Groups that can be among the largest, at most `enough`; none when about `rows` rows of the tops do not tell.

    A block four times as long is read twice as deep: for heavy-tailed spend the tightest bounds for the rows read.
    """
    question = plan.question
    depth = max(limit, rows // max(1, sum(1 << level for level in plan.levels)))
    copies = 1
    filters = {"narrow_filters": "", "wide_filters": ""}
    filter_params: dict[str, list[int]] = {}
    for name, allowed in question.filters.items():
        filters["narrow_filters"] += f" AND {plan.columns[name]} = ANY(%({name})s)"
        filters["wide_filters"] += f" AND {_COLUMNS[name]} = ANY(%({name})s)"
        filter_params[name] = sorted(allowed)
        # Dimensions that are filtered but not grouped by give a group as many rows as values are allowed.
        copies *= 1 if name in question.group_by else max(1, len(allowed))
    start, end = question.period.instants()
    statement = _CONTENDERS.format(
        number=plan.number,
        key="organization_id = %(organization)s AND (level, block, currency) = (w.level, w.block, w.currency)",
        narrow=_values(question, plan.columns).removesuffix(", "),
        wide=_values(question, _COLUMNS).removesuffix(", "),
        values=", ".join(f"v{index}" for index in range(len(question.group_by))),
        **filters,
    )
    params: dict[str, Any] = {
        "organization": question.organization_id,
        "first": day_number(question.period.start),
        "end": day_number(question.period.end),
        "levels": plan.levels,
        "blocks": plan.blocks,
        "depths": [depth << level for level in plan.levels],
        "from": start,
        "to": end,
        "copies": copies,
        "limit": limit,
        "enough": enough,
        **filter_params,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [tuple(row) for row in cursor.fetchall()]


def _first(rows: list[SpendRow], limit: int) -> list[SpendRow]:
    sums: dict[Group, Decimal] = {}
    for row in rows:
        sums[row.values] = sums.get(row.values, Decimal(0)) + row.reporting_cost
    kept = set(sorted(sums, key=lambda group: (-sums[group], group))[:limit])
    return [row for row in rows if row.values in kept]
