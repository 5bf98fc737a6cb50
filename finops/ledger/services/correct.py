"""Corrects charges: the original is reversed, and a new charge takes its place and its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from finops.ledger.services.post import Batch, post
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.types import Posted, Posting


@dataclass(frozen=True, slots=True)
class Correction:
    """`posting` replaces the charge `charge_id`. Its key must be `correction_key(charge_id)` under source 0.

    `request_key` is the one the replaced charge was claimed under, or ''.
    """

    charge_id: UUID
    occurred_at: datetime
    request_key: str
    posting: Posting


def correction_key(charge_id: UUID) -> str:
    """A charge can be corrected once; the charge that corrected it can be corrected in turn."""
    return f"fix:{charge_id}"


def correct(*, organization_id: int, batch: Batch, corrections: Sequence[Correction], at: datetime) -> int:
    """Apply corrections inside the caller's transaction; gives how many were made.

    `batch` holds the corrections' postings, in their order. One whose charge was corrected meanwhile is left alone, so
    doing it again after a crash changes nothing.
    """
    outcomes = post(batch=batch, revises=False, at=at)
    made = [one for one, outcome in zip(corrections, outcomes, strict=True) if outcome is Posted.CHARGED]
    reversed_now = reverse_in_transaction(
        organization_id=organization_id, charges=[(one.charge_id, one.occurred_at) for one in made], at=at
    )
    if len(reversed_now) != len(made):
        raise RuntimeError("a charge to be corrected is reversed already, and not by a correction")
    _hand_over_keys(organization_id, made)
    return len(made)


def _hand_over_keys(organization_id: int, made: Sequence[Correction]) -> None:
    """The source's own key and the provider's request key lead to the charge that stands now."""
    sources: list[int] = []
    keys: list[str] = []
    charges: list[UUID] = []
    for one in made:
        posting = one.posting
        for source_id, key in ((posting.shape.source_id, posting.external_id), (0, one.request_key)):
            if key:
                sources.append(source_id)
                keys.append(key)
                charges.append(one.charge_id)
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ledger_charge_key AS k SET charge_id = f.charge_id, occurred_at = f.occurred_at"
            " FROM unnest(%s::int[], %s::text[], %s::uuid[]) AS m(source_id, external_id, was)"
            " JOIN ledger_charge_key f ON f.organization_id = %s AND f.source_id = 0"
            " AND f.external_id = 'fix:' || m.was"
            " WHERE k.organization_id = %s AND k.source_id = m.source_id AND k.external_id = m.external_id"
            " AND k.charge_id = m.was",
            [sources, keys, charges, organization_id, organization_id],
        )
