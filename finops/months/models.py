"""Months that were closed, and what was said of them then."""

from __future__ import annotations

from typing import ClassVar

import pgtrigger
from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization


class Closing(models.Model):
    """A month that was closed, and its statement's sums in the reporting currency. It stands until it is reopened, and
    stays readable after that.
    """

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    # Its first day; months are of UTC.
    month = models.DateField()
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=120)
    # Why it was closed although something was open, and what that was (`types.Item`).
    reason = models.CharField(max_length=500, blank=True)
    still_open = models.JSONField(default=list)
    currency = models.CharField(max_length=3)
    # Of the month itself, and of earlier ones, that came after those were closed.
    charges = models.BigIntegerField(default=0)
    amount = models.DecimalField(max_digits=38, decimal_places=12, default=0)
    carried_charges = models.BigIntegerField(default=0)
    carried = models.DecimalField(max_digits=38, decimal_places=12, default=0)
    reopened_at = models.DateTimeField(null=True, blank=True)
    reopened_by = models.CharField(max_length=120, blank=True)
    reopened_why = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "month"], name="month_closed_once", condition=Q(reopened_at__isnull=True)
            ),
            models.CheckConstraint(name="month_is_its_first_day", condition=Q(month__day=1)),
            models.CheckConstraint(
                name="month_reopened_after",
                condition=Q(reopened_at__isnull=True) | Q(reopened_at__gte=F("closed_at")),
            ),
        ]
        triggers: ClassVar = [pgtrigger.Protect(name="closing_never_deleted", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class Line(models.Model):
    """What a statement says of one owner's day at one source: all there was when the day's month was closed; for an
    earlier month, what had come since.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    closing = models.ForeignKey(Closing, on_delete=models.PROTECT, related_name="lines")
    day = models.DateField()
    # Ids as charges carry them; 0 is none.
    source_id = models.IntegerField()
    category_id = models.IntegerField()
    team_id = models.IntegerField()
    person_id = models.IntegerField()
    project_id = models.IntegerField()
    # Of the bill; `reporting_cost` is in the organization's.
    currency = models.CharField(max_length=3)
    # How many lines of the ledger, reversals too, and of how many calls.
    charges = models.BigIntegerField()
    calls = models.BigIntegerField()
    effective_cost = models.DecimalField(max_digits=38, decimal_places=12)
    reporting_cost = models.DecimalField(max_digits=38, decimal_places=12)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=[
                    *("closing", "day", "source_id", "category_id", "team_id", "person_id", "project_id", "currency")
                ],
                name="month_line_once",
            )
        ]
        indexes: ClassVar = [models.Index(fields=["organization", "day"], name="month_line_day")]
        triggers: ClassVar = [
            pgtrigger.Protect(name="month_line_append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.reporting_cost}"
