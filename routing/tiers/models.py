"""What organizations say of models themselves, above the shipped register."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from finops.orgs.models import Organization
from routing.tiers import rules
from routing.tiers.types import Tier


class TiersVersion(models.Model):
    """Changes with anything an organization says of models, so that it is published."""

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    token = models.UUIDField()

    def __str__(self) -> str:
        return f"tiers of {self.organization_id}"


class ModelTier(models.Model):
    """One for each name, or beginning of names (`gpt-*`). What it does not say, the register says."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    # In lower case.
    model = models.CharField(max_length=rules.LONGEST_MODEL)
    vendor = models.CharField(max_length=rules.LONGEST_VENDOR, blank=True)
    origin = models.CharField(max_length=2, blank=True)
    tier = models.CharField(max_length=8, choices=[(one.value, one.value) for one in Tier], blank=True)
    open_weights = models.BooleanField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "model"], name="model_tier_once"),
            models.CheckConstraint(name="model_tier_model", condition=~Q(model="")),
            models.CheckConstraint(name="model_tier_tier", condition=Q(tier__in=["", *(one.value for one in Tier)])),
            models.CheckConstraint(name="model_tier_origin", condition=Q(origin__regex=r"^([A-Z]{2})?$")),
            models.CheckConstraint(
                name="model_tier_something",
                condition=~Q(vendor="") | ~Q(origin="") | ~Q(tier="") | Q(open_weights__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.model
