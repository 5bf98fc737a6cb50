"""How charges are kept. The tables are made by sql/0001_ledger.sql (Django cannot declare partitions); these mirror
the few that are read or guarded through the ORM. Posting and reading speak SQL: see services/ and selectors/.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Term(models.Model):
    """A word of a dimension (a model, a provider, a tag's value), interned so that rows carry four bytes.

    Only ever grows: ids are cached by every process.
    """

    id = models.AutoField(primary_key=True)
    organization_id = models.IntegerField()
    # A word dimension's name, `model_raw`, or a tag slot.
    kind = models.CharField(max_length=20)
    value = models.TextField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization_id", "kind", "value"], name="term_once")]

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class Interned(models.Model):
    """A distinct piece of evidence many charges share: what a source said of the owner, or why we decided as we did."""

    id = models.AutoField(primary_key=True)
    organization_id = models.IntegerField()
    # `origin` (what the source said) or `trace` (the steps of attribution).
    kind = models.CharField(max_length=8)
    digest = models.BinaryField()
    body = models.JSONField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization_id", "kind", "digest"], name="interned_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
