"""Accounts at providers that were connected, and how far each of their feeds was read."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization
from finops.sources.models import Source

# What its secrets are sealed for.
CREDENTIAL: Final = "capstan.polling.credential.v1"


class ConnectedAccount(models.Model):
    """A credential at a provider, by which its feeds are read."""

    SEALED: ClassVar = {"sealed": CREDENTIAL}

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    # A name of `connectors.feeds.ACCOUNTS`.
    account = models.CharField(max_length=40)
    label = models.CharField(max_length=200)
    address = models.CharField(max_length=300)
    # The credential, sealed (`services.connecting`); empty once it is forgotten.
    sealed = models.BinaryField()
    # What its feeds need besides: an organization's name, a price. No secrets.
    settings = models.JSONField(default=dict)
    connected_at = models.DateTimeField()
    connected_by = models.CharField(max_length=120)
    credential_set_at = models.DateTimeField()
    disconnected_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.label


class PolledFeed(models.Model):
    """One report of a connected account, how far it was read, and how it is doing. Its source is where its rows go."""

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        REFUSED = "refused", "Refused"
        LIMITED = "limited", "Limited"
        FAILING = "failing", "Failing"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    account = models.ForeignKey(ConnectedAccount, on_delete=models.PROTECT, related_name="feeds")
    source = models.OneToOneField(Source, on_delete=models.PROTECT, related_name="feed")
    # A name of `connectors.feeds.FEEDS`.
    name = models.CharField(max_length=60)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    # Everything from `begun_from` to `watermark` was read.
    begun_from = models.DateTimeField()
    watermark = models.DateTimeField()
    # While a round goes on: when it began, and up to where it has read; what is cut off goes on from there.
    round_at = models.DateTimeField(null=True, blank=True)
    reached = models.DateTimeField(null=True, blank=True)
    # How often the longest window was halved, because it was cut off.
    halved = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_at = models.DateTimeField()
    # Whose turn it is: '' and null for nobody's. A worker that fell silent loses it.
    lease = models.CharField(max_length=32, blank=True, default="", db_default="")
    leased_until = models.DateTimeField(null=True, blank=True)
    # In a row, with no whole window between; since when it is limited or failing; when somebody was told.
    failures = models.PositiveIntegerField(default=0, db_default=0)
    troubled_since = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    last_tried_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_code = models.CharField(max_length=80, blank=True, default="", db_default="")
    last_message = models.CharField(max_length=500, blank=True, default="", db_default="")
    # Of all that was ever read, with what is read again.
    rows = models.BigIntegerField(default=0, db_default=0)
    booked = models.BigIntegerField(default=0, db_default=0)
    revised = models.BigIntegerField(default=0, db_default=0)
    duplicates = models.BigIntegerField(default=0, db_default=0)
    held = models.BigIntegerField(default=0, db_default=0)
    # When what the newest row tells of happened.
    newest_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "name"], name="feed_once_an_account"),
            models.CheckConstraint(name="feed_read_from_to", condition=Q(begun_from__lte=F("watermark"))),
            models.CheckConstraint(
                name="feed_leased_or_not",
                condition=Q(lease="", leased_until__isnull=True) | (~Q(lease="") & Q(leased_until__isnull=False)),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_at", "id"], name="feed_due", condition=Q(state__in=("active", "limited", "failing"))
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.state}"
