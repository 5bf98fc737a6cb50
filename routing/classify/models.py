"""Calls that somebody labelled, without their prompts; what was learned from them; and how it does since."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization
from routing.classify import rules
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


class SamplingSettings(models.Model):
    """One for each organization that ever said anything; without one it is `types.SAMPLING`. `store` reads it."""

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    # Changes with anything else here, so that it is published.
    token = models.UUIDField()
    is_on = models.BooleanField()
    most_a_day = models.IntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="sampling_a_day", condition=Q(most_a_day__range=(1, rules.MOST_A_DAY))),
        ]

    def __str__(self) -> str:
        return f"sampling of {self.organization_id}"


class SampledCall(models.Model):
    """Features of a call that passed a gateway: no text of it, as in `LabelledCall`. `store.store` writes it."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    call_id = models.CharField(max_length=LONGEST_CALL_ID)
    at = models.DateTimeField()
    # Of UTC. Of a day and a type those with the lowest draws are kept.
    day = models.DateField()
    # As somebody said it, and who; '' where nobody did.
    task_type = models.CharField(max_length=LONGEST_TASK_TYPE, blank=True)
    source = models.CharField(max_length=6, blank=True, choices=[(one.value, one.value) for one in Source])
    draw = models.BigIntegerField()
    session = models.BinaryField(max_length=8)
    words = models.BinaryField()
    marks = models.BinaryField()
    # What was foreseen of it, before anybody knew: a chance for each model, and which version said so; 0 for none.
    chances = models.JSONField(default=dict)
    foreseen_by = models.IntegerField(default=0)
    # Whether its label was taken, or it has none.
    is_taken = models.BooleanField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "day", "task_type", "draw"], name="sampled_lowest"),
            models.Index(fields=["organization", "-at", "-id"], name="sampled_newest"),
            models.Index(fields=["at", "id"], name="sampled_oldest"),
            models.Index(fields=["organization", "id"], name="sampled_untaken", condition=Q(is_taken=False)),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "call_id"], name="sampled_once"),
            models.CheckConstraint(
                name="sampled_said_by_somebody", condition=Q(task_type="", source="") | ~Q(task_type="") & ~Q(source="")
            ),
            models.CheckConstraint(name="sampled_untaken_has_a_type", condition=Q(is_taken=True) | ~Q(task_type="")),
        ]

    def __str__(self) -> str:
        return f"features of {self.call_id}"


class ConfusedDay(models.Model):
    """So many calls that came with this type on a day were guessed to be of that; '' is unknown."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    classifier = models.ForeignKey(TrainedClassifier, on_delete=models.CASCADE, related_name="confused_days")
    day = models.DateField()
    task_type = models.CharField(max_length=LONGEST_TASK_TYPE)
    guessed = models.CharField(max_length=LONGEST_TASK_TYPE, blank=True)
    number = models.IntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "day"], name="confused_of_days")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["classifier", "day", "task_type", "guessed"], name="confused_once"),
            models.CheckConstraint(name="confused_counted", condition=Q(number__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.task_type} taken for {self.guessed or 'unknown'}"
