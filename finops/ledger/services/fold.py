"""Folds deltas into the cubes, and settles days: makes the larger blocks that questions about long periods read.

A reader adds cubes and deltas in one statement, so it sees each delta once: before the fold's commit as a delta, after
it in the cubes. A fold is one transaction: cut off in the middle, it has taken nothing.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from finops.core.periods import EPOCH, day_number, day_start
from finops.ledger.rules import CUBES, HOURLY, HOURLY_DAYS, LEVEL_SHIFT, LEVELS, finished, settled_day
from finops.ledger.services import rows

# Whoever changes cubes holds this, so that two never wait for each other's rows in different orders.
ROLLUP_LOCK: Final = 0x6C65_6467_6572_0002
# How many deltas one transaction takes: enough to be worth the cubes' upserts, small enough not to hold locks long.
MOST_DELTAS: Final = 200_000

_ROLLED: Final = ", ".join(rows.ROLLED_DIMENSIONS)
_MEASURES: Final = ", ".join(rows.MEASURES)
_SUMS: Final = ", ".join(f"sum({measure})" for measure in rows.MEASURES)
_NAMED_SUMS: Final = ", ".join(f"sum({measure}) AS {measure}" for measure in rows.MEASURES)
_ADDED: Final = ", ".join(f"{measure} = c.{measure} + EXCLUDED.{measure}" for measure in rows.MEASURES)

# What is being folded: the deltas taken, by hour, with the day's number and its organization's settled day.
_FOLDING: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS ledger_folding (
    LIKE ledger_rollup_delta, day_index int NOT NULL, settled int NOT NULL
) ON COMMIT DELETE ROWS
"""
_TAKE: Final = f"""
WITH gone AS (
    DELETE FROM ledger_rollup_delta
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM ledger_rollup_delta LIMIT %s))
    RETURNING *
), taken AS (
    INSERT INTO ledger_folding (organization_id, hour, {_ROLLED}, currency, {_MEASURES}, day_index, settled)
    SELECT g.*, (hour AT TIME ZONE 'UTC')::date - DATE '1970-01-01', coalesce(s.until - DATE '1970-01-01', 0)
    FROM (
        SELECT organization_id, hour, {_ROLLED}, currency, {_NAMED_SUMS}
        FROM gone GROUP BY organization_id, hour, {_ROLLED}, currency
    ) AS g LEFT JOIN ledger_settled AS s ON s.organization_id = g.organization_id
)
SELECT count(*) FROM gone
"""
_COUNTS: Final = rows.MEASURES[:4]
# The wide cube keeps one cost whole and the others as what they come to above it (null for nothing); see the table.
DAILY_COLUMNS: Final = (
    f"organization_id, day, {_ROLLED}, currency, {', '.join(_COUNTS)}, effective_cost,"
    " list_extra, contracted_extra, reporting_extra"
)
DAILY_EXTRAS: Final = ", ".join(
    f"nullif({name}_cost - effective_cost, 0) AS {name}_extra" for name in ("list", "contracted", "reporting")
)
_DAILY_NAMES: Final = (*_COUNTS, "effective_cost", "list_extra", "contracted_extra", "reporting_extra")
_DAILY_SUMS: Final = ", ".join(
    f"nullif(sum({name}), 0)" if "extra" in name else f"sum({name})" for name in _DAILY_NAMES
)
_TO_DAILY: Final = f"""
INSERT INTO ledger_daily ({DAILY_COLUMNS})
SELECT organization_id, day, {_ROLLED}, currency, {", ".join(_COUNTS)}, effective_cost, {DAILY_EXTRAS}
FROM (
    SELECT organization_id, DATE '1970-01-01' + day_index AS day, {_ROLLED}, currency, {_NAMED_SUMS}
    FROM ledger_folding GROUP BY organization_id, day, {_ROLLED}, currency
) AS d ORDER BY organization_id, day
"""
_TO_HOURLY: Final = """
INSERT INTO ledger_hourly AS c (organization_id, dimension, hour, value, currency, calls, effective_cost,
    reporting_cost)
SELECT organization_id, {number}, hour, {dimension}_id, currency, sum(calls), sum(effective_cost), sum(reporting_cost)
FROM ledger_folding GROUP BY organization_id, hour, {dimension}_id, currency
ORDER BY organization_id, hour, {dimension}_id, currency
ON CONFLICT (organization_id, dimension, hour, value, currency) DO UPDATE SET calls = c.calls + EXCLUDED.calls,
    effective_cost = c.effective_cost + EXCLUDED.effective_cost,
    reporting_cost = c.reporting_cost + EXCLUDED.reporting_cost
"""
_CUBE_COLUMNS: Final = f"organization_id, cube, level, block, a, b, currency, {_MEASURES}"
_TO_CUBE: Final = f"""
INSERT INTO ledger_cube_{{number}} AS c ({_CUBE_COLUMNS})
SELECT organization_id, {{number}}, {{level}} AS level, {{block}} AS block, {{a}} AS a, {{b}} AS b, currency, {_SUMS}
FROM {{source}} GROUP BY organization_id, {{keys}}currency
ORDER BY organization_id, {{keys}}currency
"""
_UPSERT: Final = f"ON CONFLICT (organization_id, cube, level, block, a, b, currency) DO UPDATE SET {_ADDED}"
# Deltas of settled days also go to the larger blocks, which are made already.
_LATE: Final = f"""
(ledger_folding JOIN (VALUES {", ".join(f"({level})" for level in LEVELS[1:])}) AS l(level)
    ON ((day_index >> ({LEVEL_SHIFT} * level)) + 1) << ({LEVEL_SHIFT} * level) <= settled)
"""

