"""Which level of evidence is the money of a provider, and what each of its days came to."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models

from finops.orgs.models import Organization
from finops.sources.models import Source

# How long after its end a day may be left alone.
MOST_HOURS: Final = 14 * 24


class CountingRule(models.Model):
    """What a provider's bill counts for on some days. An account that is billed by itself has a bill of its own; bills
    that count for the same days are added up.
    """

    class Level(models.TextChoices):
        BILLED = "billed", "What it billed; calls say whose it was"
        METERED = "metered", "What calls come to; what it billed is only compared"
        REPEATED = "repeated", "What another bill says as well; it counts for nothing"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    provider = models.CharField(max_length=300)
    # Whose statements these are.
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    level = models.CharField(max_length=8, choices=Level, default=Level.BILLED)
    since = models.DateField()
    # The first day that it is not about any more.
    until = models.DateField(null=True, blank=True)
    # Nothing is paid there but what is billed. Otherwise calls of models that are not keep what they stand at.
    whole = models.BooleanField(default=True)
    # A day is compared when it has been over for so long: reports of a day come in parts.
    after_hours = models.PositiveSmallIntegerField(default=6)
    set_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "provider", "source"], name="counting_rule_once"),
            models.CheckConstraint(
                name="counting_rule_days",
                condition=models.Q(until__isnull=True) | models.Q(until__gt=models.F("since")),
            ),
            models.CheckConstraint(name="counting_rule_soon", condition=models.Q(after_hours__lte=MOST_HOURS)),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.level}"


class ReconciledDay(models.Model):
    """A provider's day as it was compared last. Money is in `currency`."""

    class State(models.TextChoices):
        TIED = "tied", "Tied: charges sum to what was billed"
        COMPARED = "compared", "Compared, and left as it is"
        CURRENCIES = "currencies", "Calls and bill are in different currencies"

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    provider = models.CharField(max_length=300)
    day = models.DateField()
    state = models.CharField(max_length=10, choices=State)
    currency = models.CharField(max_length=3)
    billed = models.DecimalField(max_digits=24, decimal_places=12)
    # What calls stood at before.
    seen = models.DecimalField(max_digits=24, decimal_places=12)
    # What was billed and nobody saw a call of; of it, what is nobody's.
    unseen = models.DecimalField(max_digits=24, decimal_places=12)
    unattributed = models.DecimalField(max_digits=24, decimal_places=12)
    calls = models.BigIntegerField()
    # Of what it was made: it is made anew when this is another.
    basis = models.CharField(max_length=200)
    reconciled_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "provider", "day"], name="reconciled_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.day} {self.state}"
