"""Rules under way: what was seen of each, and what it saved."""

from __future__ import annotations

from typing import Any, ClassVar

import pgtrigger
from django.db import models
from django.db.models import Q

from finops.core.money import LEDGER_PLACES
from finops.orgs.models import Organization
from routing.rollouts import rules
from routing.rollouts.types import UNDER_WAY, Means, State
from routing.rules.models import RoutingRule


class Rollout(models.Model):
    """A course: one version of a rule, from when it was begun until it is rolled back or says something else."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    rule = models.ForeignKey(RoutingRule, on_delete=models.PROTECT, db_index=False)
    # The version's number.
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=11, choices=[(one.value, one.value) for one in State])
    # Calls from here on are of this course.
    since = models.DateTimeField()
    started_at = models.DateTimeField()
    # When the rule came to the step that it is at, as far as the course knows of it, and which that is.
    stepped_at = models.DateTimeField()
    stage = models.CharField(max_length=11)
    share = models.FloatField()
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # In words, why it is in the state that it is in.
    why = models.CharField(max_length=rules.LONGEST_WHY, blank=True)
    # `rules.Course`: what is known of the incumbent, and what was noticed so far.
    seen = models.JSONField()
    # Sessions that were scored: treated ones, all of them and since the last step; and those that stayed.
    treated_scored = models.IntegerField(default=0)
    scored_here = models.IntegerField(default=0)
    stayed_scored = models.IntegerField(default=0)
    # Outcomes up to here were read, and none of those will come later.
    last_outcome_id = models.BigIntegerField(default=0)
    # How it goes on: by itself, after so many scored sessions and so much time at each step.
    by_itself = models.BooleanField(default=True)
    least_scored = models.PositiveIntegerField(default=rules.LEAST_SCORED)
    least_minutes = models.PositiveIntegerField(default=rules.LEAST_MINUTES)
    changed_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "rule", "-id"], name="rollout_of_rule"),
            models.Index(fields=["organization", "-id"], name="rollout_newest"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["rule"], name="rollout_under_way_once", condition=Q(state__in=[one.value for one in UNDER_WAY])
            ),
            models.CheckConstraint(name="rollout_state", condition=Q(state__in=[one.value for one in State])),
            models.CheckConstraint(
                name="rollout_paused", condition=~Q(state=State.PAUSED.value) | Q(paused_at__isnull=False)
            ),
            # What is over says since when.
            models.CheckConstraint(
                name="rollout_ended",
                condition=Q(state__in=[one.value for one in UNDER_WAY], ended_at__isnull=True)
                | (~Q(state__in=[one.value for one in UNDER_WAY]) & Q(ended_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="rollout_pace",
                condition=Q(least_scored__lte=rules.MOST_SCORED, least_minutes__lte=rules.MOST_MINUTES),
            ),
        ]

    def __str__(self) -> str:
        return f"rollout {self.id} of rule {self.rule_id}"


class ScoredSession(models.Model):
    """A session whose scores were taken, by a digest of its name: each counts once, by what was heard of it first."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, db_index=False)
    session = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["at"], name="scored_session_oldest")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["rollout", "session"], name="scored_session_once")]

    def __str__(self) -> str:
        return f"session of rollout {self.rollout_id}"


class SavingsDay(models.Model):
    """What a day's calls of a rule come to; by UTC. Decisions are forgotten after a month, and these stay."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    rule = models.ForeignKey(RoutingRule, on_delete=models.PROTECT, db_index=False)
    day = models.DateField()
    # `types.Sums`, costs as text.
    sums = models.JSONField()
    currency = models.CharField(max_length=3)
    measured_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "rule", "day"], name="savings_day_once")
        ]

    def __str__(self) -> str:
        return f"savings of rule {self.rule_id} on {self.day}"


def _amount(*, null: bool = False) -> models.DecimalField[Any, Any]:
    return models.DecimalField(max_digits=24, decimal_places=LEDGER_PLACES, null=null)


class SavingsMonth(models.Model):
    """What a rule saved in a month; `types.Verified`. Amounts are of `currency`, the reporting currency. Once the month
    is closed the row says for good what was said then: the database refuses to change it.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    rule = models.ForeignKey(RoutingRule, on_delete=models.PROTECT, db_index=False)
    # Its first day.
    month = models.DateField()
    currency = models.CharField(max_length=3)
    # Calls and sessions that were charged: those that were treated, and those that were drawn to stay.
    treated_calls = models.BigIntegerField()
    treated_sessions = models.BigIntegerField()
    stayed_calls = models.BigIntegerField()
    stayed_sessions = models.BigIntegerField()
    treated_cost = _amount()
    # Of that, tries that another one had to answer.
    failed_cost = _amount()
    # Charges that a tag says were made for the rule: judges, checkers, shadows.
    beside_cost = _amount()
    expected_cost = _amount(null=True)
    saved = _amount(null=True)
    saved_lower = _amount(null=True)
    saved_upper = _amount(null=True)
    net = _amount(null=True)
    net_lower = _amount(null=True)
    net_upper = _amount(null=True)
    by = models.CharField(max_length=6, blank=True, choices=[(one.value, one.value) for one in Means])
    why = models.CharField(max_length=rules.LONGEST_WHY, blank=True)
    measured_at = models.DateTimeField()
    # When the month was over and what is booked late had had its time; null before.
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "month", "rule"], name="savings_month_once"),
            models.CheckConstraint(name="savings_month_first", condition=Q(month__day=1)),
            # It is verified, or says why not.
            models.CheckConstraint(
                name="savings_month_verified",
                condition=(Q(saved__isnull=False, net__isnull=False) & ~Q(by=""))
                | (Q(saved__isnull=True, net__isnull=True, by="") & ~Q(why="")),
            ),
        ]
        triggers: ClassVar = [
            pgtrigger.Protect(
                name="savings_closed",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__closed_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"savings of rule {self.rule_id} in {self.month:%Y-%m}"
