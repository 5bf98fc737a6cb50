"""What could not be booked, kept whole; and what telemetry said before, which its next word is read by."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from django.db import models

from finops.orgs.models import Organization
from finops.sources.models import Source

# What its secrets are sealed for.
WEBHOOK: Final = "capstan.ingest.webhook.v1"


class QuarantinedRecord(models.Model):
    """One record with the reason it could not be booked. Nothing a source sent is lost."""

    class State(models.TextChoices):
        HELD = "held", "Held"
        BOOKED = "booked", "Booked after replay"
        DISCARDED = "discarded", "Discarded"

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    # BLAKE2b of the raw record: sending the same bad record again adds nothing.
    digest = models.BinaryField(max_length=16)
    external_id = models.CharField(max_length=300, blank=True)
    # A stable code (`ingest.time_out_of_range`), the field's path, and a sentence.
    code = models.CharField(max_length=80)
    field = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True)
    # As it came; bounded by the doors. Bytes, because it may be anything.
    raw = models.BinaryField()
    # Which parser reads it at replay: `capstan`, `cloudevents`, `file:<map>`.
    parser = models.CharField(max_length=40)
    # The prefix of the virtual key it came in with, whose defaults apply to it; '' where it came in without one.
    sent_with = models.CharField(max_length=16, blank=True)
    received_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.HELD)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-received_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "source", "digest"], name="quarantine_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["organization", "state", "-received_at", "-id"], name="quarantine_newest")
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.external_id}"


class MetricSeries(models.Model):
    """What a cumulative sum was when it was last told: what it grew by since is usage. Kept in the transaction that
    charges it.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    # Of its metric, resource, scope, attributes and of when it began: one that begins anew is another series.
    digest = models.BinaryField(max_length=16)
    # The sender's time of the last point, in nanoseconds since 1970; 0 until there is one.
    told = models.BigIntegerField()
    # As exact as any number that is read: see `connectors.otlp.types.number`.
    value = models.DecimalField(max_digits=80, decimal_places=48)
    calls = models.DecimalField(max_digits=20, decimal_places=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "source", "digest"], name="metric_series_once")
        ]
        indexes: ClassVar = [models.Index(fields=["told"], name="metric_series_silent")]

    def __str__(self) -> str:
        return f"series {bytes(self.digest).hex()}"


class SignedWebhook(models.Model):
    """An address for a sender that signs what it sends and can send no key: who knows the secret is the source."""

    SEALED: ClassVar = {"sealed": WEBHOOK}

    class Sender(models.TextChoices):
        HELICONE = "helicone", "Helicone"

    # Part of the address; it names the source and proves nothing.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.OneToOneField(Source, on_delete=models.PROTECT, related_name="webhook")
    sender = models.CharField(max_length=20, choices=Sender)
    # What the sender signs with, sealed (`services.webhooks`).
    sealed = models.BinaryField()
    set_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"webhook of source {self.source_id}"


class Teller(models.Model):
    """A tool or service whose calls were told one by one in a source. Its metrics of tokens say the same again and are
    not charged there.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    # `claude_code`, `codex`, `gemini_cli`; `gen_ai:<service>`, and `gen_ai:` for all services there are.
    name = models.CharField(max_length=100)
    first_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "source", "name"], name="teller_once")]

    def __str__(self) -> str:
        return self.name


class SourceDay(models.Model):
    """What a source sent on a UTC day, and what became of it; not of what is fetched, which its feed says."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    day = models.DateField()
    records = models.BigIntegerField(default=0)
    charged = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    revised = models.BigIntegerField(default=0)
    # Calls that another source had told already.
    sighted = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    # Of what was charged: seconds from when it happened to when it came, in all and at most.
    late_s = models.BigIntegerField(default=0)
    latest_s = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "day"], name="source_day_once")]

    def __str__(self) -> str:
        return f"{self.records} of source {self.source_id} on {self.day}"


class RefusedBody(models.Model):
    """Bodies that a door refused whole, of which nothing could be kept but why: by source and code."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    code = models.CharField(max_length=80)
    # What the sender was told the last time.
    message = models.CharField(max_length=300, blank=True)
    times = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "code"], name="refused_body_once")]

    def __str__(self) -> str:
        return f"{self.code} {self.times} times"
