"""Rules of ownership and of sharing costs, version by version, and the tag keys that have a slot of their own.

A version is never changed or deleted: what decided a charge stays readable. The database keeps the history of the rest.
"""

from __future__ import annotations

from typing import ClassVar

import pghistory
import pgtrigger
from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization, Owned, never_deleted

MAX_SLOTS = 10


def _append_only(name: str) -> pgtrigger.Protect:
    return pgtrigger.Protect(name=f"{name}_append_only", operation=pgtrigger.Update | pgtrigger.Delete)


class AttributionStamp(models.Model):
    """Which state an organization's owners, keys, identities, sources and rules are in.

    Triggers on those tables set a new random value in the transaction that changes them, so that a process knows from
    one row whether the snapshot it holds is still true. Random and not counted: a value that was rolled back must
    never come again with another meaning.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="attribution_stamp"
    )
    value = models.UUIDField()

    def __str__(self) -> str:
        return str(self.value)


@pghistory.track()
class AttributionRule(Owned):
    """One rule in the organization's order. What it says is in its versions; it is retired, never deleted."""

    name = models.CharField(max_length=200)
    # 1 is asked first; retired ones have theirs, for past calls. Unique, checked at the end of the transaction so that
    # rules can change places.
    position = models.PositiveIntegerField()
    # Added by `selectors.rules`: the position among those that are not retired.
    place: int
    # Calls from then on are no longer this rule's. `archived_at` is when that was said.
    retired_from = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "position"],
                name="attribution_rule_position_once",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(name="attribution_rule_position", condition=Q(position__gte=1)),
            models.CheckConstraint(
                name="attribution_rule_retired_whole",
                condition=Q(archived_at__isnull=True, retired_from__isnull=True)
                | Q(archived_at__isnull=False, retired_from__isnull=False),
            ),
        ]
        triggers: ClassVar = [never_deleted("attribution_rule")]

    def __str__(self) -> str:
        return self.name


class AttributionRuleVersion(models.Model):
    """What a rule says for calls that occurred in `[active_from, active_to)`; null is an open end.

    Where versions of one rule overlap, the higher number speaks.
    """

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    rule = models.ForeignKey(AttributionRule, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    # [{"field": "model", "operator": "starts_with", "values": ["gpt-"]}], all of which must hold.
    conditions = models.JSONField()
    # Ids of owners by dimension, and a word: {"owners": {"team": 3}, "task_type": "summarize"}
    assignment = models.JSONField()
    override = models.BooleanField(default=False)
    active_from = models.DateTimeField(null=True, blank=True)
    active_to = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule", "number"], name="attribution_version_once"),
            models.CheckConstraint(name="attribution_version_number", condition=Q(number__gte=1)),
            models.CheckConstraint(
                name="attribution_version_period",
                condition=Q(active_from__isnull=True) | Q(active_to__isnull=True) | Q(active_to__gt=F("active_from")),
            ),
        ]
        triggers: ClassVar = [_append_only("attribution_version")]

    def __str__(self) -> str:
        return f"version {self.number} of rule {self.rule_id}"


@pghistory.track()
class SharedCostRule(Owned):
    """How one shared cost is split, month by month; see its versions. Retired rules split no month from then on."""

    name = models.CharField(max_length=200)
    retired_from = models.DateField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="shared_cost_retired_whole",
                condition=Q(archived_at__isnull=True, retired_from__isnull=True)
                | Q(archived_at__isnull=False, retired_from__isnull=False),
            ),
            models.CheckConstraint(
                name="shared_cost_retired_month", condition=Q(retired_from__isnull=True) | Q(retired_from__day=1)
            ),
        ]
        triggers: ClassVar = [never_deleted("shared_cost")]

    def __str__(self) -> str:
        return self.name


class SharedCostVersion(models.Model):
    """What a shared cost rule says for the months `[from_month, to_month)`; the higher number speaks."""

    class Method(models.TextChoices):
        EVEN = "even", "Evenly"
        USAGE = "usage", "In proportion to usage"
        FIXED = "fixed", "Fixed percentages"

    class WhenEmpty(models.TextChoices):
        EVEN = "even", "Split evenly"
        KEEP = "keep", "Leave it where it is"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    rule = models.ForeignKey(SharedCostRule, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    # {"project": [3], "provider": ["anthropic"]}: ids of owners and sources, words for the rest; all must match.
    pool = models.JSONField()
    method = models.CharField(max_length=8, choices=Method)
    dimension = models.CharField(max_length=10)
    # Ids of `dimension`; empty for every active one.
    targets = models.JSONField(default=list)
    # By target id, as text, because JSON numbers are floats to many: {"3": "33.3333"}
    percentages = models.JSONField(default=dict)
    when_empty = models.CharField(max_length=8, choices=WhenEmpty, default=WhenEmpty.EVEN)
    from_month = models.DateField(null=True, blank=True)
    to_month = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule", "number"], name="shared_cost_version_once"),
            models.CheckConstraint(name="shared_cost_version_number", condition=Q(number__gte=1)),
            models.CheckConstraint(
                name="shared_cost_version_months",
                condition=(Q(from_month__isnull=True) | Q(from_month__day=1))
                & (Q(to_month__isnull=True) | Q(to_month__day=1))
                & (Q(from_month__isnull=True) | Q(to_month__isnull=True) | Q(to_month__gt=F("from_month"))),
            ),
            models.CheckConstraint(
                name="shared_cost_version_method",
                condition=(Q(method="fixed") & ~Q(percentages={})) | (~Q(method="fixed") & Q(percentages={})),
            ),
            models.CheckConstraint(
                name="shared_cost_version_dimension",
                condition=Q(dimension__in=["team", "person", "project", "agent", "customer"]),
            ),
        ]
        triggers: ClassVar = [_append_only("shared_cost_version")]

    def __str__(self) -> str:
        return f"version {self.number} of shared cost {self.rule_id}"


@pghistory.track()
class PromotedTag(models.Model):
    """A tag key that is as fast as a dimension: it has one of ten slots in every charge and rollup.

    Retiring stops filling the slot and keeps it: retained charges hold the key's values there, and another key's
    values must never be read as this one's.
    """

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    slot = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=200)
    promoted_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "slot"], name="promoted_tag_slot_once"),
            models.UniqueConstraint(fields=["organization", "key"], name="promoted_tag_key_once"),
            models.CheckConstraint(name="promoted_tag_slot", condition=Q(slot__gte=1, slot__lte=MAX_SLOTS)),
            models.CheckConstraint(name="promoted_tag_key_said", condition=~Q(key="")),
        ]
        triggers: ClassVar = [
            never_deleted("promoted_tag"),
            pgtrigger.ReadOnly(name="promoted_tag_stays", fields=["organization", "slot", "key"]),
        ]

    def __str__(self) -> str:
        return f"{self.key} in slot {self.slot}"
