"""What an organization knows better than the published method: its models' energy, and the electricity they run on."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization

LONGEST_NAME: Final = 200
LONGEST_SOURCE: Final = 300
LONGEST_ZONE: Final = 60
# Watt-hours of a thousand tokens, and grams of CO2e of a kilowatt hour: more than anybody ever measured.
MOST_WH: Final = 100_000
MOST_GRAMS: Final = 5_000
PLACES: Final = 6


def _bound() -> models.DecimalField[Any, Any]:
    return models.DecimalField(max_digits=12, decimal_places=PLACES)


class ModelEnergy(models.Model):
    """Watt-hours that a model needs for a thousand tokens it writes, with all that its data centre needs beside: from
    `lower` to `upper`, which are the same where it was measured to be so.
    """

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    # As the ledger names them; no provider is whoever serves it.
    provider = models.CharField(max_length=LONGEST_NAME, blank=True)
    model = models.CharField(max_length=LONGEST_NAME)
    lower = _bound()
    upper = _bound()
    # Who measured or published it.
    source = models.CharField(max_length=LONGEST_SOURCE)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "provider", "model"], name="model_energy_once"),
            models.CheckConstraint(
                name="model_energy_bounds", condition=Q(lower__gt=0, upper__gte=F("lower"), upper__lte=MOST_WH)
            ),
            models.CheckConstraint(name="model_energy_told", condition=~Q(model="") & ~Q(source="")),
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'any'}/{self.model}"


class GridMix(models.Model):
    """Grams of CO2e of a kilowatt hour where a provider's models run; no provider is all that have none of theirs."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    provider = models.CharField(max_length=LONGEST_NAME, blank=True)
    zone = models.CharField(max_length=LONGEST_ZONE)
    lower = _bound()
    upper = _bound()
    source = models.CharField(max_length=LONGEST_SOURCE)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "provider"], name="grid_mix_once"),
            models.CheckConstraint(
                name="grid_mix_bounds", condition=Q(lower__gte=0, upper__gte=F("lower"), upper__lte=MOST_GRAMS)
            ),
            models.CheckConstraint(name="grid_mix_told", condition=~Q(zone="") & ~Q(source="")),
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'any'} in {self.zone}"
