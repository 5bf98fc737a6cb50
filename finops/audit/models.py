"""The audit trail: who did what, when. Append-only, and free of foreign keys so that history never blocks a delete."""

from __future__ import annotations

from typing import ClassVar

import pgtrigger
from django.db import models


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
