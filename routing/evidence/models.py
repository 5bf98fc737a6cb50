"""How well models did, as somebody said it: who measured, with what, and each outcome."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from finops.core.money import LEDGER_PLACES
from finops.orgs.models import Organization
from routing.evidence import rules
from routing.evidence.types import Kind, Order, Status


class Evaluation(models.Model):
    """A run of items and models by one evaluator; or, where it is `standing`, a source that outcomes of calls come from
    for as long as there are any. Withdrawn it is kept, and is no evidence any more.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    name = models.CharField(max_length=rules.LONGEST_NAME)
    kind = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Kind])
    standing = models.BooleanField()
    evaluator = models.CharField(max_length=rules.LONGEST_WORD)
    evaluator_version = models.CharField(max_length=rules.LONGEST_WORD, blank=True)
    judge_model = models.CharField(max_length=rules.LONGEST_NAME, blank=True)
    margin = models.DecimalField(max_digits=5, decimal_places=rules.MARGIN_PLACES, null=True)
    randomised = models.BooleanField()
    # What it has so far, counted as it comes.
    outcome_count = models.BigIntegerField(default=0)
    model_names = ArrayField(models.CharField(max_length=rules.LONGEST_NAME), default=list)
    task_types = ArrayField(models.CharField(max_length=rules.LONGEST_NAME), default=list)
    created_by = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.CharField(max_length=120, blank=True)
    withdrawn_because = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "-id"], name="evaluation_newest")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "kind", "name"], name="evaluation_once"),
            # What outcomes refer to.
            models.UniqueConstraint(fields=["organization", "id"], name="evaluation_of_organization"),
            models.CheckConstraint(name="evaluation_kind", condition=Q(kind__in=[one.value for one in Kind])),
            models.CheckConstraint(
                name="evaluation_margin",
                condition=Q(margin__isnull=True) | Q(margin__range=(rules.LEAST_MARGIN, rules.MOST_MARGIN)),
            ),
            models.CheckConstraint(name="evaluation_counted", condition=Q(outcome_count__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Outcome(models.Model):
    """One model on one item. Never changed: something else said of the same is a conflict."""

    id = models.BigAutoField(primary_key=True)
    # One composite foreign key (0002) instead of two: it is of an evaluation of that organization.
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    evaluation = models.ForeignKey(Evaluation, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    task_type = models.CharField(max_length=rules.LONGEST_NAME)
    item = models.CharField(max_length=rules.LONGEST_NAME)
    fingerprint = models.CharField(max_length=rules.LONGEST_FINGERPRINT, blank=True)
    cluster = models.CharField(max_length=rules.LONGEST_NAME, blank=True)
    model = models.CharField(max_length=rules.LONGEST_NAME)
    provider = models.CharField(max_length=rules.LONGEST_NAME, blank=True)
    score = models.FloatField()
    cost = models.DecimalField(max_digits=24, decimal_places=LEDGER_PLACES, null=True)
    latency_s = models.FloatField(null=True)
    status = models.CharField(max_length=9, choices=[(one.value, one.value) for one in Status])
    order_shown = models.CharField(max_length=2, blank=True, choices=[(one.value, one.value) for one in Order])
    human_score = models.FloatField(null=True)
    # Which model did it was drawn: by a run in which all do the same, or with this chance.
    randomised = models.BooleanField()
    propensity = models.FloatField(null=True)
    # What the score was made of, where it was made of signals.
    signals = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    # `rules.content_of`.
    content = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "task_type", "model"], name="outcome_by_type"),
            models.Index(fields=["organization", "-id"], name="outcome_newest"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["evaluation", "item", "model", "order_shown"], name="outcome_once"),
            models.CheckConstraint(name="outcome_score", condition=Q(score__gte=0, score__lte=1)),
            models.CheckConstraint(
                name="outcome_human", condition=Q(human_score__isnull=True) | Q(human_score__gte=0, human_score__lte=1)
            ),
            models.CheckConstraint(name="outcome_cost", condition=Q(cost__isnull=True) | Q(cost__gte=0)),
            models.CheckConstraint(name="outcome_latency", condition=Q(latency_s__isnull=True) | Q(latency_s__gte=0)),
            models.CheckConstraint(
                name="outcome_propensity",
                condition=Q(propensity__isnull=True) | Q(propensity__gt=0, propensity__lte=1, randomised=True),
            ),
            models.CheckConstraint(name="outcome_status", condition=Q(status__in=[one.value for one in Status])),
        ]

    def __str__(self) -> str:
        return f"{self.model} on {self.item}"


class TypeVersion(models.Model):
    """Says what changed: each change of what is known of a task type, in one organization, makes its version larger."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    task_type = models.CharField(max_length=rules.LONGEST_NAME)
    version = models.BigIntegerField()
    # Those that are not withdrawn.
    outcomes = models.BigIntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "task_type"], name="type_version_once"),
            models.CheckConstraint(name="type_version_counted", condition=Q(outcomes__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.task_type} at {self.version}"
