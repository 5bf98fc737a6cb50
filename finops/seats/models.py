"""Plans of seats as contracts describe them, who has a seat, and how far the books say so."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from finops.orgs.models import Identity, Organization, Person
from finops.sources.models import Source


class SeatPlan(models.Model):
    """Seats that are paid for whether they are used or not. `price` and `included` are of one seat and one term.

    It is held `[start, end)`, to null for good. What was agreed otherwise from a day on is another plan, which
    `follows` this one; a row changes only where it was entered wrong. A plan that never was stays as withdrawn.
    """

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    name = models.CharField(max_length=120)
    provider = models.CharField(max_length=60)
    # At the provider, where one has several.
    account = models.CharField(max_length=200, blank=True, default="")
    price = models.DecimalField(max_digits=24, decimal_places=12)
    currency = models.CharField(max_length=3)
    seats = models.PositiveIntegerField()
    start = models.DateField()
    end = models.DateField(null=True, blank=True)
    # A day on which a term begins.
    anchor = models.DateField()
    term_months = models.PositiveSmallIntegerField(default=1)
    # Whether a term that is held in part is paid by the day.
    prorated = models.BooleanField(default=True)
    # What use one seat includes in a term, in money at list price; null: the contract names no amount.
    included = models.DecimalField(max_digits=24, decimal_places=12, null=True, blank=True)
    follows = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="followed_by")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=120)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="seat_plan_named", condition=~Q(name="") & ~Q(provider="")),
            models.CheckConstraint(name="seat_plan_price", condition=Q(price__gte=0)),
            models.CheckConstraint(name="seat_plan_included", condition=Q(included__isnull=True) | Q(included__gte=0)),
            models.CheckConstraint(name="seat_plan_held", condition=Q(end__isnull=True) | Q(end__gt=F("start"))),
            models.CheckConstraint(name="seat_plan_anchor", condition=Q(anchor__lte=F("start"))),
            models.CheckConstraint(name="seat_plan_term", condition=Q(term_months__gte=1, term_months__lte=60)),
            models.CheckConstraint(name="seat_plan_currency", condition=Q(currency__regex=r"^[A-Z]{3}$")),
        ]
        indexes: ClassVar = [models.Index(fields=["organization", "id"], name="seat_plan_listed")]

    def __str__(self) -> str:
        return self.name


class SeatHolder(models.Model):
    """Somebody who has a seat, by a name that tools know them by. Its id is part of the ids of their charges."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    plan = models.ForeignKey(SeatPlan, on_delete=models.PROTECT, related_name="holders")
    kind = models.CharField(max_length=20, choices=Identity.Kind)
    # Compared without case.
    value = models.CharField(max_length=200)
    # Who it was, once they were erased: the value says nothing then, and the seat is still theirs.
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(F("plan"), F("kind"), Lower("value"), name="seat_holder_once_a_plan")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of plan {self.plan_id}"


class SeatCover(models.Model):
    """A source from which the calls of a plan's holders at its provider are paid for by their seats."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    plan = models.ForeignKey(SeatPlan, on_delete=models.PROTECT, related_name="covers")
    source = models.ForeignKey(Source, on_delete=models.PROTECT)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["plan", "source"], name="seat_cover_once")]

    def __str__(self) -> str:
        return f"source {self.source_id} of plan {self.plan_id}"


class SeatBooks(models.Model):
    """How far an organization's charges say what its plans do: on the days before `made_until`.

    Whatever changes plans moves it back to the first day that this is about, and sets another stamp.
    """

    organization = models.OneToOneField(Organization, on_delete=models.PROTECT, primary_key=True)
    source = models.OneToOneField(Source, on_delete=models.PROTECT)
    made_until = models.DateField()
    # Days from here on never had a charge.
    told_until = models.DateField()
    stamp = models.UUIDField(default=uuid.uuid4)
    # Why it does not go on, for people; '' where it does.
    problem = models.CharField(max_length=500, blank=True, default="")

    def __str__(self) -> str:
        return f"until {self.made_until}"
