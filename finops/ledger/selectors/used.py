"""What calls at a provider come to in a day, by whom and of what: for comparing with what the provider says."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from django.db import connection

from finops.connectors.seats import BILLING, PAID_BY, SUBSCRIPTION
from finops.core.periods import day_start
from finops.core.tokens import METERS
from finops.ledger.selectors.labels import term_ids

_OWNERS: Final = ("team", "person", "project", "agent", "customer", "key")
# Paid for by a plan of the organization's own, or by one that only the call's source knows of.
_SEATED: Final = f"""
    coalesce(jsonb_exists(c.tags, '{PAID_BY}') OR (c.tags ->> '{BILLING}' = '{SUBSCRIPTION}' AND c.effective_cost = 0),
        false)
""".strip()
_SQL: Final = f"""
SELECT coalesce(a.value, ''), coalesce(m.value, ''), c.currency, {", ".join(f"c.{name}_id" for name in _OWNERS)},
    sum(c.calls), sum(c.effective_cost), {", ".join(f"coalesce(sum(c.{name}), 0)" for name in METERS)}
FROM ledger_charge AS c
LEFT JOIN ledger_term AS a ON a.id = c.provider_account_id
LEFT JOIN ledger_term AS m ON m.id = c.model_id
WHERE c.organization_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s AND c.provider_id = %s
    AND c.category_id = %s AND c.evidence_id <> %s AND c.host_id = 0 AND c.source_id <> ALL(%s)
    AND NOT {_SEATED}
GROUP BY 1, 2, 3, {", ".join(f"c.{name}_id" for name in _OWNERS)}
ORDER BY 1, 2, 3, {", ".join(f"c.{name}_id" for name in _OWNERS)}
"""


class Used(NamedTuple):
    """`owner` are the ids of team, person, project, agent, customer and key; counts are in the order of METERS."""

    account: str
    model: str
    currency: str
    owner: tuple[int, ...]
    calls: int
    effective_cost: Decimal
    counts: tuple[int, ...]


def used(organization_id: int, *, provider: str, day: date, but_sources: Collection[int]) -> list[Used]:
    """Usage of a UTC day at the provider itself, net of reversals, but for what charges of some sources say, for what
    allocation moved, and for what a plan of seats pays for, which is on no bill of calls.
    """
    at = term_ids(organization_id, "provider", [provider]).get(provider)
    usage = term_ids(organization_id, "category", ["Usage"]).get("Usage")
    if at is None or usage is None:
        return []
    allocated = term_ids(organization_id, "evidence", ["allocated"]).get("allocated", -1)
    begins = day_start(day)
    with connection.cursor() as cursor:
        days = [begins, begins + timedelta(days=1)]
        cursor.execute(_SQL, [organization_id, *days, at, usage, allocated, list(but_sources)])
        rows = cursor.fetchall()
    first = 3 + len(_OWNERS)
    return [
        Used(
            row[0],
            row[1],
            row[2],
            tuple(row[3:first]),
            int(row[first]),
            row[first + 1],
            tuple(map(int, row[first + 2 :])),
        )
        for row in rows
    ]


_ON_A_BILL: Final = f"""
SELECT a.provider, a.day
FROM unnest(%s::int[], %s::date[], %s::timestamptz[]) AS a(provider, day, begins)
WHERE EXISTS (
    SELECT FROM ledger_charge AS c
    WHERE c.organization_id = %s AND c.occurred_at >= a.begins AND c.occurred_at < a.begins + interval '24 hours'
        AND c.provider_id = a.provider AND c.category_id = %s AND c.host_id = 0 AND c.calls > 0 AND c.reverses IS NULL
        AND NOT {_SEATED}
        AND NOT EXISTS (SELECT FROM ledger_charge_key AS r WHERE r.organization_id = c.organization_id
            AND r.source_id = 0 AND r.external_id = 'rev:' || c.id))
"""


def on_a_bill(organization_id: int, days: Collection[tuple[int, date]]) -> set[tuple[int, date]]:
    """Of (provider's id, UTC day) those with a call at the provider itself that no plan of seats pays for. One
    question, which reads a day's charges up to the first such call.
    """
    usage = term_ids(organization_id, "category", ["Usage"]).get("Usage")
    if usage is None or not days:
        return set()
    providers, dates = zip(*days, strict=True)
    with connection.cursor() as cursor:
        begins = [day_start(day) for day in dates]
        cursor.execute(_ON_A_BILL, [list(providers), list(dates), begins, organization_id, usage])
        return set(cursor.fetchall())


_STANDING: Final = """
SELECT c.external_id, c.occurred_at, coalesce(p.value, ''), coalesce(m.value, ''), c.currency
FROM ledger_charge AS c
LEFT JOIN ledger_term AS p ON p.id = c.provider_id
LEFT JOIN ledger_term AS m ON m.id = c.model_id
WHERE c.organization_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s AND c.source_id = %s
    AND c.reverses IS NULL AND c.reason NOT IN ('allocation', 'trueup')
    AND (c.effective_cost <> 0 OR c.calls <> 0 OR c.list_cost <> 0)
    AND NOT EXISTS (SELECT FROM ledger_charge_key AS r WHERE r.organization_id = c.organization_id
        AND r.source_id = 0 AND r.external_id = 'rev:' || c.id)
ORDER BY c.occurred_at, c.id
"""


class Standing(NamedTuple):
    external_id: str
    occurred_at: datetime
    provider: str
    model: str
    currency: str


def standing(organization_id: int, source_id: int, *, since: datetime, until: datetime) -> list[Standing]:
    """Charges of a source in `[since, until)` that are not reversed and are not nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [organization_id, since, until, source_id])
        return [Standing(*row) for row in cursor.fetchall()]
