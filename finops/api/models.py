"""First answers, kept so that a repeated request gets them again (see `idempotency`)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class FirstAnswer(models.Model):
    """What an idempotency key was first answered with. This room knows no organizations, so there is no foreign key."""

    id = models.BigAutoField(primary_key=True)
    organization_id = models.IntegerField()
    # Who asked, so that two callers of one organization do not read each other's answers: `user:7`, `key:cap_ab12`.
    caller = models.CharField(max_length=120)
    key = models.CharField(max_length=200)
    # `POST /api/v1/teams`.
    operation = models.CharField(max_length=400)
    # SHA-256 of the body, hex.
    body_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "api_idempotency"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization_id", "caller", "key"], name="idempotency_key_once")
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="idempotency_oldest")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"
