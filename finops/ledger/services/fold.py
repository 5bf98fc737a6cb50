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
from finops.ledger.columns import (
    COUNTS,
    DAILY_MEASURES,
    DAILY_SUMS,
    EXTRAS_OF_COSTS,
    MEASURES,
    WHOLE,
    WHOLE_SUMS,
)
from finops.ledger.rules import CUBES, HOURLY, HOURLY_DAYS, LEVEL_SHIFT, LEVELS, finished, settled_day
from finops.ledger.services import rows

# Whoever changes cubes holds this, so that two never wait for each other's rows in different orders.
ROLLUP_LOCK: Final = 0x6C65_6467_6572_0002
# How many deltas one transaction takes: enough to be worth the cubes' upserts, small enough not to hold locks long.
MOST_DELTAS: Final = 200_000

_ROLLED: Final = ", ".join(rows.ROLLED_DIMENSIONS)
_MEASURES: Final = ", ".join(MEASURES)
_SUMS: Final = ", ".join(f"sum({measure})" for measure in MEASURES)
_NAMED_SUMS: Final = ", ".join(f"sum({measure}) AS {measure}" for measure in MEASURES)
_ADDED: Final = ", ".join(f"{measure} = c.{measure} + EXCLUDED.{measure}" for measure in MEASURES)
DAILY_COLUMNS: Final = f"organization_id, day, {_ROLLED}, currency, {DAILY_MEASURES}"

# What is being folded: the deltas taken, by hour; then as rows of the wide cube, with the settled day of their
# organization; then days in total, for the many dimensions that are the same (mostly none) throughout a batch.
_FOLDING: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS ledger_folding (LIKE ledger_rollup_delta) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS ledger_folding_daily (LIKE ledger_daily, settled date) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS ledger_folding_total (LIKE ledger_daily, settled date) ON COMMIT DELETE ROWS;
TRUNCATE ledger_folding, ledger_folding_daily, ledger_folding_total;
"""
_TAKE: Final = f"""
WITH gone AS (
    DELETE FROM ledger_rollup_delta
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM ledger_rollup_delta LIMIT %s))
    RETURNING *
), taken AS (
    INSERT INTO ledger_folding (organization_id, hour, {_ROLLED}, currency, {_MEASURES})
    SELECT organization_id, hour, {_ROLLED}, currency, {_SUMS}
    FROM gone GROUP BY organization_id, hour, {_ROLLED}, currency
)
SELECT count(*) FROM gone
"""
_TO_DAILY: Final = f"""
WITH days AS (
    INSERT INTO ledger_folding_daily ({DAILY_COLUMNS}, settled)
    SELECT d.organization_id, day, {_ROLLED}, currency, {", ".join(COUNTS)}, {WHOLE}, {EXTRAS_OF_COSTS}, until
    FROM (
        SELECT organization_id, (hour AT TIME ZONE 'UTC')::date AS day, {_ROLLED}, currency, {_NAMED_SUMS}
        FROM ledger_folding GROUP BY organization_id, day, {_ROLLED}, currency
    ) AS d LEFT JOIN ledger_settled AS s ON s.organization_id = d.organization_id
    RETURNING *
)
INSERT INTO ledger_daily ({DAILY_COLUMNS}) SELECT {DAILY_COLUMNS} FROM days ORDER BY organization_id, day
"""
_TO_TOTAL: Final = f"""
WITH whole AS (
    SELECT organization_id, day, currency, settled, {DAILY_SUMS},
        {", ".join(f"min({name}) AS {name}, max({name}) AS {name}_most" for name in rows.ROLLED_DIMENSIONS)}
    FROM ledger_folding_daily GROUP BY organization_id, day, currency, settled
), kept AS (
    INSERT INTO ledger_folding_total ({DAILY_COLUMNS}, settled) SELECT {DAILY_COLUMNS}, settled FROM whole
)
SELECT coalesce(bool_or(day < settled), FALSE),
    {", ".join(f"bool_and({name} = {name}_most)" for name in rows.ROLLED_DIMENSIONS)} FROM whole
