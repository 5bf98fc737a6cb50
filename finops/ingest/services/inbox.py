"""Books what gateways decided: through the corridor, and out of their leases, in one transaction per batch.

The ledger announces what is spent, and every account concerned observes it. What was authorised beforehand is then
taken out of what was observed and out of the lease, in the same transaction, so that an account always says what the
ledger says, whatever has changed between a call and its charge.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from django.db import connection

from finops.audit import services as audit
from finops.budgets.bank import Accounted
from finops.budgets.services import leases
from finops.connectors.capstan.record import record_of
from finops.connectors.types import Received
from finops.core.errors import FinopsError
from finops.core.money import pico_text, to_pico
from finops.ingest.records import Spent, decode
from finops.ingest.services.take import BATCH_MOST, take
from finops.ingest.types import Outcome, Status

log = logging.getLogger(__name__)
# After so many failures a row waits for somebody to look at it; the rest goes on.
TRIES: Final = 20
_FIND: Final = """
SELECT id, holder_id, accounts, spent, body FROM ingest_inbox
WHERE organization_id = %s AND source_id = %s AND tries < %s ORDER BY id LIMIT %s
"""
_CHARGED: Final = {Status.CHARGED, Status.REVISED}


class Moved(FinopsError):
    """Somebody else books the same rows; nothing is lost, and nothing was done."""

    code = "ingest.inbox_moved"
    status = 409


class Row(NamedTuple):
    id: int
    holder_id: UUID
    accounts: list[int]
    spent: Decimal
    body: bytes


def book_inbox(at: datetime) -> int:
    """Book what waits, of every organization; gives how many rows there were. Harmless twice."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT organization_id, source_id FROM ingest_inbox WHERE tries < %s ORDER BY 1, 2", [TRIES]
        )
        origins = cursor.fetchall()
    return sum(_book_source(organization_id, source_id, at) for organization_id, source_id in origins)


def _book_source(organization_id: int, source_id: int, at: datetime) -> int:
    booked = 0
    with _alone(source_id) as mine:
        while mine:
            rows = _waiting(organization_id, source_id)
            if not rows:
                break
            try:
                _book(organization_id, source_id, rows, at)
            except Moved:
                break
            except Exception:
                # One bad row must not keep all others waiting for ever.
                log.exception("%d rows of the inbox of source %d could not be booked at once", len(rows), source_id)
                for row in rows:
                    _book_one(organization_id, source_id, row, at)
                # What failed is tried again with the next look, not at once.
                break
            booked += len(rows)
    return booked


def _book_one(organization_id: int, source_id: int, row: Row, at: datetime) -> None:
    try:
        _book(organization_id, source_id, [row], at)
    except Exception as error:
        log.exception("row %d of the inbox could not be booked", row.id)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE ingest_inbox SET tries = tries + 1 WHERE id = %s RETURNING tries", [row.id])
            found = cursor.fetchone()
        if found and found[0] == TRIES:
            details = {"row": row.id, "error": type(error).__name__}
            audit.announce(
                organization_id=organization_id, kind="inbox.stuck", key=f"source:{source_id}", at=at, details=details
            )


def _book(organization_id: int, source_id: int, rows: Sequence[Row], at: datetime) -> None:
    """What takes nobody's place comes last: whatever else there is of the same call stands."""
    read = [(row, cast("Spent", decode(bytes(row.body)))) for row in rows]
    for revises in (True, False):
        some = [(row, record) for row, record in read if _revises(record) is revises]
        if some:
            _book_some(organization_id, source_id, some, at, revises=revises)


def _revises(record: Spent) -> bool:
    """What nobody told the end of takes the place of nothing but our own estimate: that of a call that broke off, whose
    cost was spent in part before.
    """
    cost = record.event.cost
    return not record.expired or (cost is not None and 0 < record.spent < cost.pico)


def _book_some(
    organization_id: int, source_id: int, some: Sequence[tuple[Row, Spent]], at: datetime, *, revises: bool
) -> None:
    def within(places: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        booked = [(*some[place], outcome) for place, outcome in zip(places, outcomes, strict=True)]
        _account_for(organization_id, booked, at)

    take(
        organization_id=organization_id,
        source_id=source_id,
        parser="capstan",
        received=[Received(record_of(record.event), record.event) for _, record in some],
        at=at,
        within=within,
        revises=revises,
    )


def _account_for(organization_id: int, booked: Sequence[tuple[Row, Spent, Outcome]], at: datetime) -> None:
    """Inside the transaction that books them. What is a charge now is authorised; a call that was charged by another
    way before gives its money back; one that is held in quarantine stays spent, for it may yet be booked.
    """
    ids = [row.id for row, _, _ in booked]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_inbox WHERE id = ANY(%s)", [ids])
        if cursor.rowcount != len(ids):
            raise Moved("others book these rows")
    lines: dict[tuple[UUID, int], list[int]] = defaultdict(lambda: [0, 0])
    offset: dict[int, int] = defaultdict(int)
    for row, record, outcome in booked:
        spent = to_pico(row.spent)
        returned = outcome.status not in _CHARGED and outcome.status is not Status.QUARANTINED
        for account in row.accounts:
            lines[row.holder_id, account][returned] += spent
            if outcome.status in _CHARGED:
                offset[account] -= spent
        if record.beyond or record.expired:
            _tell(organization_id, record, at)
    leases.account_for_all(
        {(holder, account): Accounted(account, *line) for (holder, account), line in lines.items() if any(line)}
    )
    leases.offset_observed(organization_id=organization_id, amounts=offset)


def _tell(organization_id: int, record: Spent, at: datetime) -> None:
    audit.announce(
        organization_id=organization_id,
        kind="authorization.expired" if record.expired else "hold.exceeded",
        key=f"authorization:{record.id}",
        at=at,
        details={
            "spent": pico_text(record.spent),
            "beyond": pico_text(record.beyond),
            "model": record.event.model[:200],
        },
    )


def _waiting(organization_id: int, source_id: int) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [organization_id, source_id, TRIES, BATCH_MOST])
        return [Row(*row) for row in cursor.fetchall()]


@contextmanager
def _alone(source_id: int) -> Iterator[bool]:
    """Whether nobody else books this source now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('ingest_inbox'), %s)", [source_id])
        (mine,) = cast("tuple[Any, ...]", cursor.fetchone())
        try:
            yield mine
        finally:
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('ingest_inbox'), %s)", [source_id])
