"""Files and batches that were made through the gateway: whose they are, and what of them is still to be booked.

Gateways write these tables themselves, by the statements of `hot`.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from finops.orgs.models import Organization
from routing.batches import hot
from routing.upstreams.models import Upstream


class BatchFile(models.Model):
    """A file of requests, as it was uploaded. A provider's account is everybody's; this says whose the file is."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT)
    file_id = models.CharField(max_length=100)
    # What its requests are for: one endpoint, and the models they name.
    endpoint = models.CharField(max_length=40)
    model_names = ArrayField(models.CharField(max_length=300))
    requests = models.IntegerField()
    key_prefix = models.CharField(max_length=16)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "file_id"], name="batch_file_of")]
        constraints: ClassVar = [models.CheckConstraint(name="batch_file_requests", condition=Q(requests__gt=0))]

    def __str__(self) -> str:
        return self.file_id


class Batch(models.Model):
    """One batch, from before it was made at its upstream until all of its results are booked."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT)
    # Ours, in the batch's metadata and in the ids of its charges; and the provider's, '' until it is known.
    call_id = models.CharField(max_length=40, unique=True)
    batch_id = models.CharField(max_length=100, db_default="", blank=True)
    state = models.CharField(max_length=7, choices=[(one, one) for one in hot.STATES])
    endpoint = models.CharField(max_length=40)
    input_file_id = models.CharField(max_length=100)
    output_file_id = models.CharField(max_length=100, db_default="", blank=True)
    error_file_id = models.CharField(max_length=100, db_default="", blank=True)
    key_prefix = models.CharField(max_length=16)
    # Its calls as they will be charged, but for what each used (`hot.encode_event`); gone once they are.
    event = models.BinaryField()
    # As the provider said it last.
    said = models.BinaryField(db_default=b"")
    created_at = models.DateTimeField()
    # When it is looked at next; who looks moves it on, so that nobody else does.
    look_at = models.DateTimeField()
    failures = models.IntegerField(db_default=0)
    # When it ended at the provider, which is when its calls happened; and how many of them were answered.
    ended_at = models.DateTimeField(null=True)
    completed = models.IntegerField(db_default=0)
    booked_at = models.DateTimeField(null=True)
    # Why it could not be looked at last, or is lost.
    problem = models.CharField(max_length=300, db_default="", blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["look_at"], condition=Q(state__in=hot.DUE), name="batch_due"),
            models.Index(fields=["organization", "batch_id"], name="batch_of"),
            models.Index(fields=["organization", "output_file_id"], name="batch_output_of"),
            models.Index(fields=["organization", "error_file_id"], name="batch_errors_of"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "upstream", "batch_id"], condition=~Q(batch_id=""), name="batch_once"
            ),
            models.CheckConstraint(name="batch_state", condition=Q(state__in=hot.STATES)),
            models.CheckConstraint(
                name="batch_known_by_its_id",
                condition=Q(state__in=[hot.PENDING, hot.VOID, hot.LOST]) | ~Q(batch_id=""),
            ),
            models.CheckConstraint(
                name="batch_ended",
                condition=~Q(state__in=[hot.ENDED, hot.BOOKED]) | Q(ended_at__isnull=False),
            ),
            models.CheckConstraint(
                name="batch_booked",
                condition=(Q(state=hot.BOOKED) & Q(booked_at__isnull=False))
                | (~Q(state=hot.BOOKED) & Q(booked_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return self.batch_id or self.call_id
