"""What sub-agents cost, from the charges themselves: rollups do not know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from finops.ledger.columns import COUNTS, MEASURES, MEASURES_OF_CHARGE
from finops.ledger.rules.trees import Branch, Work, tree
from finops.ledger.selectors.names import Named, named

# Of a session that goes on for longer, its last days are read; of one with more sub-agents, the costliest are told.
LONGEST: Final = timedelta(days=31)
MOST: Final = 500
# As many charges say which part of a kind of work is handed on.
NEWEST: Final = 20_000

# Tags that gateways give a call of a sub-agent; see routing.gateway.attributed.
_SUM_OF: Final = dict(zip(MEASURES, MEASURES_OF_CHARGE, strict=True))
_SUMS: Final = ", ".join(_SUM_OF[name] for name in (*COUNTS, "reporting_cost"))
_WORK: Final = f"""
WITH matching AS (
    SELECT c.*, coalesce(nullif(c.tags->>'agent_id', c.session), '') AS made_by FROM ledger_charge c WHERE %s
)
SELECT made_by, coalesce(max(tags->>'parent_agent_id'), ''), coalesce(max(tags->>'subagent'), ''),
    min(occurred_at), max(occurred_at), {_SUMS}, array_agg(DISTINCT agent_id), array_agg(DISTINCT model_id),
    count(*) OVER (), sum(sum(calls)) OVER (), sum(sum(reporting_cost)) OVER ()
FROM matching GROUP BY made_by HAVING sum(calls) <> 0 OR sum(reporting_cost) <> 0
ORDER BY sum(reporting_cost) DESC, made_by LIMIT {MOST}
"""
_HANDED: Final = """
SELECT task_type_id, model_id, sum(calls), coalesce(sum(calls) FILTER (WHERE tags ? 'agent_id'), 0),
    coalesce(sum(reporting_cost) FILTER (WHERE tags ? 'agent_id'), 0) / sum(reporting_cost)
FROM (
    SELECT task_type_id, model_id, calls, reporting_cost, tags FROM ledger_charge
    WHERE organization_id = %s AND occurred_at >= %s ORDER BY occurred_at DESC, id DESC LIMIT %s
) AS newest WHERE task_type_id <> 0
GROUP BY task_type_id, model_id HAVING sum(calls) > 0 AND sum(reporting_cost) > 0 ORDER BY 1, 2
"""
_TIMES: Final = """
SELECT min(first_at), max(last_at) FROM (
    SELECT organization_id, session, first_at, last_at FROM ledger_session
    UNION ALL
    SELECT organization_id, session, first_at, last_at FROM ledger_session_delta
) AS s WHERE organization_id = %s AND session = %s
"""


@dataclass(frozen=True, slots=True)
class SessionTree:
    """`agents` counts all who made calls, also those beyond the costliest that `branches` holds; so do the totals.

    `since` is where reading began: the first call of the session or, where that is long ago, a month before its last.
    """

    session: str
    since: datetime
    until: datetime
    whole: bool
    agents: int
    calls: int
    reporting_cost: Decimal
    branches: tuple[Branch, ...]


def session_tree(
    organization_id: int, session: str, *, filters: Mapping[str, frozenset[int]] | None = None
) -> SessionTree | None:
    """The session's calls by sub-agent, each below the one that asked for it; None where no call matches.

    `filters` are the caller's reach, by the ledger's names.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TIMES, [organization_id, session])
        first, last = cursor.fetchone() or (None, None)
        if not session or first is None or last is None:
            return None
        since = max(first, last - LONGEST).astimezone(UTC)
        clauses = ["c.organization_id = %s", "c.session = %s", "c.occurred_at >= %s", "c.occurred_at <= %s"]
        params: list[Any] = [organization_id, session, since, last]
        for name, allowed in sorted((filters or {}).items()):
            clauses.append(f"c.{name}_id = ANY(%s)")
            params.append(sorted(allowed))
        cursor.execute(_WORK % " AND ".join(clauses), params)
        rows = cursor.fetchall()
    if not rows:
        return None
    agents, calls, cost = rows[0][-3:]
    branches = tree(session, [_work(row) for row in rows])
    return SessionTree(session, since, last, first >= since, int(agents), int(calls), cost, branches)


def names_of(organization_id: int, found: SessionTree) -> dict[str, dict[int, Named]]:
    """What the agents and models of its branches are called, by dimension and id."""
    works = [branch.work for branch in found.branches]
    agents = {one for work in works for one in work.agents}
    return named(organization_id, {"agent": agents, "model": {one for work in works for one in work.models}})


def _work(row: tuple[Any, ...]) -> Work:
    agent, parent, kind, first_at, last_at, calls, tokens_in, cached, tokens_out, cost, agents, models, *_ = row
    known = (tuple(sorted({*ids} - {0})) for ids in (agents, models))
    counts = (int(calls), int(tokens_in), int(cached), int(tokens_out))
    return Work(agent, parent, kind, first_at, last_at, *counts, cost, *known)


class HandedOn(NamedTuple):
    """Calls of a task type at a model, those that sub-agents made, and the share of the cost (0 to 1) of those."""

    task_type_id: int
    model_id: int
    calls: int
    handed: int
    share: float


def handed_on(organization_id: int, *, since: datetime) -> list[HandedOn]:
    """Of the newest charges since then, NEWEST at the most, by task type and model; what has no type is left out."""
    with connection.cursor() as cursor:
        cursor.execute(_HANDED, [organization_id, since, NEWEST])
        rows = cursor.fetchall()
    return [HandedOn(one, model, int(calls), int(mine), float(share)) for one, model, calls, mine, share in rows]
