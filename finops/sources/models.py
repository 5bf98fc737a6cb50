"""Where usage comes from: one configured origin each."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from django.db import models

from finops.orgs.models import Organization, Owned, never_deleted

# What its secrets are sealed for.
ACCESS: Final = "capstan.sources.access.v1"


class Source(Owned):
    """One origin of usage. Its slug is part of every charge's identity and never changes."""

    class Level(models.TextChoices):
        METERED = "metered", "Metered, per call"
        BILLED = "billed", "Billed, authoritative totals"

    class States(models.TextChoices):
        """What its rows are, where they are no charges: statements that charges are compared with."""

        USAGE = "usage", "What was used in a time"
        MONEY = "money", "What a time cost"

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)
    # A connector's name: `api`, `cloudevents`, `file`, `litellm`, …
    kind = models.CharField(max_length=40, default="api")
    level = models.CharField(max_length=8, choices=Level, default=Level.METERED)
    # A bucketed report restates itself: the same id with other content is a new revision, not a conflict.
    revises = models.BooleanField(default=False)
    # '' where its rows are charges.
    states = models.CharField(max_length=5, choices=States, blank=True, default="", db_default="")
    last_received_at = models.DateTimeField(null=True, blank=True)
    # Since when what it sends is kept and not booked.
    paused_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "slug"], name="source_slug_once")]
        triggers: ClassVar = [never_deleted("source")]

    def __str__(self) -> str:
        return self.name


class SourceAccess(models.Model):
    """How Capstan reaches the administration of a source: to block keys there, and to give them back."""

    SEALED: ClassVar = {"sealed": ACCESS}

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.OneToOneField(Source, on_delete=models.PROTECT, related_name="access")
    # A name of `connectors.enforcement.CONNECTORS`.
    connector = models.CharField(max_length=40)
    address = models.CharField(max_length=300)
    # The credential, sealed (`services.set_access`).
    sealed = models.BinaryField()
    # How late usage is told, and how long calls go on after a block.
    reporting_delay = models.DurationField()
    takes_effect = models.DurationField()
    set_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="source_access_durations",
                condition=models.Q(reporting_delay__gt=timedelta(0), takes_effect__gte=timedelta(0)),
            ),
        ]

    def __str__(self) -> str:
        return f"access to source {self.source_id}"
