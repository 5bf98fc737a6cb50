"""Makes every rollup of an organization anew from its charges: after a bulk load, or to prove that they agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from finops.core.periods import EPOCH, day_number, day_start
from finops.ledger.columns import COUNTS, EXTRAS_OF_COSTS, MEASURES, MEASURES_OF_CHARGE, WHOLE
from finops.ledger.rules import CUBES, HOURLY_DAYS, settled_day
from finops.ledger.services import rows
from finops.ledger.services.fold import (
    DAILY_COLUMNS,
    HOURLY_COLUMNS,
    HOURLY_KEY,
    HOURLY_SUMS,
    ROLLUP_LOCK,
    cube_insert,
    make_blocks,
    mark_settled,
)

Say = Callable[[str, int, int], None]

_ROLLED: Final = ", ".join(rows.ROLLED_DIMENSIONS)
_MEASURES: Final = ", ".join(MEASURES)
_OF_CHARGE: Final = ", ".join(MEASURES_OF_CHARGE)
_SESSION_KEY: Final = "organization_id, session, currency, person_id, agent_id, project_id"
_CLEARED: Final = ("rollup_delta", "session_delta", "daily", "hourly", "session", "cube")
# Cleared, the wide cube, the narrow ones, hours, sessions, and the tables' statistics.
STEPS: Final = 5 + len(CUBES)

_SUMMED: Final = ", ".join(f"{sum_} AS {name}" for sum_, name in zip(MEASURES_OF_CHARGE, MEASURES, strict=True))
_DAILY: Final = f"""
INSERT INTO ledger_daily ({DAILY_COLUMNS})
SELECT organization_id, day, {_ROLLED}, currency, {", ".join(COUNTS)}, {WHOLE}, {EXTRAS_OF_COSTS}
FROM (
    SELECT organization_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, {_ROLLED}, currency, {_SUMMED}
    FROM ledger_charge WHERE organization_id = %s GROUP BY organization_id, day, {_ROLLED}, currency
) AS d ORDER BY organization_id, day
"""
_SESSIONS: Final = f"""
INSERT INTO ledger_session ({_SESSION_KEY}, first_at, last_at, {_MEASURES})
SELECT {_SESSION_KEY}, min(occurred_at), max(occurred_at), {_OF_CHARGE} FROM ledger_charge
WHERE organization_id = %s AND session <> '' GROUP BY {_SESSION_KEY} ORDER BY {_SESSION_KEY}
"""
_HOURLY: Final = f"""
INSERT INTO ledger_hourly ({HOURLY_COLUMNS}) SELECT {HOURLY_SUMS}
FROM (
    SELECT *, date_trunc('hour', occurred_at, 'UTC') AS hour FROM ledger_charge
    WHERE organization_id = %s AND occurred_at >= %s
) AS recent GROUP BY {HOURLY_KEY} ORDER BY hour
"""


def rebuild(*, organization_id: int, say: Say = lambda step, done, total: None) -> None:
    """Make every rollup of an organization anew from its charges, in one transaction, its days settled as by
    `settle_days`. `say` hears each step.

    Posting goes on meanwhile: the whole is read from one snapshot, in which a charge and its delta are both visible or
    neither, so what commits later stays a delta and is folded after. Raises RuntimeError inside a transaction.
    """
    if connection.in_atomic_block:
        raise RuntimeError("rebuilding needs a snapshot of its own: call it outside a transaction")
    with connection.cursor() as cursor:
        # Taken before the snapshot, or a fold that ends while we wait would be invisible to it.
        cursor.execute("SELECT pg_advisory_lock(%s)", [ROLLUP_LOCK])
        try:
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                # Sorting ten million rows in the memory of a page's question would be all disk.
                cursor.execute("SET LOCAL work_mem = '256MB'")
                _rebuild(cursor, organization_id, say)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ROLLUP_LOCK])
        say("statistics", STEPS - 1, STEPS)
        # Without it the planner would go by what the tables held before.
        cursor.execute("VACUUM (ANALYZE) ledger_daily, ledger_hourly, ledger_session, ledger_cube")
        say("done", STEPS, STEPS)


def _rebuild(cursor: CursorWrapper, organization_id: int, say: Say) -> None:
    say("clearing", 0, STEPS)
    for table in _CLEARED:
        cursor.execute(f"DELETE FROM ledger_{table} WHERE organization_id = %s", [organization_id])
    say("the wide daily cube", 1, STEPS)
    cursor.execute(_DAILY, [organization_id])
    cursor.execute("ANALYZE ledger_daily")
    newest, settled = _newest(cursor, organization_id)
    source = f"ledger_daily WHERE organization_id = {organization_id:d}"
    for done, (number, dimensions) in enumerate(CUBES.items(), start=2):
        say(f"spend by {' and '.join(dimensions) or 'day'}", done, STEPS)
        cursor.execute(cube_insert(number, source=source))
        make_blocks(cursor, organization_id, number, was=0, settled=settled)
    mark_settled(cursor, organization_id, settled)
    say("spend by hour", STEPS - 3, STEPS)
    cursor.execute(_HOURLY, [organization_id, day_start(newest - timedelta(days=HOURLY_DAYS))])
    say("sessions", STEPS - 2, STEPS)
    cursor.execute(_SESSIONS, [organization_id])


def _newest(cursor: CursorWrapper, organization_id: int) -> tuple[date, int]:
    """The newest day with spend, and the settled day that follows: never before the one in force, which readers may go
    by already.
    """
    cursor.execute(
        "SELECT max(day), (SELECT until FROM ledger_settled WHERE organization_id = %s) FROM ledger_daily"
        " WHERE organization_id = %s",
        [organization_id, organization_id],
    )
    newest, until = (value or EPOCH for value in cursor.fetchone() or (None, None))
    return newest, max(settled_day(day_number(newest)), day_number(until), 0)
