"""What kind of model a model is, over REST: asked, and said by the organization itself."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.tiers import rules, selectors, services
from routing.tiers.models import ModelTier
from routing.tiers.types import By, Entry, Tier

TIERS: Final = [one.value for one in Tier]
BYS: Final = [one.value for one in By]


class ModelTierInput(Input):
    """What is not said, the shipped register says."""

    model = serializers.CharField(
        max_length=rules.LONGEST_MODEL,
        help_text="A name, in any case; with a `*` at its end all names that begin so.",
    )
    tier = serializers.ChoiceField(choices=TIERS, required=False, allow_null=True)
    vendor = serializers.CharField(
        max_length=rules.LONGEST_VENDOR, required=False, allow_blank=True, help_text="Who made it, whoever serves it."
    )
    origin = serializers.CharField(
        max_length=2, required=False, allow_blank=True, help_text="The country of the maker's seat, ISO 3166 alpha-2."
    )
    open_weights = serializers.BooleanField(required=False, allow_null=True)


class ModelTierOutput(serializers.ModelSerializer[ModelTier]):
    """What the organization says of a model itself; '' and null are left to the register."""

    tier = serializers.ChoiceField(choices=["", *TIERS])

    class Meta:
        model = ModelTier
        fields = ("id", "model", "tier", "vendor", "origin", "open_weights", "changed_at")


class KnownModelOutput(serializers.Serializer[Any]):
    """`vendor` made it and `origin` is the country of its seat; '' where nobody knows. `by` says where the tier comes
    from: the shipped register, the organization, the list price, or, as a guess, the name.
    """

    model = serializers.CharField()
    vendor = serializers.CharField(allow_blank=True)
    origin = serializers.CharField(allow_blank=True)
    tier = serializers.ChoiceField(choices=TIERS)
    open_weights = serializers.BooleanField()
    by = serializers.ChoiceField(choices=BYS)


class KnownFilter(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=rules.LONGEST_MODEL)
    provider = serializers.CharField(max_length=rules.LONGEST_VENDOR, required=False, default="")


class ModelTiers(Resource):
    """What the organization says of models itself, by name."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ, "PUT": Permission.ROUTING_MANAGE}

    @listed(ModelTierOutput)
    def get(self, request: Request) -> Response:
        rows = selectors.entries(caller(request).organization_id)
        return paged(request, rows, ModelTierOutput, order=("model", "id"))

    @answers(ModelTierOutput, takes=ModelTierInput)
    def put(self, request: Request) -> Response:
        """Say this of a model, in place of whatever was said of it before."""
        asked, said = caller(request), valid(ModelTierInput, request.data)
        tier = said.pop("tier", None)
        entry = Entry(tier=Tier(tier) if tier else None, **said)
        row = services.set_entry(organization_id=asked.organization_id, entry=entry, by=asked.actor, at=now())
        return Response(ModelTierOutput(row).data)


class OneModelTier(Resource):
    """One of them."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ, "DELETE": Permission.ROUTING_MANAGE}

    @answers(ModelTierOutput)
    def get(self, request: Request, model_tier_id: int) -> Response:
        return Response(ModelTierOutput(selectors.entry(caller(request).organization_id, model_tier_id)).data)

    @answers(status=204)
    def delete(self, request: Request, model_tier_id: int) -> Response:
        """Take it back: from now on the register speaks of it again."""
        asked = caller(request)
        services.remove_entry(
            organization_id=asked.organization_id, model_tier_id=model_tier_id, by=asked.actor, at=now()
        )
        return Response(status=204)


class KnownModel(Resource):
    """What kind of model a model is: by the organization, the shipped register, its list price, or its name."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(
        KnownModelOutput,
        parameters=(
            OpenApiParameter("model", str, required=True),
            OpenApiParameter("provider", str, description="Who sells it, where only that says its price."),
        ),
    )
    def get(self, request: Request) -> Response:
        said = valid(KnownFilter, request.query_params.dict())
        known = selectors.register(caller(request).organization_id, now()).of(said["model"], said["provider"])
        return Response(KnownModelOutput(known).data)
