"""What the file has made, as the trail tells."""

from __future__ import annotations

from finops.audit.models import AuditEvent
from finops.core.actors import Actor


def made_by(organization_id: int, by: Actor, verb: str) -> frozenset[int]:
    """Ids of what somebody made: only that is archived when the file no longer names it."""
    rows = AuditEvent.objects.filter(organization_id=organization_id, actor=by.reference, verb=verb)
    return frozenset(int(subject) for subject in rows.values_list("subject_id", flat=True).order_by("id"))
