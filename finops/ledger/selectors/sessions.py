"""Spend by session: a person's or agent's run of calls, with a row for each of the organization's agents in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from finops.core.periods import DayRange
from finops.orgs.rules import OutOfReach


@dataclass(frozen=True, slots=True)
class SessionRow:
    session: str
    currency: str
    person_id: int
    agent_id: int
    project_id: int
    first_at: datetime
    last_at: datetime
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    list_cost: Decimal
    contracted_cost: Decimal
    effective_cost: Decimal
    reporting_cost: Decimal


FILTERS: Final = ("person", "agent", "project")
_KEY: Final = "session, currency, person_id, agent_id, project_id"


def refuse_beyond(filters: Iterable[str]) -> None:
    """Raises OutOfReach for a caller bound to what sessions are not kept by: a part of one cannot be told from it."""
    beyond = sorted(set(filters) - set(FILTERS))
    if beyond:
        raise OutOfReach(
            f"Sessions are not kept by {beyond[0]}, to which this caller is bound; charges list the calls.",
            field=beyond[0],
        )


def sessions(
    organization_id: int,
    period: DayRange,
    *,
    session: str = "",
    filters: Mapping[str, frozenset[int]] | None = None,
    limit: int = 50,
) -> list[SessionRow]:
    """Sessions whose last call fell in the period, dearest first; or the rows of one session.

    `filters` takes the dimensions of `FILTERS` alone: sessions are not kept by others.
    """
    where = "organization_id = %s"
    params: list[Any] = [organization_id]
    if session:
        where += " AND session = %s"
        params.append(session)
    for name, allowed in sorted((filters or {}).items()):
        if name not in FILTERS:
            raise ValueError(f"sessions are not kept by {name}")
        where += f" AND {name}_id = ANY(%s)"
        params.append(sorted(allowed))
    columns = (
        "calls, input_tokens, cached_tokens, output_tokens, list_cost, contracted_cost, effective_cost, reporting_cost"
    )
    sums = ", ".join(f"sum({column.strip()})" for column in columns.split(","))
    rows = f"SELECT {_KEY}, first_at, last_at, {columns} FROM"
    # A session with calls not folded yet is read whole, whenever it was last folded: they decide its last call.
    unfolded = "(SELECT session FROM ledger_session_delta WHERE organization_id = %s)"
    start, end = period.instants()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_KEY}, min(first_at), max(last_at), {sums} FROM ("
            f" {rows} ledger_session WHERE {where} AND last_at >= %s AND last_at < %s AND session NOT IN {unfolded}"
            f" UNION ALL {rows} ledger_session WHERE {where} AND session IN {unfolded}"
            f" UNION ALL {rows} ledger_session_delta WHERE {where}) AS s"
            f" GROUP BY {_KEY} HAVING (sum(calls) <> 0 OR sum(reporting_cost) <> 0)"
            " AND max(last_at) >= %s AND max(last_at) < %s"
            f" ORDER BY sum(reporting_cost) DESC, {_KEY} LIMIT %s",
            [*params, start, end, organization_id, *params, organization_id, *params, start, end, limit],
        )
        return [SessionRow(*row[:7], *map(int, row[7:11]), *row[11:]) for row in cursor.fetchall()]
