"""Who is told of what (rules, channels), what there is to tell (incidents), and what was told (deliveries)."""

from __future__ import annotations

from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from finops.alerts.types import Event, Kind, Medium, Severity
from finops.orgs.models import Organization, Owned
from finops.sources.models import Source

# What its secrets are sealed for.
CHANNEL: Final = "capstan.alerts.sealed.v1"


def _choices(kind: type[Kind] | type[Medium] | type[Severity] | type[Event]) -> list[tuple[str, str]]:
    return [(one.value, one.value) for one in kind]


class Channel(Owned):
    """Where news goes. Never deleted: archived, so that what was delivered can be read."""

    SEALED: ClassVar = {"address": CHANNEL, "secret": CHANNEL}

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=9, choices=_choices(Medium))
    # Sealed (`sealing`): addresses hold people's names, or let whoever has them write there.
    address = models.BinaryField()
    # What signs a webhook, sealed; empty for other kinds.
    secret = models.BinaryField(default=b"")
    # What may be shown of the address.
    hint = models.CharField(max_length=200)
    timezone = models.CharField(max_length=60, default="UTC")
    quiet_from = models.TimeField(null=True)
    quiet_until = models.TimeField(null=True)
    # What is critical goes out in quiet hours too.
    critical_always = models.BooleanField(default=True)
    # How long a digest gathers, for rules that ask for one.
    digest_minutes = models.PositiveSmallIntegerField(default=60)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="alert_channel_quiet_hours",
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | (Q(quiet_from__isnull=False, quiet_until__isnull=False) & ~Q(quiet_from=F("quiet_until"))),
            ),
            models.CheckConstraint(name="alert_channel_digest", condition=Q(digest_minutes__range=(1, 1440))),
        ]

    def __str__(self) -> str:
        return self.name


class AlertRule(Owned):
    """What to listen for, and who is told. Every organization has its first rules from a trigger (sql/0001)."""

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=30, choices=_choices(Kind))
    params = models.JSONField(default=dict)
    channel_ids = ArrayField(models.IntegerField(), default=list)
    # All channels there are and will be.
    every_channel = models.BooleanField(default=False)
    # Gathered into the channel's next digest, not told at once.
    digest = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["organization", "kind"],
                name="alert_rule_in_force",
                condition=Q(enabled=True, archived_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Incident(models.Model):
    """Something that is so, or was. One open at a time of each organization, kind and key."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    # Where one rule alone is meant; else every rule of its kind.
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.PROTECT)
    kind = models.CharField(max_length=30, choices=_choices(Kind))
    key = models.CharField(max_length=300)
    severity = models.CharField(max_length=8, choices=_choices(Severity))
    # How bad it got, where that has steps: the percent of a threshold.
    step = models.IntegerField(default=0)
    # Whom it concerns: decides who sees it.
    budget_id = models.IntegerField(null=True)
    dimension = models.CharField(max_length=20, blank=True)
    subject = models.CharField(max_length=300, blank=True)
    # Ids and amounts; no person's name.
    details = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    escalated_at = models.DateTimeField(null=True)
    # It is over by itself then.
    ends_at = models.DateTimeField(null=True)
    count = models.IntegerField(default=1)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=120, blank=True)
    resolved_at = models.DateTimeField(null=True)
    # `user:7`, or `system:alerts` for by itself.
    resolved_by = models.CharField(max_length=120, blank=True)
    # Why it is over, for people.
    resolution = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "-id"], name="incident_newest"),
            models.Index(fields=["ends_at"], name="incident_ending", condition=Q(resolved_at__isnull=True)),
            # Thresholds that somebody said are over: not to be told again.
            models.Index(
                fields=["organization", "kind", "key"],
                name="incident_by_people",
                condition=~Q(resolved_by__in=["", "system:alerts"]),
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "kind", "key"], name="incident_open_once", condition=Q(resolved_at__isnull=True)
            ),
            models.CheckConstraint(
                name="incident_resolved_by",
                condition=Q(resolved_at__isnull=True, resolved_by="")
                | (Q(resolved_at__isnull=False) & ~Q(resolved_by="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Delivery(models.Model):
    """One piece of news on its way to one channel. What goes out in one message shares its `bundle`."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Being sent"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="deliveries")
    event = models.CharField(max_length=9, choices=_choices(Event))
    step = models.IntegerField(default=0)
    digest = models.BooleanField(default=False)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    # When it is due. While it is sent: when whoever sends it is taken for dead.
    next_try_at = models.DateTimeField()
    bundle = models.UUIDField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["channel", "next_try_at"], name="delivery_due", condition=Q(state__in=["waiting", "sending"])
            ),
            models.Index(fields=["organization", "-id"], name="delivery_newest"),
            models.Index(fields=["channel", "-id"], name="delivery_of_channel"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "channel", "event", "step"], name="delivery_once"),
            models.CheckConstraint(
                name="delivery_of_an_incident",
                condition=Q(event="test", incident__isnull=True) | (~Q(event="test") & Q(incident__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} of incident {self.incident_id} to channel {self.channel_id}"


class SourceRhythm(models.Model):
    """How a source usually comes: the longest silence of each of the last days, in seconds, `{"2026-11-20": 900}`."""

    source = models.OneToOneField(Source, primary_key=True, on_delete=models.PROTECT)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    arrivals = models.IntegerField(default=1)
    longest = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"rhythm of source {self.source_id}"
