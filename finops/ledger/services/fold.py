"""Folds deltas into the cubes, and makes the cubes anew from charges.

A reader adds cubes and deltas in one statement, so it sees each delta once: before the fold's commit as a delta, after
it in the cubes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from finops.ledger.rules import CUBES, HOURLY, LEVEL_SHIFT, LEVELS
from finops.ledger.services import rows
from finops.ledger.services.reverse import MEASURES_OF_CHARGE

# One folder at a time, so that two never wait for each other's cube rows in different orders.
_LOCK: Final = 0x6C65_6467_6572_0002
_ROLLED: Final = ", ".join(rows.ROLLED_DIMENSIONS)
_MEASURES: Final = ", ".join(rows.MEASURES)
_SUMS: Final = ", ".join(f"sum({measure})" for measure in rows.MEASURES)
_NAMED_SUMS: Final = ", ".join(f"sum({measure}) AS {measure}" for measure in rows.MEASURES)
_LEVELS: Final = ", ".join(f"({level})" for level in LEVELS)
# How many deltas one transaction takes: enough to be worth the cubes' upserts, small enough not to hold locks long.
MOST_DELTAS: Final = 200_000

_TAKE: Final = f"""
CREATE TEMPORARY TABLE ledger_folding ON COMMIT DROP AS
WITH gone AS (
    DELETE FROM ledger_rollup_delta
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM ledger_rollup_delta LIMIT %s))
    RETURNING *
)
SELECT organization_id, hour, {_ROLLED}, currency, {_NAMED_SUMS}
FROM gone GROUP BY organization_id, hour, {_ROLLED}, currency
"""
_TO_DAILY: Final = f"""
INSERT INTO ledger_daily (organization_id, day, {_ROLLED}, currency, {_MEASURES})
SELECT organization_id, (hour AT TIME ZONE 'UTC')::date AS day, {_ROLLED}, currency, {_SUMS}
FROM ledger_folding GROUP BY organization_id, day, {_ROLLED}, currency
ORDER BY organization_id, day
"""
_TO_HOURLY: Final = """
INSERT INTO ledger_hourly AS h (organization_id, dimension, hour, value, currency, calls, effective_cost,
    reporting_cost)
SELECT organization_id, {number}, hour, {column}, currency, sum(calls), sum(effective_cost), sum(reporting_cost)
FROM {source} GROUP BY organization_id, hour, {column}, currency
ON CONFLICT (organization_id, dimension, hour, value, currency) DO UPDATE SET calls = h.calls + EXCLUDED.calls,
    effective_cost = h.effective_cost + EXCLUDED.effective_cost,
    reporting_cost = h.reporting_cost + EXCLUDED.reporting_cost
"""
_ADDED: Final = ", ".join(f"{measure} = c.{measure} + EXCLUDED.{measure}" for measure in rows.MEASURES)
_TO_CUBE: Final = """
INSERT INTO ledger_cube_{number} AS c (organization_id, cube, level, block, a, b, currency, {measures})
SELECT organization_id, {number}, level, day_index >> ({shift} * level) AS block, a, b, currency, {sums}
FROM (
    SELECT organization_id, {day} - DATE '1970-01-01' AS day_index, {a} AS a, {b} AS b, currency, {named_sums}
    FROM {source} GROUP BY organization_id, day_index, {a_key}currency
) AS days CROSS JOIN (VALUES {levels}) AS l(level)
GROUP BY organization_id, level, block, a, b, currency
ORDER BY organization_id, level, block, a, b, currency
"""
_UPSERT: Final = f"ON CONFLICT (organization_id, cube, level, block, a, b, currency) DO UPDATE SET {_ADDED}"

_SESSIONS_TAKE: Final = """
WITH gone AS (
    DELETE FROM ledger_session_delta
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM ledger_session_delta LIMIT %s))
    RETURNING *
)
"""
_SESSION_KEY: Final = "organization_id, session, currency, person_id, agent_id, project_id"
_TO_SESSIONS: Final = f"""
INSERT INTO ledger_session AS c ({_SESSION_KEY}, first_at, last_at, {_MEASURES})
SELECT {_SESSION_KEY}, min(first_at), max(last_at), {_SUMS} FROM gone GROUP BY {_SESSION_KEY} ORDER BY {_SESSION_KEY}
ON CONFLICT ({_SESSION_KEY}) DO UPDATE SET {_ADDED}, first_at = least(c.first_at, EXCLUDED.first_at),
    last_at = greatest(c.last_at, EXCLUDED.last_at)
