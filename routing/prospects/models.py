"""How likely models do calls well, as it was learned, and how honest that was."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization
from routing.prospects import rules


class TrainedProspects(models.Model):
    """One learning: what is published of it, and its figures by models."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    version = models.IntegerField()
    # `classify.types.wire.Prospects`.
    body = models.BinaryField()
    # The model that difficulty is told by, and why it is that one.
    light = models.CharField(max_length=rules.LONGEST_MODEL)
    light_by = models.CharField(max_length=7, choices=[(one.value, one.value) for one in rules.LightBy])
    # Calls, and outcomes of them; a call that several models did has several.
    calls = models.IntegerField()
    outcomes = models.IntegerField()
    # `classify.types.learned.Prospect` of each as plain values, with how many of its calls were `drawn` for it.
    figures = models.JSONField()
    # The same of calls that it foresaw and that came to something since (`types.Since`).
    since = models.JSONField(default=list)
    since_at = models.DateTimeField(null=True, blank=True)
    trained_at = models.DateTimeField()
    trained_by = models.CharField(max_length=120)
    is_in_force = models.BooleanField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "version"], name="prospects_version"),
            models.UniqueConstraint(
                fields=["organization"], condition=Q(is_in_force=True), name="prospects_one_in_force"
            ),
            models.CheckConstraint(name="prospects_counts", condition=Q(calls__gte=1, calls__lte=F("outcomes"))),
            models.CheckConstraint(
                name="prospects_light_by", condition=Q(light_by__in=[one.value for one in rules.LightBy])
            ),
        ]

    def __str__(self) -> str:
        return f"prospects {self.version} of {self.organization_id}"
