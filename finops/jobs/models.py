"""Long work with progress, that can be stopped and resumed: re-rating, re-attribution, imports, rebuilds."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization


class Job(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        STOPPED = "stopped", "Stopped"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    # `rerate`, `reattribute`, `allocate`, `replay`, `rebuild`, `import`, `train`, `experiment`, `backfill`,
    # `cover`, `seats`.
    kind = models.CharField(max_length=20)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    # What to do: periods, filters, a file's digest. Enough to resume from.
    parameters = models.JSONField(default=dict)
    # Where it is: an opaque cursor of the kind's own.
    cursor = models.JSONField(default=dict)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, blank=True)
    # What came of it: counts and amounts, as text.
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    requested_by = models.CharField(max_length=120)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    # Renewed by whoever works on it; a job whose beat stopped may be taken by another worker.
    beat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    stop_requested = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["-requested_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="job_done_in_bounds",
                condition=Q(done__gte=0) & (Q(total__isnull=True) | Q(total__gte=F("done"))),
            )
        ]
        indexes: ClassVar = [models.Index(fields=["organization", "-requested_at", "-id"], name="job_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.state}"
