"""How prices are kept: effective-dated, never rewritten, and never two for the same thing at the same time.

The catalogue (providers, models, prices) is public and belongs to no organization; contracts are an organization's;
aliases and exchange rates are either. The database keeps the history of every price, contract and rate (pghistory).
"""

from __future__ import annotations

import uuid
from typing import ClassVar

import pghistory
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, JSONField, Q, Value
from django.db.models.functions import Cast, Lower

from finops.orgs.models import Organization

CURRENCY = r"^[A-Z]{3}$"
WINDOW = r"^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])?$"


def only_one_at_a_time(name: str, fields: list[str], condition: Q | None = None) -> ExclusionConstraint:
    """No two rows with the same words in `fields` are in force on the same day.

    GiST compares ranges, not words, and btree_gist is not everywhere; so the words become a range of one number, their
    hash. Should two different lists of words ever share all 64 bits, the second is refused, never mispriced.
    """
    words = (Cast(field, models.TextField()) for field in fields)
    number = Func(
        *words,
        # A separator that no name contains, or ('a', 'bc') and ('ab', 'c') would be the same words. The arguments are
        # in the alphabet's order, as a migration writes them, or Django takes the two for different constraints.
        arg_joiner=" || E'\\x1f' || ",
        output_field=models.DecimalField(),
        template="hashtextextended(%(expressions)s, 0)::numeric",
    )
    return ExclusionConstraint(
        name=name,
        expressions=[
            (Func(number, number, Value("[]"), function="numrange"), RangeOperators.OVERLAPS),
            (Func(F("effective_from"), F("effective_to"), Value("[)"), function="daterange"), RangeOperators.OVERLAPS),
        ],
        condition=condition,
    )


class PricingVersion(models.Model):
    """Changes whenever anything that prices do depends on changes: the public part (no organization) or one tenant's.

    A random token rather than a number, so that a change rolled back and another made in its place never look alike.
    """

    id = models.AutoField(primary_key=True)
    organization = models.OneToOneField(Organization, null=True, on_delete=models.PROTECT)
    token = models.UUIDField(default=uuid.uuid4)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization"], name="pricing_version_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.organization_id or 'public'}: {self.token}"


class PriceBook(models.Model):
    """One release of the public price data, as it was copied in."""

    id = models.AutoField(primary_key=True)
    package = models.CharField(max_length=60)
    version = models.CharField(max_length=40)
    # SHA-256 of the content as we read it; the same as the book in force is not seeded again.
    digest = models.CharField(max_length=64)
    seeded_at = models.DateTimeField()
    # What the seeding did: counts of models, prices opened, closed, withdrawn, and what it could not represent.
    report = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class CatalogueProvider(models.Model):
    """A provider of the public catalogue, and how its names are recognised."""

    provider = models.CharField(max_length=60, primary_key=True)
    name = models.CharField(max_length=200)
    # Not `models.JSONField`: a type-checker may take `models` for this provider's models, which are called so too.
    match = JSONField(null=True)
    model_match = JSONField(null=True)
    fallbacks = JSONField(default=list)
    position = models.IntegerField()
    # False once a release no longer lists it: still recognised, after everything that is.
    listed = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class CatalogueModel(models.Model):
    """A model of the public catalogue. `position` is the order names are tried in within the provider."""

    id = models.AutoField(primary_key=True)
    provider = models.ForeignKey(CatalogueProvider, on_delete=models.PROTECT, related_name="models")
    model = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    match = models.JSONField()
    context_window = models.BigIntegerField(null=True)
    comment = models.TextField(blank=True)
    position = models.IntegerField()
    listed = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["provider", "model"], name="catalogue_model_once")]

    def __str__(self) -> str:
        return f"{self.provider_id}/{self.model}"


