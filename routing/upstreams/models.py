"""Where calls go: upstreams, which models each of them serves, and what keys wish of them."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from finops.core.money import PRICE_PLACES
from finops.orgs.models import Organization, Owned, VirtualKey, never_deleted
from routing.upstreams import hot, rules
from routing.upstreams.types import Auth, Dialect


class UpstreamsVersion(models.Model):
    """Changes whenever any upstream, deployment or key's wish of an organization does, so that it is published."""

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    token = models.UUIDField()

    def __str__(self) -> str:
        return f"upstreams of {self.organization_id}"


class Upstream(Owned):
    """A server that answers calls of models. Never deleted: its id is in the journal of calls."""

    SEALED: ClassVar = {"sealed": hot.PURPOSE}

    name = models.CharField(max_length=rules.LONGEST_NAME)
    dialect = models.CharField(max_length=9, choices=[(one.value, one.value) for one in Dialect])
    base_url = models.CharField(max_length=rules.LONGEST_ADDRESS)
    # Whose prices hold; `host` names a seller apart from the maker, or a machine with prices of its own.
    provider = models.CharField(max_length=rules.LONGEST_WORD)
    host = models.CharField(max_length=rules.LONGEST_WORD, blank=True)
    auth = models.CharField(max_length=9, choices=[(one.value, one.value) for one in Auth], default=Auth.BEARER.value)
    # The credential, sealed (`hot.sealer`); empty where none is sent.
    sealed = models.BinaryField(default=b"")
    # Its last characters: all that is ever shown of it.
    hint = models.CharField(max_length=4, blank=True)
    credential_at = models.DateTimeField(null=True)
    headers = models.JSONField(default=dict)
    region = models.CharField(max_length=rules.LONGEST_WORD, blank=True)
    labels = ArrayField(models.CharField(max_length=rules.LONGEST_WORD), default=list)
    any_model = models.BooleanField(default=False)
    weight = models.IntegerField(default=1)
    connect_s = models.FloatField(default=5.0)
    first_byte_s = models.FloatField(default=60.0)
    total_s = models.FloatField(default=900.0)
    bills_cancelled = models.BooleanField(default=False)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "name"], name="upstream_name_once"),
            models.CheckConstraint(name="upstream_name", condition=Q(name__regex=r"^[a-z0-9][a-z0-9_-]*$")),
            models.CheckConstraint(name="upstream_dialect", condition=Q(dialect__in=[one.value for one in Dialect])),
            models.CheckConstraint(name="upstream_auth", condition=Q(auth__in=[one.value for one in Auth])),
            models.CheckConstraint(
                name="upstream_base_url", condition=Q(base_url__regex=r"^https?://[^?#[:space:]]*[^/?#[:space:]]$")
            ),
            models.CheckConstraint(
                name="upstream_credential",
                condition=Q(auth=Auth.NONE.value, sealed=b"", hint="", credential_at__isnull=True)
                | (~Q(auth=Auth.NONE.value) & ~Q(sealed=b"") & Q(credential_at__isnull=False)),
            ),
            models.CheckConstraint(name="upstream_weight", condition=Q(weight__range=(1, rules.MOST_WEIGHT))),
            models.CheckConstraint(
                name="upstream_seconds",
                condition=Q(
                    connect_s__range=(rules.SHORTEST_S, rules.LONGEST_CONNECT_S),
                    first_byte_s__range=(rules.SHORTEST_S, rules.LONGEST_FIRST_BYTE_S),
                    total_s__lte=rules.LONGEST_TOTAL_S,
                    total_s__gte=F("first_byte_s"),
                )
                & Q(total_s__gte=F("connect_s")),
            ),
        ]
        triggers: ClassVar = [never_deleted("upstream")]

    def __str__(self) -> str:
        return self.name


class Deployment(models.Model):
    """A model at an upstream. Lower `rank` is tried first; among equals `weight` decides."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="deployments")
    # What clients say, and what the upstream is sent.
    model = models.CharField(max_length=rules.LONGEST_MODEL)
    upstream_model = models.CharField(max_length=rules.LONGEST_MODEL)
    rank = models.IntegerField(default=0)
    weight = models.IntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "model"], name="deployment_of_model")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["upstream", "model"], name="deployment_once"),
            models.CheckConstraint(name="deployment_models", condition=~Q(model="") & ~Q(upstream_model="")),
            models.CheckConstraint(name="deployment_rank", condition=Q(rank__range=(0, rules.MOST_RANK))),
            models.CheckConstraint(name="deployment_weight", condition=Q(weight__range=(1, rules.MOST_WEIGHT))),
        ]

    def __str__(self) -> str:
        return f"{self.model} at upstream {self.upstream_id}"


class KeyWishes(models.Model):
    """How the calls of a key want deployments; see `types.WishesDraft`."""

    key = models.OneToOneField(VirtualKey, primary_key=True, on_delete=models.PROTECT, related_name="+")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    order = ArrayField(models.CharField(max_length=rules.LONGEST_WORD), default=list)
    only = models.BooleanField(default=False)
    sort = models.CharField(max_length=5, blank=True)
    # Of the reporting currency.
    most_per_million = models.DecimalField(max_digits=7 + PRICE_PLACES, decimal_places=PRICE_PLACES, null=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="wishes_something",
                condition=~Q(order=[]) | ~Q(sort="") | Q(most_per_million__isnull=False),
            ),
            models.CheckConstraint(
                name="wishes_order", condition=Q(order__len__lte=rules.MOST_NAMED) & ~Q(order__contains=[""])
            ),
            models.CheckConstraint(name="wishes_only", condition=Q(only=False) | ~Q(order=[])),
            models.CheckConstraint(name="wishes_sort", condition=Q(sort__in=["", rules.FLOOR, rules.NITRO])),
            models.CheckConstraint(
                name="wishes_price", condition=Q(most_per_million__range=(0, rules.MOST_PER_MILLION))
            ),
        ]

    def __str__(self) -> str:
        return f"wishes of key {self.key_id}"
