"""The gateway's side of decisions in the database: plain psycopg, no Django."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg

# Rows of one statement; the caller may give more.
AT_ONCE: Final = 2_000
_LONGEST: Final = {"call_id": 64, "session": 300, "why": 500}
_LONGEST_WORD: Final = 200
_MOST_PASSED_OVER: Final = 30
# An array for each column: one statement for thousands of rows, and a call that is there already stays as it is.
_PUT: Final = """
INSERT INTO rules_decision (organization_id, call_id, at, rule_id, rule_version, arm, propensity, asked, chosen, would,
    task_type, confidence, session, team_id, project_id, agent_id, customer_id, tokens, why, difficulty, chance,
    passed_over)
SELECT * FROM unnest(%s::int[], %s::text[], %s::timestamptz[], %s::int[], %s::int[], %s::text[], %s::float8[],
    %s::text[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::text[], %s::int[], %s::int[], %s::int[],
    %s::int[], %s::bigint[], %s::text[], %s::float8[], %s::float8[], %s::jsonb[])
ON CONFLICT (organization_id, call_id) DO NOTHING
"""


class Row(NamedTuple):
    """What the rules did with a call (`hot.Decided`). Ids are 0 for none; `confidence` is None where the task type was
    not guessed, `difficulty` and `chance` (of the chosen model) where nothing was foreseen.
    """

    organization_id: int
    call_id: str
    at: datetime
    rule_id: int
    rule_version: int
    arm: str
    propensity: float
    asked: str
    chosen: str
    would: str = ""
    task_type: str = ""
    confidence: float | None = None
    session: str = ""
    team_id: int = 0
    project_id: int = 0
    agent_id: int = 0
    customer_id: int = 0
    tokens: int = 0
    why: str = ""
    difficulty: float | None = None
    chance: float | None = None
    passed_over: tuple[tuple[str, str], ...] = ()


def store(connection: psycopg.Connection[Any], rows: Sequence[Row]) -> int:
    """Keep these decisions, of any organizations, each once; all of them or none. Gives how many are new. What
    strangers wrote is cut where it is longer than is kept.
    """
    kept = 0
    with connection.transaction(), connection.cursor() as cursor:
        for first in range(0, len(rows), AT_ONCE):
            some = [_fitting(row) for row in rows[first : first + AT_ONCE]]
            cursor.execute(_PUT, [list(column) for column in zip(*some, strict=True)])
            kept += cursor.rowcount
    return kept


def _fitting(row: Row) -> tuple[Any, ...]:
    said = [
        _short(value, _LONGEST.get(name, _LONGEST_WORD)) if isinstance(value, str) else value
        for name, value in zip(Row._fields[:-1], row[:-1], strict=True)
    ]
    passed = [[_short(model), _short(why)] for model, why in row.passed_over[:_MOST_PASSED_OVER]]
    return (*said, json.dumps(passed))


def _short(text: str, longest: int = _LONGEST_WORD) -> str:
    """Without what no text in PostgreSQL can hold."""
    if not text.isascii():
        text = text.encode(errors="ignore").decode()
    return text.replace("\0", "")[:longest]
