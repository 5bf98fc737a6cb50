"""Reverses charges: the same line with every amount negated, at the time of the original, naming it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from finops.core.ids import uuid7_batch
from finops.core.money import to_pico
from finops.core.tokens import METERS
from finops.ledger.columns import MEASURES_OF_CHARGE
from finops.ledger.services import rows
from finops.ledger.services.announce import Spending, announce

_NEGATED: Final = (
    "calls",
    *METERS,
    *("list_cost", "contracted_cost", "effective_cost", "billed_cost", "reporting_cost"),
)
_OWN: Final = ("id", "booked_at", "reason", "reverses")
_COPIED: Final = tuple(column for column in rows.CHARGE_COLUMNS if column not in (*_NEGATED, *_OWN))
_ROLLED: Final = ", ".join(rows.ROLLED_DIMENSIONS)
_MEASURES: Final = ", ".join(MEASURES_OF_CHARGE)

_REVERSE: Final = f"""
WITH target AS (
    SELECT t.* FROM unnest(%(ids)s::uuid[], %(occurred)s::timestamptz[], %(new)s::uuid[]) AS t(id, occurred_at, new_id)
    JOIN ledger_charge c ON c.id = t.id AND c.occurred_at = t.occurred_at
    WHERE c.organization_id = %(organization)s AND c.reverses IS NULL
), claimed AS (
    INSERT INTO ledger_charge_key (organization_id, source_id, external_id, content_hash, charge_id, occurred_at)
    SELECT %(organization)s, 0, 'rev:' || id, '', new_id, occurred_at FROM target ORDER BY id
    ON CONFLICT DO NOTHING RETURNING charge_id
), made AS (
    INSERT INTO ledger_charge (id, booked_at, reason, reverses, {", ".join(_COPIED)}, {", ".join(_NEGATED)})
    SELECT t.new_id, %(at)s, 'reversal', c.id, {", ".join(f"c.{column}" for column in _COPIED)},
        {", ".join(f"-c.{column}" for column in _NEGATED)}
    FROM target t
    JOIN claimed ON claimed.charge_id = t.new_id
    JOIN ledger_charge c ON c.id = t.id AND c.occurred_at = t.occurred_at
    RETURNING *
), rolled AS (
    INSERT INTO ledger_rollup_delta ({", ".join(rows.DELTA_COLUMNS)})
    SELECT organization_id, date_trunc('hour', occurred_at, 'UTC'), {_ROLLED}, currency, {_MEASURES}
    FROM made GROUP BY organization_id, date_trunc('hour', occurred_at, 'UTC'), {_ROLLED}, currency
), sessions AS (
    INSERT INTO ledger_session_delta ({", ".join(rows.SESSION_COLUMNS)})
    SELECT organization_id, session, currency, person_id, agent_id, project_id, min(occurred_at), max(occurred_at),
        {_MEASURES}
    FROM made WHERE session <> '' GROUP BY organization_id, session, currency, person_id, agent_id, project_id
)
SELECT m.reverses, m.occurred_at, m.reporting_cost, m.session, coalesce(p.value, ''), coalesce(d.value, ''),
    {", ".join(f"m.{column}" for column in rows.OWNER_COLUMNS)}
FROM made AS m LEFT JOIN ledger_term AS p ON p.id = m.provider_id LEFT JOIN ledger_term AS d ON d.id = m.model_id
"""


def reverse_in_transaction(
    *, organization_id: int, charges: Sequence[tuple[UUID, datetime]], at: datetime
) -> set[UUID]:
    """Reverse charges, given as (id, occurred_at), inside the caller's transaction; gives those that were reversed now.

    A charge can be reversed once: one that is reversed already, or is itself a reversal, is left as it is.
    """
    if not charges:
        return set()
    if not connection.in_atomic_block:
        raise RuntimeError("reversing belongs inside a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            _REVERSE,
            {
                "ids": [charge_id for charge_id, _ in charges],
                "occurred": [occurred_at for _, occurred_at in charges],
                "new": uuid7_batch(len(charges), unix_ms=int(at.timestamp() * 1000)),
                "organization": organization_id,
                "at": at,
            },
        )
        made = cursor.fetchall()
    announce(organization_id, lambda: map(_spending, made), at)
    return {row[0] for row in made}


def _spending(row: tuple[Any, ...]) -> Spending:
    _, occurred_at, cost, session, provider, model, *owners = row
    return Spending(occurred_at, to_pico(cost), tuple(owners), provider, model, session)
