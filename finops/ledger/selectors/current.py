"""Charges that stand: neither reversed nor reversals. What re-rating, re-attribution and previews walk over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from finops.core.periods import DayRange
from finops.core.tokens import METERS
from finops.ledger.models import Interned, Term
from finops.ledger.selectors.charges import CHARGE_SELECT, read_charge, read_tags
from finops.ledger.types import DIMENSIONS, TAG_SLOTS, WORDS, ChargeRow, JsonList, JsonObject

_PAGE = 2_000
Position = tuple[datetime, UUID]
_REVERSED = (
    "EXISTS (SELECT FROM ledger_charge_key k WHERE k.organization_id = c.organization_id"
    " AND k.source_id = 0 AND k.external_id = 'rev:' || c.id)"
)


def standing(
    organization_id: int,
    period: DayRange,
    *,
    filters: Mapping[str, frozenset[int]] | None = None,
    after: Position | None = None,
    page: int = _PAGE,
) -> Iterator[list[ChargeRow]]:
    """Pages of standing charges in order of (occurred_at, id), from `after` on. Allocations are left out: they follow
    from charges and are made anew from them.
    """
    where, params = _standing(filters)
    start, end = period.instants()
    position = after
    while True:
        more = " AND (c.occurred_at, c.id) > (%s, %s)" if position else ""
        more_params: list[Any] = list(position) if position else []
        with connection.cursor() as cursor:
            cursor.execute(
                f"{CHARGE_SELECT} WHERE {where}{more} ORDER BY c.occurred_at, c.id LIMIT %s",
                [organization_id, position[0] if position else start, end, *params, *more_params, page],
            )
            rows = [read_charge(row) for row in cursor.fetchall()]
        if not rows:
            return
        yield rows
        position = (rows[-1].occurred_at, rows[-1].id)


def standing_count(
    organization_id: int, period: DayRange, *, filters: Mapping[str, frozenset[int]] | None = None
) -> int:
    """How many charges `standing` gives."""
    where, params = _standing(filters)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM ledger_charge c WHERE {where}", [organization_id, *period.instants(), *params]
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _standing(filters: Mapping[str, frozenset[int]] | None) -> tuple[str, list[Any]]:
    """The condition, and its parameters after the organization and the period's two ends."""
    clauses = [
        "c.organization_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s",
        "c.reverses IS NULL AND c.reason <> 'allocation'",
        "NOT " + _REVERSED,
    ]
    params: list[Any] = []
    for name, allowed in sorted((filters or {}).items()):
        clauses.append(f"c.{name}_id = ANY(%s)")
        params.append(sorted(allowed))
    return " AND ".join(clauses), params


def grouped(
    organization_id: int,
    period: DayRange,
    *,
    instants: Sequence[datetime] = (),
    by_session: bool = False,
    page: int = _PAGE,
) -> Iterator[list[ChargeRow]]:
    """Standing charges of a period grouped by everything that decides an owner, in pages. `instants`, ascending, are
    the times at which what decides changes: a group lies between two of them.

    A row stands for `calls` charges and their summed `reporting_cost`, at the first instant of the group; what differs
    within the group (ids, meters, other costs) is empty. A charge and its reversal cancel.
    """
    session = "session" if by_session else "''::text"
    dimensions = ", ".join(f"{name}_id" for name in DIMENSIONS)
    keys = f"{dimensions}, model_raw_id, origin_id, tags, {session}, reporting_currency"
    start, end = period.instants()
    # Read whole: a second snapshot of the same charges page by page would count what came between twice or never.
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            f"SELECT min(occurred_at), {session}, {dimensions}, reporting_currency, tags, origin_id,"
            " (SELECT value FROM ledger_term t WHERE t.id = model_raw_id), sum(reporting_cost),"
            " sum(CASE WHEN reverses IS NULL THEN 1 ELSE -1 END)::bigint"
            " FROM ledger_charge WHERE organization_id = %s AND occurred_at >= %s AND occurred_at < %s"
            " AND evidence_id <> ALL(SELECT id FROM ledger_term WHERE organization_id = %s AND kind = 'evidence'"
            " AND value = 'allocated')"
            f" GROUP BY width_bucket(occurred_at, %s::timestamptz[]), {keys}"
            " HAVING sum(CASE WHEN reverses IS NULL THEN 1 ELSE -1 END) <> 0 ORDER BY 1",
            [organization_id, start, end, organization_id, list(instants)],
        )
        while rows := cursor.fetchmany(page):
            yield [_group(row) for row in rows]


def _group(row: tuple[Any, ...]) -> ChargeRow:
    first = 2
    after = first + len(DIMENSIONS)
    currency, tags, origin_id, model_raw, reporting_cost, charges = row[after:]
    nothing = Decimal(0)
    return ChargeRow(
        id=UUID(int=0),
        occurred_at=row[0],
        booked_at=row[0],
        external_id="",
        session=row[1],
        dimensions=dict(zip(DIMENSIONS, row[first:after], strict=True)),
        counts=(0,) * len(METERS),
        currency=currency,
        list_cost=nothing,
        contracted_cost=nothing,
        effective_cost=nothing,
        billed_cost=None,
        reporting_cost=reporting_cost,
        reporting_currency=currency,
        reverses=None,
        reason="",
        price_id=0,
        contract_id=0,
        trace_id=0,
        fx_rate=Decimal(1),
        fx_date=None,
        provider_request_id="",
        model_raw=model_raw or "",
        tags=read_tags(tags),
        origin_id=origin_id,
        calls=charges,
    )


class Background:
    """The words, origins and traces a page of charges refers to, looked up together."""

    def __init__(self, organization_id: int, rows: list[ChargeRow]) -> None:
        words = {row.dimensions[name] for row in rows for name in (*WORDS, *TAG_SLOTS)}
        terms = Term.objects.filter(organization_id=organization_id, id__in=words)
        self._words = {0: ""} | dict(terms.values_list("id", "value"))
        bodies = {row.origin_id for row in rows} | {row.trace_id for row in rows}
        interned = Interned.objects.filter(organization_id=organization_id, id__in=bodies)
        self._bodies = dict(interned.values_list("id", "body"))

    def word(self, row: ChargeRow, dimension: str) -> str:
        return self._words[row.dimensions[dimension]]

    def origin(self, row: ChargeRow) -> JsonObject:
        return dict(self._bodies.get(row.origin_id, {}))

    def trace(self, row: ChargeRow) -> JsonList:
        return list(self._bodies.get(row.trace_id, []))