"""


def fold(*, most: int = MOST_DELTAS) -> int:
    """Merge up to `most` deltas into the cubes; gives how many deltas were taken (0: nothing to do, or another folds)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if cursor.fetchone() != (True,):
            return 0
        cursor.execute("SELECT count(*) FROM (SELECT FROM ledger_rollup_delta LIMIT %s) AS d", [most])
        row = cursor.fetchone()
        taken = int(row[0]) if row else 0
        if taken:
            cursor.execute(_TAKE, [most])
            cursor.execute(_TO_DAILY)
            _to_cubes(cursor, "ledger_folding", "(hour AT TIME ZONE 'UTC')::date", upsert=True)
            for number, dimension in HOURLY.items():
                cursor.execute(_TO_HOURLY.format(number=number, column=f"{dimension}_id", source="ledger_folding"))
        cursor.execute(_SESSIONS_TAKE + _TO_SESSIONS, [most])
        return taken + max(cursor.rowcount, 0)


def fold_all() -> int:
    """Fold until nothing is left."""
    total = 0
    while taken := fold():
        total += taken
    return total


def _to_cubes(cursor: CursorWrapper, source: str, day: str, *, upsert: bool) -> None:
    for number, dimensions in CUBES.items():
        columns = [f"{dimension}_id" for dimension in dimensions]
        statement = _TO_CUBE.format(
            number=number,
            shift=LEVEL_SHIFT,
            day=day,
            a=columns[0] if columns else "0",
            b=columns[1] if len(columns) > 1 else "0",
            a_key="".join(f"{column}, " for column in columns),
            source=source,
            levels=_LEVELS,
            measures=_MEASURES,
            sums=_SUMS,
            named_sums=_NAMED_SUMS,
        )
        cursor.execute(statement + (_UPSERT if upsert else ""))


def compact_day(*, organization_id: int, day: date) -> int:
    """Regroup one day of the wide cube, which folds append to; gives how many rows were saved."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(
            f"CREATE TEMPORARY TABLE ledger_compacting ON COMMIT DROP AS"
            f" SELECT organization_id, day, {_ROLLED}, currency, {_NAMED_SUMS} FROM ledger_daily"
            f" WHERE organization_id = %s AND day = %s GROUP BY organization_id, day, {_ROLLED}, currency",
            [organization_id, day],
        )
        cursor.execute("DELETE FROM ledger_daily WHERE organization_id = %s AND day = %s", [organization_id, day])
        before = cursor.rowcount
        columns = f"organization_id, day, {_ROLLED}, currency, {_MEASURES}"
        cursor.execute(
            f"INSERT INTO ledger_daily ({columns}) SELECT {columns} FROM ledger_compacting"
            f" WHERE {' OR '.join(f'{measure} <> 0' for measure in rows.MEASURES)}"
        )
        return before - cursor.rowcount


def rebuild(*, organization_id: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Make every rollup of an organization anew from its charges, in one transaction.

    Posting goes on meanwhile: the whole is read from one snapshot, in which a charge and its delta are both visible or
    neither, so what commits later stays a delta and is folded after. Raises RuntimeError inside a transaction.
    """
    if connection.in_atomic_block:
        raise RuntimeError("rebuilding needs a snapshot of its own: call it outside a transaction")
    with connection.cursor() as cursor:
        # Taken before the snapshot, or a fold that ends while we wait would be invisible to it.
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                _rebuild(cursor, organization_id, say)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _rebuild(cursor: CursorWrapper, organization_id: int, say: Callable[[str], None]) -> None:
    for table in ("rollup_delta", "session_delta", "daily", "hourly", "session", "cube"):
        cursor.execute(f"DELETE FROM ledger_{table} WHERE organization_id = %s", [organization_id])
    say("wide daily cube")
    measures = ", ".join(MEASURES_OF_CHARGE)
    cursor.execute(
        f"INSERT INTO ledger_daily (organization_id, day, {_ROLLED}, currency, {_MEASURES})"
        f" SELECT organization_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, {_ROLLED}, currency, {measures}"
        f" FROM ledger_charge WHERE organization_id = %s GROUP BY organization_id, day, {_ROLLED}, currency"
        " ORDER BY organization_id, day",
        [organization_id],
    )
    say("narrow cubes")
    source = f"(SELECT * FROM ledger_daily WHERE organization_id = {int(organization_id)}) AS daily"
    _to_cubes(cursor, source, "day", upsert=False)
    say("hours")
    charges = (
        f"(SELECT *, date_trunc('hour', occurred_at, 'UTC') AS hour FROM ledger_charge"
        f" WHERE organization_id = {int(organization_id)}) AS charges"
    )
    for number, dimension in HOURLY.items():
        cursor.execute(_TO_HOURLY.format(number=number, column=f"{dimension}_id", source=charges))
    say("sessions")
    cursor.execute(
        f"INSERT INTO ledger_session ({_SESSION_KEY}, first_at, last_at, {_MEASURES})"
        f" SELECT {_SESSION_KEY}, min(occurred_at), max(occurred_at), {measures} FROM ledger_charge"
        f" WHERE organization_id = %s AND session <> '' GROUP BY {_SESSION_KEY}",
        [organization_id],
    )

