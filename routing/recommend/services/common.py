"""What every change of recommendations does: one writer at a time, and a row in the trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from routing.recommend.models import Recommendation
from routing.recommend.rules import Busy

# Of advisory locks, so that nobody else's number is ours.
_LOCKS = 0x7EC0


def hold(organization_id: int) -> None:
    """One writer at a time, until the transaction ends; whoever comes second does not wait. Raises Busy."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a lock without a transaction holds nothing")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCKS, organization_id])
        row = cursor.fetchone()
    if not row or not row[0]:
        raise Busy("The recommendations are being worked out at this moment; ask again in a few seconds.")


def note(verb: str, row: Recommendation, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=row.organization_id, verb=f"recommendation.{verb}", subject_kind="recommendation",
        subject_id=row.id, subject_label=str(row), details=details, by=by, at=at,
    )  # fmt: skip