"""
HOURLY_KEY: Final = f"organization_id, hour, {', '.join(f'{name}_id' for name in HOURLY)}, currency"
HOURLY_COLUMNS: Final = f"{HOURLY_KEY}, calls, effective_cost, reporting_cost"
HOURLY_SUMS: Final = f"{HOURLY_KEY}, sum(calls), sum(effective_cost), sum(reporting_cost)"
_TO_HOURLY: Final = f"""
INSERT INTO ledger_hourly ({HOURLY_COLUMNS}) SELECT {HOURLY_SUMS} FROM ledger_folding GROUP BY {HOURLY_KEY}
"""
_CUBE_COLUMNS: Final = f"organization_id, cube, level, block, a, b, currency, {_MEASURES}"
_TO_CUBE: Final = f"""
INSERT INTO ledger_cube_{{number}} AS c ({_CUBE_COLUMNS})
SELECT organization_id, {{number}}, {{level}} AS level, {{block}} AS block, {{a}} AS a, {{b}} AS b, currency,
    {WHOLE_SUMS}
FROM {{source}} GROUP BY organization_id, {{keys}}currency
ORDER BY organization_id, {{keys}}currency
"""
_DAY_INDEX: Final = "(day - DATE '1970-01-01')"
_UPSERT: Final = f"ON CONFLICT (organization_id, cube, level, block, a, b, currency) DO UPDATE SET {_ADDED}"
# Deltas of settled days also go to the larger blocks, which are made already.
_LATE: Final = f"""
{{source}} JOIN (VALUES {", ".join(f"({level})" for level in LEVELS[1:])}) AS l(level)
    ON (({_DAY_INDEX} >> ({LEVEL_SHIFT} * level)) + 1) << ({LEVEL_SHIFT} * level) <= settled - DATE '1970-01-01'
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
        cursor.execute(_TAKE, [most])
        taken = int((cursor.fetchone() or (0,))[0])
        if taken > 0:
            cursor.execute(_TO_DAILY)
            _fold_cubes(cursor)
            cursor.execute(_TO_HOURLY)
        cursor.execute(_FOLD_SESSIONS, [most])
        return taken + max(int(cursor.rowcount), 0)


def fold_all() -> int:
    """Fold until nothing is left."""
    total = 0
    while taken := fold():
        total += taken
    return total


def _fold_cubes(cursor: CursorWrapper) -> None:
    cursor.execute(_TO_TOTAL)
    late, *same = cursor.fetchone() or (False,)
    constant = {name for name, is_same in zip(rows.ROLLED_DIMENSIONS, same, strict=True) if is_same}
    for number, dimensions in CUBES.items():
        varies = {f"{dimension}_id" for dimension in dimensions} - constant
        source = "ledger_folding_daily" if varies else "ledger_folding_total"
        cursor.execute(cube_insert(number, source=source, level="0", block=_DAY_INDEX) + _UPSERT)
        if late:
            block = f"{_DAY_INDEX} >> ({LEVEL_SHIFT} * level)"
            larger = cube_insert(number, source=_LATE.format(source=source), level="level", block=block)
            cursor.execute(larger + _UPSERT)


def cube_insert(number: int, *, source: str, level: str = "0", block: str = _DAY_INDEX) -> str:
    """The statement that sums `source` (rows like the wide cube's) into a cube, in the order of its key."""
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
        _settle_hours(cursor, organization_id, newest, settled)
        for index in range(max(was, first), settled):
            compact_day(organization_id=organization_id, day=EPOCH + timedelta(days=index))
        for number in CUBES:
            make_blocks(cursor, organization_id, number, was=was, settled=settled)
        return mark_settled(cursor, organization_id, settled)


def _settle_hours(cursor: CursorWrapper, organization_id: int, newest: int, settled: int) -> None:
    """Regroup the hours of settled days, and forget those too old for a burn rate."""
    cursor.execute(
        f"WITH gone AS (DELETE FROM ledger_hourly WHERE organization_id = %s AND hour < %s RETURNING *)"
        f" INSERT INTO ledger_hourly ({HOURLY_COLUMNS}) SELECT {HOURLY_SUMS} FROM gone WHERE hour >= %s"
        f" GROUP BY {HOURLY_KEY} HAVING sum(calls) <> 0 OR sum(effective_cost) <> 0 OR sum(reporting_cost) <> 0",
        [
            organization_id,
            day_start(EPOCH + timedelta(days=settled)),
            day_start(EPOCH + timedelta(days=newest - HOURLY_DAYS)),
        ],
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
            f" SELECT organization_id, day, {_ROLLED}, currency, {DAILY_SUMS} FROM ledger_compacting"
            f" GROUP BY organization_id, day, {_ROLLED}, currency"
            f" HAVING {' OR '.join(f'sum({name}) <> 0' for name in DAILY_MEASURES.split(', '))}"
        )
        return before - int(cursor.rowcount)
