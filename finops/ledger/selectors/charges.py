"""Charges themselves: the drill-down from any figure, and one charge with everything that is known of it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from finops.core.errors import FinopsError, NotFound
from finops.core.periods import DayRange
from finops.core.tokens import METERS
from finops.ledger.models import Interned
from finops.ledger.selectors.spend import spend
from finops.ledger.types import DIMENSIONS, ChargePage, ChargeRow, Grain, SpendQuestion

MOST_ROWS: Final = 500
_DIMENSION_COLUMNS: Final = ", ".join(f"c.{name}_id" for name in DIMENSIONS)
_METERS: Final = ", ".join(f"coalesce(c.{meter}, 0)" for meter in METERS)
CHARGE_SELECT: Final = f"""
SELECT c.id, c.occurred_at, c.booked_at, c.external_id, c.session, {_DIMENSION_COLUMNS}, {_METERS},
    c.currency, c.list_cost, c.contracted_cost, c.effective_cost, c.billed_cost, c.reporting_cost,
    c.reporting_currency, c.reverses, c.reason, c.price_id, c.contract_id, c.trace_id, c.fx_rate, c.fx_date,
    c.provider_request_id, coalesce(raw.value, ''), c.tags, c.origin_id, c.calls
FROM ledger_charge c LEFT JOIN ledger_term raw ON raw.id = c.model_raw_id
"""


class CursorInvalid(FinopsError):
    code = "ledger.cursor_invalid"
    status = 400


def charges(
    organization_id: int,
    period: DayRange,
    filters: Mapping[str, frozenset[int]] | None = None,
    cursor: str = "",
    limit: int = 50,
    session: str = "",
) -> ChargePage:
    """Charges of a period that match all filters, newest first, up to `limit` (at most 500).

    Charges carry one index, by time. The rollups know the days on which the filters match, so only those are read.
    Raises CursorInvalid.
    """
    limit = max(1, min(limit, MOST_ROWS))
    filters = filters or {}
    clauses: list[str] = ["c.organization_id = %s"]
    params: list[Any] = [organization_id]
    for name, allowed in sorted(filters.items()):
        clauses.append(f"c.{name}_id = ANY(%s)")
        params.append(sorted(allowed))
    if session:
        clauses.append("c.session = %s")
        params.append(session)
    if cursor:
        clauses.append("(c.occurred_at, c.id) < (%s, %s)")
        params.extend(_read_cursor(cursor))
    found: list[ChargeRow] = []
    with connection.cursor() as database:
        for days in _stretches(organization_id, period, filters, session):
            database.execute(
                f"{CHARGE_SELECT} WHERE {' AND '.join(clauses)} AND c.occurred_at >= %s AND c.occurred_at < %s"
                " ORDER BY c.occurred_at DESC, c.id DESC LIMIT %s",
                [*params, *days.instants(), limit + 1 - len(found)],
            )
            found.extend(map(read_charge, database.fetchall()))
            if len(found) > limit:
                break
    more = len(found) > limit
    rows = tuple(found[:limit])
    return ChargePage(rows, _write_cursor(rows[-1]) if more else "")


def _stretches(
    organization_id: int, period: DayRange, filters: Mapping[str, frozenset[int]], session: str
) -> list[DayRange]:
    """The stretches of days to read, newest first: the whole period, or those on which the filters have any spend."""
    if session:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT min(first_at), max(last_at) FROM (SELECT first_at, last_at FROM ledger_session"
                " WHERE organization_id = %s AND session = %s UNION ALL SELECT first_at, last_at"
                " FROM ledger_session_delta WHERE organization_id = %s AND session = %s) AS s",
                [organization_id, session] * 2,
            )
            first, last = cursor.fetchone() or (None, None)
        if first is None or last is None:
            return []
        start = max(period.start, first.astimezone(UTC).date())
        end = min(period.end, last.astimezone(UTC).date() + timedelta(days=1))
        return [DayRange(start, end)] if start < end else []
    if not filters:
        return [period]
    question = SpendQuestion(organization_id, period, filters=filters, grain=Grain.DAY)
    days = sorted({row.bucket for row in spend(question) if row.bucket}, reverse=True)
    return _joined(days)


def _joined(days: list[date]) -> list[DayRange]:
    """Days, newest first, as stretches of consecutive ones."""
    found: list[DayRange] = []
    for day in days:
        if found and found[-1].start == day + timedelta(days=1):
            found[-1] = DayRange(day, found[-1].end)
        else:
            found.append(DayRange(day, day + timedelta(days=1)))
    return found


def charge(organization_id: int, charge_id: UUID) -> ChargeRow:
    """One charge. Raises NotFound, also for another organization's."""
    with connection.cursor() as cursor:
        cursor.execute(f"{CHARGE_SELECT} WHERE c.id = %s AND c.organization_id = %s", [charge_id, organization_id])
        row = cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no charge {charge_id}")
    return read_charge(row)


