"""Writes the audit trail and signals, inside the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from finops.audit.models import AuditEvent, Signal
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
    """Append one row. `details` holds before and after, never a secret, a prompt or a key.

    Nothing here may name a person: the trail cannot be rewritten when one is erased. A login is kept as `user:7`, and
    whoever shows the trail looks its name up (`orgs.selectors.audit_names`).
    """
    AuditEvent.objects.create(
        organization_id=organization_id,
        at=at,
        actor=by.reference,
        actor_label="" if by.reference.startswith("user:") else by.label[:200],
        verb=verb,
        subject_kind=subject_kind,
        subject_id=str(subject_id)[:80],
        subject_label=subject_label[:200],
        details=details or {},
    )


def announce(*, organization_id: int, kind: str, key: str, at: datetime, details: dict[str, Any] | None = None) -> None:
    """Tell whoever listens (alerts) what happened. `details` holds ids and amounts, never a name or a secret."""
    Signal.objects.create(organization_id=organization_id, kind=kind, key=key[:300], at=at, details=details or {})
