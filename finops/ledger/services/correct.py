"""Corrects charges: the original is reversed, and a new charge takes its place and its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper

from finops.ledger.services.batch import Batch
from finops.ledger.services.post import post
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.types import Posted, Posting


@dataclass(frozen=True, slots=True)
class Correction:
    """`posting` replaces the charge `charge_id`. Its key must be `correction_key(charge_id)` under source 0.

    `request_key` is the one the replaced charge was claimed under, or ''; `new_request_key` what it is called now, when
    the provider goes by another name.
    """

    charge_id: UUID
    occurred_at: datetime
    request_key: str
    posting: Posting
    new_request_key: str = ""


def correction_key(charge_id: UUID) -> str:
    """A charge can be corrected once; the charge that corrected it can be corrected in turn."""
    return f"fix:{charge_id}"


def correct(*, organization_id: int, batch: Batch, corrections: Sequence[Correction], at: datetime) -> int:
    """Apply corrections inside the caller's transaction; gives how many were made.

    `batch` holds the corrections' postings, in their order. One whose charge was reversed meanwhile, by a correction, a
    revision or outright, is left alone: whoever reversed it decided what stands in its place.
    """
    if not corrections:
        return 0
    with connection.cursor() as cursor:
        _lock_keys(cursor, organization_id, corrections)
        reversed_now = reverse_in_transaction(
            organization_id=organization_id, charges=[(one.charge_id, one.occurred_at) for one in corrections], at=at
        )
        kept = [n for n, one in enumerate(corrections) if one.charge_id in reversed_now]
        outcomes = post(batch=batch.only(kept), revises=False, at=at)
        if any(outcome is not Posted.CHARGED for outcome in outcomes):
            raise RuntimeError("a charge that stood until now was corrected before")
        _hand_over_keys(cursor, organization_id, [corrections[n] for n in kept])
    return len(kept)


def _keys(one: Correction) -> list[tuple[int, str, str]]:
    """(source, key, what the key is called from now on) of the keys that lead to the charge."""
    found = [(one.posting.shape.source_id, one.posting.external_id, one.posting.external_id)]
    if one.request_key:
        found.append((0, one.request_key, one.new_request_key or one.request_key))
    return found


def _lock_keys(cursor: CursorWrapper, organization_id: int, corrections: Sequence[Correction]) -> None:
    """Before anything else and in the order in which posting does, so that a revision of the same call at the same time
    waits, or is waited for, and neither deadlocks.
    """
    keys = sorted({key[:2] for one in corrections for key in _keys(one)})
    cursor.execute(
        "SELECT count(*) FROM (SELECT m.source_id FROM unnest(%s::int[], %s::text[]) AS m(source_id, external_id)"
        " CROSS JOIN LATERAL (SELECT FROM ledger_charge_key WHERE organization_id = %s AND source_id = m.source_id"
        " AND external_id = m.external_id LIMIT 1 FOR UPDATE) AS k) AS locked",
        [[source_id for source_id, _ in keys], [key for _, key in keys], organization_id],
    )


def _hand_over_keys(cursor: CursorWrapper, organization_id: int, made: Sequence[Correction]) -> None:
    """The source's own key, the provider's request key and the sightings lead to the charge that stands now."""
    rows = [(*key, one.charge_id) for one in made for key in _keys(one)]
    if not rows:
        return
    cursor.execute(
        "UPDATE ledger_charge_key AS k SET charge_id = f.charge_id, occurred_at = f.occurred_at, external_id ="
        " CASE WHEN EXISTS (SELECT FROM ledger_charge_key o WHERE o.organization_id = f.organization_id"
        " AND o.source_id = m.source_id AND o.external_id = m.becomes) THEN k.external_id ELSE m.becomes END"
        " FROM unnest(%s::int[], %s::text[], %s::text[], %s::uuid[]) AS m(source_id, external_id, becomes, was)"
        " JOIN ledger_charge_key f ON f.organization_id = %s AND f.source_id = 0"
        " AND f.external_id = 'fix:' || m.was"
        " WHERE k.organization_id = %s AND k.source_id = m.source_id AND k.external_id = m.external_id"
        " AND k.charge_id = m.was",
        [*(list(column) for column in zip(*rows, strict=True)), organization_id, organization_id],
    )
    cursor.execute(
        "UPDATE ledger_sighting AS s SET charge_id = f.charge_id FROM unnest(%s::uuid[]) AS m(was)"
        " JOIN ledger_charge_key f ON f.organization_id = %s AND f.source_id = 0"
        " AND f.external_id = 'fix:' || m.was WHERE s.organization_id = %s AND s.charge_id = m.was",
        [[one.charge_id for one in made], organization_id, organization_id],
    )
