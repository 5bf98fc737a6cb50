"""Reads of long work."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet

from finops.core.errors import NotFound
from finops.jobs.models import Job

# A worker renews its beat with every progress; one silent for this long is taken for dead.
STALE_AFTER: Final = timedelta(seconds=60)


def jobs(organization_id: int, *, kind: str = "", state: str = "") -> QuerySet[Job]:
    """Newest first."""
    rows = Job.objects.filter(organization_id=organization_id).order_by("-requested_at", "-id")
    if kind:
        rows = rows.filter(kind=kind)
    return rows.filter(state=state) if state else rows


def job(organization_id: int, job_id: int) -> Job:
    """Raises NotFound."""
    found = Job.objects.filter(organization_id=organization_id, id=job_id).first()
    if found is None:
        raise NotFound("There is no such job.")
    return found


def waiting(at: datetime) -> Q:
    """Jobs nobody works on: queued, or their worker fell silent."""
    silent = Q(state=Job.State.RUNNING) & (Q(beat_at__isnull=True) | Q(beat_at__lt=at - STALE_AFTER))
    return Q(state=Job.State.QUEUED) | silent


def claimable(at: datetime, *, kinds: Collection[str], limit: int = 100) -> list[int]:
    """Ids of jobs of these kinds waiting for a worker, of all organizations, oldest first."""
    rows = Job.objects.filter(waiting(at), kind__in=kinds).order_by("requested_at", "id")
    return list(rows.values_list("id", flat=True)[:limit])
