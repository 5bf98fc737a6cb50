"""The gateway's side of what is sampled of calls, in the database: plain psycopg, no Django."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import psycopg

from routing.classify.types import SAMPLING

STORED: Final = "stored"
SWITCHED_OFF: Final = "switched_off"
DAY_FULL: Final = "day_full"
# Whoever switches it off waits for whoever stores, or the other way round: nothing is stored after it is off.
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('classify sampled'), %s)"
# Of one organization and day, whatever types there are: types are strangers' words.
MOST_OF_A_DAY: Final = 20_000
_IN_FORCE: Final = "SELECT is_on, most_a_day FROM classify_samplingsettings WHERE organization_id = %s"
_TODAY: Final = "SELECT count(*) FROM classify_sampledcall WHERE organization_id = %s AND day = %s"
_PUT: Final = """
INSERT INTO classify_sampledcall (organization_id, call_id, at, day, task_type, source, draw, session, words, marks,
    chances, foreseen_by, is_taken)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (organization_id, call_id) DO NOTHING
"""
# The lowest draws stay: of all that came on a day, whenever and at whichever process, each as likely as any other.
_LOWEST: Final = """
DELETE FROM classify_sampledcall WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY task_type ORDER BY draw, id) AS place
        FROM classify_sampledcall WHERE organization_id = %s AND day = %s AND task_type = ANY(%s)
    ) AS ranked WHERE place > %s
)
"""
_FULL: Final = """
SELECT task_type, max(draw) FROM classify_sampledcall
WHERE organization_id = %s AND day = %s AND task_type = ANY(%s) GROUP BY task_type HAVING count(*) >= %s
"""


class Row(NamedTuple):
    """A call as it is sampled. `task_type` and `source` are '' where nobody said one; `draw` is `hot.draw_of` its id;
    `session`, `words` and `marks` are as `packed` has them; `chances` by models are what was foreseen by version
    `foreseen_by`, 0 for none.
    """

    call_id: str
    at: datetime
    day: date
    task_type: str
    source: str
    draw: int
    session: bytes
    words: bytes
    marks: bytes
    chances: Mapping[str, float]
    foreseen_by: int


class Stored(NamedTuple):
    """How many rows became what; and of types that have all they want of the day, from which draw on none is kept."""

    counts: dict[str, int]
    full: dict[str, int]


def store(connection: psycopg.Connection[Any], organization_id: int, day: date, rows: Sequence[Row]) -> Stored:
    """Keep these calls of one organization and day, each once, by what it says at this moment."""
    types = sorted({row.task_type for row in rows})
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(LOCK, [organization_id])
        found = cursor.execute(_IN_FORCE, [organization_id]).fetchone()
        is_on, most_a_day = found or (SAMPLING.is_on, SAMPLING.most_a_day)
        if not is_on:
            return Stored({SWITCHED_OFF: len(rows)}, {})
        counted = cursor.execute(_TODAY, [organization_id, day]).fetchone()
        room = max(MOST_OF_A_DAY - (counted[0] if counted else 0), 0)
        some = rows[:room]
        if some:
            cursor.executemany(_PUT, [_values(organization_id, row) for row in some])
            cursor.execute(_LOWEST, [organization_id, day, types, most_a_day])
        full = dict(cursor.execute(_FULL, [organization_id, day, types, most_a_day]).fetchall())
        return Stored({STORED: len(some), DAY_FULL: len(rows) - len(some)}, full)


def _values(organization_id: int, row: Row) -> tuple[Any, ...]:
    return (organization_id, *row[:-2], json.dumps(row.chances), row.foreseen_by, not row.task_type)
