"""Recommendations, and what was worked out for them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from finops.core.money import LEDGER_PLACES
from finops.orgs.models import Organization
from routing.recommend import rules
from routing.recommend.types import Kind, State, Verdict


class Recommendation(models.Model):
    """What is advised, and what became of it. Kept for ever: an open one is renewed in place while it says the same
    thing with other numbers, and everything else is a row of its own.
    """

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Kind])
    # '' where it is about several, or about none.
    task_type = models.CharField(max_length=rules.LONGEST_NAME, blank=True)
    incumbent = models.CharField(max_length=rules.LONGEST_NAME)
    candidate = models.CharField(max_length=rules.LONGEST_NAME, blank=True)
    state = models.CharField(max_length=9, choices=[(one.value, one.value) for one in State])
    verdict = models.CharField(max_length=12, choices=[(one.value, one.value) for one in Verdict])
    pairs = models.IntegerField()
    # A month's, of `currency`, the reporting currency; and the same in millionths, which lists are ordered by.
    saving = models.DecimalField(max_digits=24, decimal_places=LEDGER_PLACES)
    saving_millionths = models.BigIntegerField()
    currency = models.CharField(max_length=3, blank=True)
    # `types.Advice`, as plain values.
    document = models.JSONField()
    basis = models.CharField(max_length=32)
    evidence_version = models.BigIntegerField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # Who applied or dismissed it, when, and why; of a withdrawn one why it was.
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=rules.LONGEST_REASON, blank=True)
    # The rule that was made of it.
    rule_id = models.IntegerField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "-saving_millionths", "id"], name="recommendation_largest"),
            models.Index(fields=["organization", "state", "task_type"], name="recommendation_by_state"),
            models.Index(fields=["expires_at"], name="recommendation_expiry", condition=Q(state=State.OPEN.value)),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "kind", "task_type", "incumbent", "candidate"],
                name="recommendation_open_once",
                condition=Q(state=State.OPEN.value),
            ),
            models.CheckConstraint(name="recommendation_kind", condition=Q(kind__in=[one.value for one in Kind])),
            models.CheckConstraint(name="recommendation_state", condition=Q(state__in=[one.value for one in State])),
            models.CheckConstraint(
                name="recommendation_verdict", condition=Q(verdict__in=[one.value for one in Verdict])
            ),
            models.CheckConstraint(name="recommendation_pairs", condition=Q(pairs__gte=0)),
            models.CheckConstraint(name="recommendation_expires", condition=Q(expires_at__gt=F("created_at"))),
            models.CheckConstraint(
                name="recommendation_applied",
                condition=Q(state=State.APPLIED.value, rule_id__isnull=False)
                | (~Q(state=State.APPLIED.value) & Q(rule_id__isnull=True)),
            ),
            # What is closed says when, and what was dismissed or withdrawn says why.
            models.CheckConstraint(
                name="recommendation_decided",
                condition=Q(state=State.OPEN.value, decided_at__isnull=True)
                | (~Q(state=State.OPEN.value) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="recommendation_reason",
                condition=~Q(state__in=[State.DISMISSED.value, State.WITHDRAWN.value]) | ~Q(reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.task_type or self.incumbent}"


class Examination(models.Model):
    """What was worked out of one task type, so that it is worked out again only when its evidence changes; and of the
    rules over several types of one incumbent, whether there is one.
    """

    class Subject(models.TextChoices):
        TASK_TYPE = "task_type", "Task type"
        ROUTE = "route", "Route"

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    subject = models.CharField(max_length=9, choices=Subject)
    # The task type, or the incumbent.
    name = models.CharField(max_length=rules.LONGEST_NAME)
    # What it stands on.
    stamp = models.CharField(max_length=64)
    # `types.Examined`, or `types.Advice`; null where nothing follows.
    document = models.JSONField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "subject", "name"], name="examination_once")
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.name}"


class Computed(models.Model):
    """When an organization's recommendations were last worked out."""

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"recommendations of {self.organization_id}"
