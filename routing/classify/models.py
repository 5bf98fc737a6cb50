"""Calls that somebody labelled, without their prompts; what was learned from them; and how it does since."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization
from routing.classify.rules import LONGEST_CALL_ID
from routing.classify.types import LONGEST_TASK_TYPE, Source


class LabelledCall(models.Model):
    """No text of a call is here: counts of hashed words, and hashes of what else is known."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    call_id = models.CharField(max_length=LONGEST_CALL_ID)
    task_type = models.CharField(max_length=LONGEST_TASK_TYPE)
    source = models.CharField(max_length=6, choices=[(one.value, one.value) for one in Source])
    # A digest; the call's own where it has no session.
    session = models.BinaryField(max_length=8)
    # As `packed` has them.
    words = models.BinaryField()
    marks = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "task_type", "-at", "-id"], name="labelled_by_type"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "call_id"], name="labelled_once"),
            models.CheckConstraint(name="labelled_with_a_type", condition=~Q(task_type="")),
        ]

    def __str__(self) -> str:
        return f"{self.call_id} is {self.task_type}"


class TrainedClassifier(models.Model):
    """One training: what is published of it, and how well it did on calls that it had not seen (`types.learned`)."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    version = models.IntegerField()
    # `types.wire.Classifier`.
    body = models.BinaryField()
    task_types = models.JSONField()
    left_out = models.JSONField(default=list)
    # Labelled calls that there were, and of these, those that figures are of.
    labelled = models.IntegerField()
    calls = models.IntegerField()
    named = models.IntegerField()
    right = models.IntegerField()
    # Shares: figures of statistics, not of money.
    least_right = models.FloatField()
    error = models.FloatField()
    threshold = models.FloatField()
    bins = models.JSONField()
    confused = models.JSONField()
    trained_at = models.DateTimeField()
    trained_by = models.CharField(max_length=120)
    is_in_force = models.BooleanField()
    drifting_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "version"], name="classifier_version"),
            models.UniqueConstraint(
                fields=["organization"], condition=Q(is_in_force=True), name="classifier_one_in_force"
            ),
            models.CheckConstraint(
                name="classifier_counts",
                condition=Q(right__gte=0, right__lte=F("named"), named__lte=F("calls"), calls__lte=F("labelled")),
            ),
        ]

    def __str__(self) -> str:
        return f"classifier {self.version} of {self.organization_id}"


class Watched(models.Model):
    """Of one week, calls that came with a label after a classifier was trained, against what it says of them."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    classifier = models.ForeignKey(TrainedClassifier, on_delete=models.CASCADE, related_name="watched")
    # Its Monday.
    week = models.DateField()
    calls = models.IntegerField(default=0)
    named = models.IntegerField(default=0)
    right = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["classifier", "week"], name="watched_week"),
            models.CheckConstraint(
                name="watched_counts", condition=Q(right__gte=0, right__lte=F("named"), named__lte=F("calls"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.right} of {self.named} in {self.week}"
