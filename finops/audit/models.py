"""The audit trail: who did what, when; and signals, by which rooms tell of something that somebody may want to hear.

The trail is append-only, and both are free of foreign keys so that history never blocks a delete.
"""

from __future__ import annotations

from typing import ClassVar

import pgtrigger
from django.db import models
from django.db.models.functions import Now


class AuditEvent(models.Model):
    id = models.BigAutoField(primary_key=True)
    organization_id = models.IntegerField()
    at = models.DateTimeField()
    # Who: `user:7`, `key:cap_ab12`, `system:rerate`.
    actor = models.CharField(max_length=120)
    actor_label = models.CharField(max_length=200, blank=True)
    # What: `key.revoked`; stable, quoted by docs and tests.
    verb = models.CharField(max_length=80)
    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=80)
    subject_label = models.CharField(max_length=200, blank=True)
    # Before and after, without secrets.
    details = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["organization_id", "-at", "-id"], name="audit_newest"),
            models.Index(fields=["organization_id", "subject_kind", "subject_id"], name="audit_subject"),
        ]
        triggers: ClassVar = [
            pgtrigger.Protect(name="audit_append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.subject_kind}:{self.subject_id}"


class Signal(models.Model):
    """Something happened that somebody may want to hear of. Rooms below announce, and alerts consume in order of `id`.

    Processes without Django insert rows too, so what is optional has its default in the database.
    """

    id = models.BigAutoField(primary_key=True)
    organization_id = models.IntegerField()
    # What: `breaker.tripped`; stable, rules of alerts name it.
    kind = models.CharField(max_length=80)
    # What it is about, e.g. `session:8f3a`: signals of one kind and key are one incident while it is open.
    key = models.CharField(max_length=300)
    # For people, without secrets and without anybody's name: ids and amounts.
    details = models.JSONField(db_default={})
    at = models.DateTimeField(db_default=Now())
    handled_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], name="audit_signal_waiting", condition=models.Q(handled_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
