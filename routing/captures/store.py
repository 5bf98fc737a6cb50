"""The gateway's side of captures in the database: plain psycopg, no Django."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg

STORED: Final = "stored"
SWITCHED_OFF: Final = "switched_off"
DAY_FULL: Final = "day_full"
# Whoever switches it off waits for whoever stores, or the other way round: nothing is stored after it is off. And of
# several processes one counts at a time.
_IN_FORCE: Final = """
SELECT days_kept, most_a_day, date_trunc('day', now(), 'UTC') FROM captures_capturesettings
WHERE organization_id = %s AND is_on FOR NO KEY UPDATE
"""
_TODAY: Final = "SELECT count(*) FROM captures_capture WHERE organization_id = %s AND at >= %s"
_PUT: Final = """
INSERT INTO captures_capture (organization_id, call_id, at, expires_at, dialect, model, task_type, project_id, status,
    stream, request_bytes, answer_bytes, sealed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (organization_id, call_id) DO NOTHING
"""


class Row(NamedTuple):
    """A call as it is stored: what lists are filtered by, and everything else `sealed` (`hot.Exchange`)."""

    call_id: str
    at: datetime
    dialect: str
    model: str
    task_type: str
    project_id: int
    status: int
    stream: bool
    request_bytes: int
    answer_bytes: int
    sealed: bytes


def store(connection: psycopg.Connection[Any], organization_id: int, rows: Sequence[Row]) -> dict[str, int]:
    """Keep these calls of one organization, each once, by what it says at this moment; gives how many became what."""
    with connection.transaction(), connection.cursor() as cursor:
        found = cursor.execute(_IN_FORCE, [organization_id]).fetchone()
        if found is None:
            return {SWITCHED_OFF: len(rows)}
        days_kept, most_a_day, today = found
        counted = cursor.execute(_TODAY, [organization_id, today]).fetchone()
        room = max(most_a_day - (counted[0] if counted else 0), 0)
        kept = timedelta(days=days_kept)
        if rows[:room]:
            cursor.executemany(
                _PUT,
                [(organization_id, row.call_id, row.at, row.at + kept, *row[2:]) for row in rows[:room]],
            )
        return {STORED: len(rows[:room]), DAY_FULL: len(rows[room:])}