_SESSION_KEY: Final = "organization_id, session, currency, person_id, agent_id, project_id"
_FOLD_SESSIONS: Final = f"""
WITH gone AS (
    DELETE FROM ledger_session_delta
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM ledger_session_delta LIMIT %s))
    RETURNING *
)
INSERT INTO ledger_session AS c ({_SESSION_KEY}, first_at, last_at, {_MEASURES})
SELECT {_SESSION_KEY}, min(first_at), max(last_at), {_SUMS} FROM gone GROUP BY {_SESSION_KEY} ORDER BY {_SESSION_KEY}
ON CONFLICT ({_SESSION_KEY}) DO UPDATE SET {_ADDED}, first_at = least(c.first_at, EXCLUDED.first_at),
    last_at = greatest(c.last_at, EXCLUDED.last_at)
"""


def fold(*, most: int = MOST_DELTAS) -> int:
    """Merge up to `most` deltas into the cubes; gives how many were taken (0: nothing to do, or another folds)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ROLLUP_LOCK])
        if cursor.fetchone() != (True,):
            return 0
        cursor.execute(_FOLDING)
        cursor.execute("TRUNCATE ledger_folding")
        cursor.execute(_TAKE, [most])
        taken = _number(cursor)
        if taken > 0:
            cursor.execute(_TO_DAILY)
            _fold_cubes(cursor)
            for number, dimension in HOURLY.items():
                cursor.execute(_TO_HOURLY.format(number=number, dimension=dimension))
        cursor.execute(_FOLD_SESSIONS, [most])
        return taken + max(int(cursor.rowcount), 0)


def fold_all() -> int:
    """Fold until nothing is left."""
    total = 0
    while taken := fold():
        total += taken
    return total


def _fold_cubes(cursor: CursorWrapper) -> None:
    cursor.execute("SELECT count(*) FROM ledger_folding WHERE day_index < settled")
    late = _number(cursor) > 0
    for number in CUBES:
        cursor.execute(cube_insert(number, source="ledger_folding", level="0", block="day_index") + _UPSERT)
        if late:
            block = f"day_index >> ({LEVEL_SHIFT} * level)"
            cursor.execute(cube_insert(number, source=_LATE, level="level", block=block) + _UPSERT)


def cube_insert(number: int, *, source: str, level: str, block: str) -> str:
    """The statement that sums `source` (a row per combination of dimensions) into a cube, in the order of its key."""
    columns = [f"{dimension}_id" for dimension in CUBES[number]]
    keys = [*([] if level == "0" else ["level"]), "block", *"ab"[: len(columns)]]
    return _TO_CUBE.format(
        number=number,
        source=source,
        level=level,
        block=block,
        a=columns[0] if columns else "0",
        b=columns[1] if len(columns) > 1 else "0",
        keys="".join(f"{key}, " for key in keys),
    )


def settle_days(*, organization_id: int) -> date | None:
    """Settle the days that lie behind the newest spend: regroup them in the wide cube, make their larger blocks, and
    let go of hours that no burn rate asks for any more.

    Gives the day before which days are now settled, None when nothing was to do. Without it every answer is still
    right; questions about long periods would read more rows.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ROLLUP_LOCK])
        cursor.execute(
            "SELECT min(block), max(block), (SELECT until FROM ledger_settled WHERE organization_id = %s)"
            " FROM ledger_cube_0 WHERE organization_id = %s AND level = 0",
            [organization_id, organization_id],
        )
        first, newest, before = cursor.fetchone() or (None, None, None)
        if first is None or newest is None:
            return None
        was, settled = (day_number(before) if before else 0), settled_day(newest)
        if settled <= was:
            return None
        _forget_hours(cursor, organization_id, EPOCH + timedelta(days=newest - HOURLY_DAYS))
        for index in range(max(was, first), settled):
            compact_day(organization_id=organization_id, day=EPOCH + timedelta(days=index))
        for number in CUBES:
            make_blocks(cursor, organization_id, number, was=was, settled=settled)
        return mark_settled(cursor, organization_id, settled)