@pghistory.track()
class Price(models.Model):
    """What a (provider, model, tier) costs in public, in `[effective_from, effective_to)`; a null end is open.

    `steps` is `[{"above_input_tokens": 0, "rates": {"input_uncached": "1.250000"}}]`, per million units, six places;
    `raw` is the same as the release wrote it, by its own field names.
    """

    id = models.AutoField(primary_key=True)
    book = models.ForeignKey(PriceBook, on_delete=models.PROTECT, related_name="prices")
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    # '' is the standard price; else batch, flex, priority, …
    tier = models.CharField(max_length=60, blank=True)
    # '' is the whole day; else HH:MM-HH:MM in UTC.
    window = models.CharField(max_length=11, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    effective_from = models.DateField(null=True)
    effective_to = models.DateField(null=True)
    steps = models.JSONField()
    raw = models.JSONField()
    source = models.TextField(blank=True)
    # Set on a price that was announced for a later day and replaced before it came.
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["provider", "model", "tier", "id"], name="price_by_model")]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="price_period_not_backwards",
                condition=Q(effective_from__isnull=True)
                | Q(effective_to__isnull=True)
                | Q(effective_to__gt=F("effective_from")),
            ),
            models.CheckConstraint(name="price_currency", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(name="price_window", condition=Q(window__regex=WINDOW)),
            only_one_at_a_time(
                "price_one_at_a_time", ["provider", "model", "tier", "window"], Q(withdrawn_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} {self.tier or 'standard'} from {self.effective_from or 'the beginning'}"


@pghistory.track()
class Contract(models.Model):
    """What an organization pays instead: a discount, committed prices, or a model of its own."""

    class Kind(models.TextChoices):
        DISCOUNT = "discount", "Discount"
        COMMITTED = "committed", "Committed prices"
        CUSTOM = "custom", "Own model"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    kind = models.CharField(max_length=10, choices=Kind)
    provider = models.CharField(max_length=60)
    # '' is every model of the provider.
    model = models.CharField(max_length=200, blank=True)
    # '*' is every tier, '' the standard one.
    tier = models.CharField(max_length=60, default="*", blank=True)
    # Own models only: the machine it runs on, '' for any.
    host = models.CharField(max_length=200, blank=True)
    percent = models.DecimalField(max_digits=7, decimal_places=4, default=0)
    currency = models.CharField(max_length=3, default="USD")
    # As in Price: rounded to six places, once.
    steps = models.JSONField(default=list)
    # As they were given.
    raw = models.JSONField(default=dict)
    effective_from = models.DateField()
    effective_to = models.DateField(null=True)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "id"], name="contract_of_organization")]
        constraints: ClassVar = [
            models.CheckConstraint(
                # Ending on its first day, it was never in force.
                name="contract_period_not_backwards",
                condition=Q(effective_to__isnull=True) | Q(effective_to__gte=F("effective_from")),
            ),
            models.CheckConstraint(name="contract_percent", condition=Q(percent__gte=0, percent__lte=100)),
            models.CheckConstraint(name="contract_currency", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="contract_says_what_its_kind_says",
                condition=Q(kind="discount", steps=[])
                | (Q(kind="committed", percent=0) & ~Q(model="") & ~Q(steps=[]))
                | (Q(kind="custom", percent=0) & ~Q(model="") & ~Q(steps=[])),
            ),
            only_one_at_a_time(
                "contract_one_at_a_time",
                ["organization_id", "kind", "provider", "model", "tier", "host"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.provider}/{self.model or '*'} from {self.effective_from}"


class ModelAlias(models.Model):
    """A written rule for names: this raw name, or its beginning, is that model. No organization: for everybody."""

    class Kind(models.TextChoices):
        EXACT = "exact", "The whole name"
        PREFIX = "prefix", "The name's beginning"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, null=True, on_delete=models.PROTECT)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.EXACT)
    # '' is whatever provider the source named.
    provider = models.CharField(max_length=60, blank=True)
    pattern = models.CharField(max_length=300)
    target_provider = models.CharField(max_length=60, blank=True)
    target_model = models.CharField(max_length=200)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                F("organization"),
                F("kind"),
                F("provider"),
                Lower("pattern"),
                name="alias_says_one_thing",
                condition=Q(archived_at__isnull=True),
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.pattern} is {self.target_model}"


@pghistory.track()
class ExchangeRate(models.Model):
    """One unit of `from_currency` was `rate` of `to_currency` on `day`. No organization: for everybody."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, null=True, on_delete=models.PROTECT)
    from_currency = models.CharField(max_length=3)
    to_currency = models.CharField(max_length=3)
    day = models.DateField()
    rate = models.DecimalField(max_digits=24, decimal_places=12)
    source = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "from_currency", "to_currency", "day"],
                name="exchange_rate_once_a_day",
                nulls_distinct=False,
            ),
            models.CheckConstraint(name="exchange_rate_positive", condition=Q(rate__gt=0)),
            models.CheckConstraint(name="exchange_rate_currencies", condition=~Q(from_currency=F("to_currency"))),
            models.CheckConstraint(
                name="exchange_rate_iso",
                condition=Q(from_currency__regex=CURRENCY, to_currency__regex=CURRENCY),
            ),
        ]

    def __str__(self) -> str:
        return f"1 {self.from_currency} = {self.rate} {self.to_currency} on {self.day}"
