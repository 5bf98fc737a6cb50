"""Rules of routing, version by version, and what became of calls by them."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import Q

from finops.orgs.models import Organization
from routing.rules import rules
from routing.rules.hot import Arm
from routing.rules.rollout import MOST_HELD_BACK, Stage, State

LONGEST_CALL: Final = 64
LONGEST_SESSION: Final = 300
LONGEST_SAID: Final = 500


class RulesVersion(models.Model):
    """Changes with any rule of an organization, so that it is published."""

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    token = models.UUIDField()

    def __str__(self) -> str:
        return f"rules of {self.organization_id}"


class Concentration(models.Model):
    """What makers of models have of an organization's spend of the last days, where a rule asks it
    (`concentration.shares_of`).
    """

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    shares = models.JSONField()
    # Those who have more than the rules allow, as was said last.
    over = models.JSONField(default=list, db_default=[])
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"makers of {self.organization_id}"


class RoutingRule(models.Model):
    """A rule, and how far it is in force. What it says is in its versions. It is retired, never deleted."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    name = models.CharField(max_length=rules.LONGEST_NAME)
    # Lower ones are asked first; among equals the older.
    position = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=[(one.value, one.value) for one in State])
    stage = models.CharField(max_length=11, choices=[(one.value, one.value) for one in Stage])
    # Of sessions: those that are treated, and those that never are.
    share = models.FloatField()
    held_back = models.FloatField()
    # What sessions are drawn by. It is the rule's first name, so that a rule draws alike wherever it is imported.
    salt = models.CharField(max_length=rules.LONGEST_NAME)
    stage_since = models.DateTimeField()
    # The one in force.
    version = models.ForeignKey("RuleVersion", null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "position", "id"], name="routing_rule_order")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="routing_rule_name_once", condition=~Q(state=State.RETIRED.value)
            ),
            models.CheckConstraint(name="routing_rule_name", condition=Q(name__regex=r"^[a-z0-9][a-z0-9_-]*$")),
            models.CheckConstraint(name="routing_rule_state", condition=Q(state__in=[one.value for one in State])),
            models.CheckConstraint(name="routing_rule_stage", condition=Q(stage__in=[one.value for one in Stage])),
            models.CheckConstraint(
                name="routing_rule_shares", condition=Q(share__range=(0, 1), held_back__range=(0, MOST_HELD_BACK))
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RuleVersion(models.Model):
    """What a rule says, or what somebody proposes that it should."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        IN_FORCE = "in_force", "In force"
        SUPERSEDED = "superseded", "Superseded"
        REFUSED = "refused", "Refused"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    rule = models.ForeignKey(RoutingRule, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    # `types.Rule`; its policy apart, for that may be large and lists do without it.
    document = models.JSONField()
    policy = models.JSONField(null=True)
    # Whether there is one.
    learned = models.BooleanField()
    # Of both, in bytes.
    size = models.PositiveIntegerField()
    # The same for people: in a sentence, and what is other than in the version that was in force.
    in_words = models.TextField()
    changes = models.JSONField(default=list)
    why = models.TextField()
    # `user:7`, `key:cap_ab12`, `system:…`
    said_by = models.CharField(max_length=120)
    at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State)
    # Of a proposal: who put it into force or refused it, and why.
    decided_by = models.CharField(max_length=120, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_why = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule", "number"], name="routing_version_once"),
            models.UniqueConstraint(
                fields=["rule"], name="routing_version_in_force_once", condition=Q(state="in_force")
            ),
            models.CheckConstraint(name="routing_version_number", condition=Q(number__gte=1)),
            models.CheckConstraint(name="routing_version_why", condition=~Q(why="")),
        ]

    def __str__(self) -> str:
        return f"version {self.number} of rule {self.rule_id}"


class Decision(models.Model):
    """What the rules did with one call; kept for `services.KEPT`. `store.store` writes it. Ids are 0 for none."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    call_id = models.CharField(max_length=LONGEST_CALL)
    at = models.DateTimeField()
    # 0 where only limits held.
    rule_id = models.IntegerField()
    rule_version = models.IntegerField()
    arm = models.CharField(max_length=9, blank=True)
    # How likely a call like this goes the way this one did.
    propensity = models.FloatField()
    # Models: asked for, chosen, and what the rule would have chosen where its arm did not.
    asked = models.CharField(max_length=rules.LONGEST_MODEL)
    chosen = models.CharField(max_length=rules.LONGEST_MODEL)
    would = models.CharField(max_length=rules.LONGEST_MODEL, blank=True)
    task_type = models.CharField(max_length=rules.LONGEST_TASK_TYPE, blank=True)
    # In the task type, where it was guessed.
    confidence = models.FloatField(null=True)
    session = models.CharField(max_length=LONGEST_SESSION, blank=True)
    team_id = models.IntegerField(default=0)
    project_id = models.IntegerField(default=0)
    agent_id = models.IntegerField(default=0)
    customer_id = models.IntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    why = models.CharField(max_length=LONGEST_SAID, blank=True)
    # How likely the light model fails it, and the chosen one does it well, as it was foreseen.
    difficulty = models.FloatField(null=True)
    chance = models.FloatField(null=True)
    # [[model, why not], …]
    passed_over = models.JSONField(default=list)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "-at", "-id"], name="decision_newest"),
            models.Index(fields=["organization", "rule_id", "-at", "-id"], name="decision_of_rule"),
            models.Index(fields=["at"], name="decision_oldest"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "call_id"], name="decision_once"),
            models.CheckConstraint(name="decision_propensity", condition=Q(propensity__gt=0, propensity__lte=1)),
            models.CheckConstraint(
                name="decision_foreseen",
                condition=(Q(difficulty__isnull=True) | Q(difficulty__range=(0, 1)))
                & (Q(chance__isnull=True) | Q(chance__range=(0, 1))),
            ),
            models.CheckConstraint(name="decision_arm", condition=Q(arm__in=["", *(one.value for one in Arm)])),
        ]

    def __str__(self) -> str:
        return f"decision of {self.call_id}"
