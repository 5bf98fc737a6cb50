"""Experiments, and of which calls each was made. No text of a call is here."""

from __future__ import annotations

from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from finops.core.money import LEDGER_PLACES
from finops.orgs.models import Organization
from routing.evidence.rules import LEAST_MARGIN, MARGIN_PLACES, MOST_MARGIN
from routing.experiments import rules
from routing.experiments.types import ItemState, Mode, Scoring, State

# What its key's secret is sealed for, for each organization.
KEY: Final = "capstan.experiments.key.v1.{}"


class Experiment(models.Model):
    """What is measured, how far it is, and what it may cost. What it found is evidence: an evaluation."""

    SEALED: ClassVar = {"sealed": KEY}

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    mode = models.CharField(max_length=6, choices=[(one.value, one.value) for one in Mode])
    task_type = models.CharField(max_length=rules.LONGEST_NAME)
    # 0 is any.
    project_id = models.IntegerField(default=0)
    incumbent = models.CharField(max_length=rules.LONGEST_NAME)
    candidates = ArrayField(models.CharField(max_length=rules.LONGEST_NAME))
    tasks = models.IntegerField()
    margin = models.DecimalField(max_digits=5, decimal_places=MARGIN_PLACES)
    scoring = models.CharField(max_length=5, choices=[(one.value, one.value) for one in Scoring])
    # `rules.types.Gate`, as plain values.
    gate = models.JSONField(null=True)
    judge = models.CharField(max_length=rules.LONGEST_NAME, blank=True)
    question = models.CharField(max_length=rules.LONGEST_QUESTION, blank=True)
    # `rules.way_of_scoring`.
    way = models.CharField(max_length=16)
    share = models.DecimalField(max_digits=4, decimal_places=rules.SHARE_PLACES)
    most_cost = models.DecimalField(max_digits=24, decimal_places=LEDGER_PLACES)
    state = models.CharField(max_length=7, choices=[(one.value, one.value) for one in State])
    # A code of `rules.WHY`, and it in words.
    code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=rules.LONGEST_REASON, blank=True)
    # Of what it was made, where it was made of a recommendation.
    recommendation_id = models.IntegerField(null=True)
    # Its own, from its start on. The key's secret is sealed, and gone with its end.
    key_id = models.IntegerField(null=True)
    sealed = models.BinaryField(default=b"")
    budget_id = models.IntegerField(null=True)
    job_id = models.BigIntegerField(null=True)
    # Nobody works on it before. Once it has ended: its budget is still to be put away.
    look_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "-id"], name="experiment_newest"),
            models.Index(
                fields=["ended_at"],
                name="experiment_to_put_away",
                condition=Q(ended_at__isnull=False, look_at__isnull=False),
            ),
        ]
        constraints: ClassVar = [
            # What items refer to.
            models.UniqueConstraint(fields=["organization", "id"], name="experiment_of_organization"),
            models.CheckConstraint(name="experiment_mode", condition=Q(mode__in=[one.value for one in Mode])),
            models.CheckConstraint(name="experiment_scoring", condition=Q(scoring__in=[one.value for one in Scoring])),
            models.CheckConstraint(name="experiment_state", condition=Q(state__in=[one.value for one in State])),
            models.CheckConstraint(name="experiment_tasks", condition=Q(tasks__range=(1, rules.MOST_TASKS))),
            models.CheckConstraint(name="experiment_margin", condition=Q(margin__range=(LEAST_MARGIN, MOST_MARGIN))),
            models.CheckConstraint(name="experiment_share", condition=Q(share__range=(rules.LEAST_SHARE, 1))),
            models.CheckConstraint(name="experiment_cost", condition=Q(most_cost__gt=0)),
            # Nothing of it runs without a key and a cap of its own, and no secret outlives it.
            models.CheckConstraint(
                name="experiment_capped",
                condition=~Q(state__in=[State.RUNNING.value, State.PAUSED.value, State.STOPPED.value])
                | (Q(key_id__isnull=False, budget_id__isnull=False, job_id__isnull=False) & ~Q(sealed=b"")),
            ),
            models.CheckConstraint(
                name="experiment_ended",
                condition=Q(state__in=[State.DONE.value, State.FAILED.value], ended_at__isnull=False, sealed=b"")
                | (~Q(state__in=[State.DONE.value, State.FAILED.value]) & Q(ended_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"experiment {self.id} of {self.task_type}"


class Item(models.Model):
    """One captured call in one experiment: begun once, whatever happens. Its scores are outcomes of evidence."""

    id = models.BigAutoField(primary_key=True)
    # One composite foreign key (0002) instead of two: it is of an experiment of that organization.
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    call_id = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=[(one.value, one.value) for one in ItemState])
    # Why nothing, or not all, came of it.
    code = models.CharField(max_length=60, blank=True)
    # Of what was asked: the same again would count twice.
    fingerprint = models.CharField(max_length=32, blank=True)
    # What was paid for it: all its calls, and those of them that judged; of the reporting currency.
    spent = models.DecimalField(max_digits=24, decimal_places=LEDGER_PLACES, default=0)
    judged = models.DecimalField(max_digits=24, decimal_places=LEDGER_PLACES, default=0)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["experiment", "state"], name="experiment_item_state"),
            models.Index(fields=["organization", "call_id"], name="experiment_item_call"),
            models.Index(
                fields=["organization", "fingerprint"], name="experiment_item_content", condition=~Q(fingerprint="")
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["experiment", "call_id"], name="experiment_item_once"),
            models.UniqueConstraint(
                fields=["experiment", "fingerprint"], name="experiment_content_once", condition=~Q(fingerprint="")
            ),
            models.CheckConstraint(name="experiment_item_of", condition=Q(state__in=[one.value for one in ItemState])),
            models.CheckConstraint(
                name="experiment_item_paid", condition=Q(spent__gte=0, judged__gte=0, judged__lte=models.F("spent"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.call_id} in experiment {self.experiment_id}"
