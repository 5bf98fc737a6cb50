"""What providers state of a time: what was used in it, and what it cost."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from finops.orgs.models import Organization
from finops.sources.models import Source


class Statement(models.Model):
    """One row of a report, as it was told last. It is no charge: charges are measured by it."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    external_id = models.CharField(max_length=300)
    # The UTC day that its time begins in.
    day = models.DateField()
    # As the report says it.
    provider = models.CharField(max_length=300)
    # What read it, so that two reports of one form are known; and the account at the provider, '' where it names none.
    parser = models.CharField(max_length=40, blank=True, default="", db_default="")
    account = models.CharField(max_length=300, blank=True, default="", db_default="")
    content_hash = models.BinaryField(max_length=16)
    # A `connectors.types.UsageEvent` in MessagePack.
    event = models.BinaryField()
    # How often it was told otherwise since.
    revision = models.IntegerField(default=0)
    received_at = models.DateTimeField()
    # When it came to say what it says.
    told_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "source", "external_id"], name="statement_once")
        ]
        indexes: ClassVar = [models.Index(fields=["organization", "day", "provider"], name="statement_day")]

    def __str__(self) -> str:
        return f"{self.provider} {self.day} {self.external_id}"
