"""Where usage comes from: one configured origin each."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from finops.orgs.models import Owned, never_deleted


class Source(Owned):
    """One origin of usage. Its slug is part of every charge's identity and never changes."""

    class Level(models.TextChoices):
        METERED = "metered", "Metered, per call"
        BILLED = "billed", "Billed, authoritative totals"

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)
    # A connector's name: `api`, `cloudevents`, `file`, `litellm`, …
    kind = models.CharField(max_length=40, default="api")
    level = models.CharField(max_length=8, choices=Level, default=Level.METERED)
    # A bucketed report restates itself: the same id with other content is a new revision, not a conflict.
    revises = models.BooleanField(default=False)
    last_received_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "slug"], name="source_slug_once")]
        triggers: ClassVar = [never_deleted("source")]

    def __str__(self) -> str:
        return self.name
