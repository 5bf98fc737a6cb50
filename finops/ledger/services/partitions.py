"""Months of charges: partitions are made ahead, and on demand for a month that usage arrives for late."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from finops.core.periods import day_start, next_month

# Usage before this is a clock gone wrong, not history; no provider sold tokens.
EARLIEST_MONTH: Final = date(2019, 1, 1)
_LOCK: Final = 0x6C65_6467_6572_0001
# By database: a benchmark's scratch database, or a test's, has partitions of its own.
_made: set[tuple[object, date]] = set()


def ensure_months(months: Iterable[date]) -> int:
    """Make the partitions of these months (first days) where they are missing; says how many were made."""
    database = connection.settings_dict["NAME"]
    missing = sorted(month for month in set(months) if (database, month) not in _made)
    if not missing:
        return 0
    made = 0
    for month in missing:
        if month < EARLIEST_MONTH:
            raise ValueError(f"no partition before {EARLIEST_MONTH}: {month}")
        made += _ensure(month)
        if not connection.in_atomic_block:
            _made.add((database, month))
    return made


def _ensure(month: date) -> int:
    name = f"ledger_charge_{month:%Y%m}"
    start, end = day_start(month), day_start(next_month(month))
    with transaction.atomic(), connection.cursor() as cursor:
        if _is_there(cursor, name):
            return 0
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if _is_there(cursor, name):
            return 0
        # Made apart and attached: CREATE … PARTITION OF would lock every reader and writer of charges out, and queue
        # them behind whoever reads longest; ATTACH lets them go on.
        bounds = f"FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        cursor.execute(f"CREATE TABLE {name} (LIKE ledger_charge INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(f"ALTER TABLE ledger_charge ATTACH PARTITION {name} FOR VALUES {bounds}")
    return 1


def _is_there(cursor: CursorWrapper, name: str) -> bool:
    # Not by to_regclass(): it may answer from a cache that has not heard of what another process made while we waited.
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s AND relnamespace = current_schema()::regnamespace)",
        [name],
    )
    return bool(cursor.fetchone() == (True,))


def months_ahead(at: datetime, count: int = 3) -> list[date]:
    """This month and the next `count`."""
    month = at.astimezone(UTC).date().replace(day=1)
    found = [month]
    for _ in range(count):
        month = next_month(month)
        found.append(month)
    return found
