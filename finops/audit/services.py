"""Writes the audit trail, inside the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from finops.audit.models import AuditEvent
from finops.core.actors import Actor


def record(
    *,
    organization_id: int,
    verb: str,
    subject_kind: str,
    subject_id: object,
    by: Actor,
    at: datetime,
    subject_label: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Append one row. `details` holds before and after, never a secret, a prompt or a key."""
    AuditEvent.objects.create(
        organization_id=organization_id,
        at=at,
        actor=by.reference,
        actor_label=by.label[:200],
        verb=verb,
        subject_kind=subject_kind,
        subject_id=str(subject_id)[:80],
        subject_label=subject_label[:200],
        details=details or {},
    )