def find_charges(organization_id: int, external_id: str) -> list[UUID]:
    """Charges a source's id leads to: at most one per source, by source."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT k.charge_id FROM ledger_charge_key k JOIN sources_source s ON s.id = k.source_id"
            " WHERE k.organization_id = %s AND s.organization_id = %s AND k.external_id = %s ORDER BY k.source_id",
            [organization_id, organization_id, external_id],
        )
        return [row[0] for row in cursor.fetchall()]


def corrections(organization_id: int, row: ChargeRow) -> dict[str, UUID]:
    """How a charge is corrected: `reversed_by`, and `replaced_by` where a re-rating or re-attribution did it.

    The other way is not told: keys lead from a charge to what corrected it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT external_id, charge_id FROM ledger_charge_key WHERE organization_id = %s AND source_id = 0"
            " AND external_id IN (%s, %s)",
            [organization_id, f"rev:{row.id}", f"fix:{row.id}"],
        )
        names = {f"rev:{row.id}": "reversed_by", f"fix:{row.id}": "replaced_by"}
        return {names[key]: charge_id for key, charge_id in cursor.fetchall()}


def sightings(organization_id: int, charge_id: UUID) -> list[dict[str, Any]]:
    """Other sources' views of the same call, in the order they came."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source_id, external_id, occurred_at, seen_at, evidence, counts, billed_cost, currency, matched_by"
            " FROM ledger_sighting WHERE organization_id = %s AND charge_id = %s ORDER BY seen_at, id",
            [organization_id, charge_id],
        )
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def content_matches(organization_id: int, source_id: int, *, since: datetime) -> int:
    """How many calls that a source told since then are another's by what they say, and not by the provider's id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM ledger_sighting WHERE organization_id = %s AND source_id = %s"
            " AND matched_by = 'content' AND seen_at >= %s",
            [organization_id, source_id, since],
        )
        (found,) = cursor.fetchone() or (0,)
    return int(found)


def charge_steps(organization_id: int, row: ChargeRow) -> list[list[Any]]:
    """Why a charge is whose it is: `[dimension, value, by, reference, detail]` in the order it was decided."""
    found = Interned.objects.filter(organization_id=organization_id, kind="trace", id=row.trace_id).first()
    return list(found.body) if found else []


def origin_of(organization_id: int, origin_id: int) -> dict[str, Any]:
    """What the source said of the owner: explicit dimensions, key prefix, identities, and the provider's raw name."""
    found = Interned.objects.filter(organization_id=organization_id, kind="origin", id=origin_id).first()
    return dict(found.body) if found else {}


def read_charge(row: tuple[Any, ...]) -> ChargeRow:
    """A row of CHARGE_SELECT as a value."""
    first = 5
    meters = first + len(DIMENSIONS)
    money = meters + len(METERS)
    values: tuple[Any, ...] = (
        *row[:first],
        dict(zip(DIMENSIONS, row[first:meters], strict=True)),
        row[meters:money],
        *row[money : money + 16],
        read_tags(row[money + 16]),
        *row[money + 17 :],
    )
    return ChargeRow(*values)


def read_tags(stored: str | None) -> dict[str, str]:
    """Django's cursors give jsonb as text."""
    tags: dict[str, str] = json.loads(stored or "{}")
    return tags


def _write_cursor(row: ChargeRow) -> str:
    return base64.urlsafe_b64encode(f"{row.occurred_at.isoformat()} {row.id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, charge_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        return datetime.fromisoformat(at), UUID(charge_id)
    except (ValueError, binascii.Error) as error:
        raise CursorInvalid("this cursor is not one of ours; start from the first page", field="cursor") from error
