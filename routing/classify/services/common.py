"""What every write of this room does: one writer of an organization at a time, and a row in the trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from finops.audit import services as audit
from finops.core.actors import Actor


def lock(organization_id: int) -> None:
    """Until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('classify'), %s)", [organization_id])


def note(organization_id: int, verb: str, subject: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=organization_id, verb=verb, subject_kind="classifier", subject_id=subject, details=details,
        by=by, at=at,
    )  # fmt: skip