def _forget_hours(cursor: CursorWrapper, organization_id: int, before: date) -> None:
    cursor.execute(
        "DELETE FROM ledger_hourly WHERE organization_id = %s AND dimension = ANY(%s) AND hour < %s",
        [organization_id, list(HOURLY), day_start(before)],
    )


def make_blocks(cursor: CursorWrapper, organization_id: int, number: int, *, was: int, settled: int) -> None:
    """Make a cube's larger blocks that become whole between two settled days, each level from the one below."""
    for level in LEVELS[1:]:
        blocks = finished(level, was, settled)
        if not blocks:
            return
        cursor.execute(
            f"INSERT INTO ledger_cube_{number} ({_CUBE_COLUMNS})"
            f" SELECT organization_id, cube, {level}, block >> {LEVEL_SHIFT} AS above, a, b, currency, {_SUMS}"
            f" FROM ledger_cube_{number} WHERE organization_id = %s AND level = %s AND block >= %s AND block < %s"
            " GROUP BY organization_id, cube, above, a, b, currency ORDER BY above, a, b, currency",
            [organization_id, level - 1, blocks.start << LEVEL_SHIFT, blocks.stop << LEVEL_SHIFT],
        )


def mark_settled(cursor: CursorWrapper, organization_id: int, settled: int) -> date:
    until = EPOCH + timedelta(days=settled)
    cursor.execute(
        "INSERT INTO ledger_settled AS s (organization_id, until) VALUES (%s, %s)"
        " ON CONFLICT (organization_id) DO UPDATE SET until = greatest(s.until, EXCLUDED.until)",
        [organization_id, until],
    )
    return until


def compact_day(*, organization_id: int, day: date) -> int:
    """Regroup one day of the wide cube, which folds append to; gives how many rows were saved."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ROLLUP_LOCK])
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS ledger_compacting (LIKE ledger_daily)")
        cursor.execute("TRUNCATE ledger_compacting")
        cursor.execute(
            f"WITH gone AS (DELETE FROM ledger_daily WHERE organization_id = %s AND day = %s RETURNING *)"
            f" INSERT INTO ledger_compacting ({DAILY_COLUMNS}) SELECT {DAILY_COLUMNS} FROM gone",
            [organization_id, day],
        )
        before = int(cursor.rowcount)
        cursor.execute(
            f"INSERT INTO ledger_daily ({DAILY_COLUMNS})"
            f" SELECT organization_id, day, {_ROLLED}, currency, {_DAILY_SUMS} FROM ledger_compacting"
            f" GROUP BY organization_id, day, {_ROLLED}, currency"
            f" HAVING {' OR '.join(f'sum({name}) <> 0' for name in _DAILY_NAMES)}"
        )
        return before - int(cursor.rowcount)


def _number(cursor: CursorWrapper) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0
