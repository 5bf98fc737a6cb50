"""Promoted tag keys over REST."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.attribution import selectors, services
from finops.attribution.models import PromotedTag
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission


class PromotedTagOutput(serializers.ModelSerializer[PromotedTag]):
    class Meta:
        model = PromotedTag
        fields = ("id", "slot", "key", "promoted_at", "retired_at")


class PromotedTagInput(Input):
    key = serializers.CharField(max_length=200, trim_whitespace=False)


class PromotedTags(Resource):
    """The tag keys that are as fast as a dimension, by slot: ten at most, retired ones included."""

    permission: ClassVar = {"GET": Permission.ORG_READ, "POST": Permission.ATTRIBUTION_MANAGE}

    @listed(PromotedTagOutput)
    def get(self, request: Request) -> Response:
        rows = selectors.promoted_tag_rows(caller(request).organization_id)
        return paged(request, rows, PromotedTagOutput, order=("slot", "id"))

    @answers(PromotedTagOutput, takes=PromotedTagInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Give a key a slot, for calls from now on. A retired key gets its own back."""
        asked, said = caller(request), valid(PromotedTagInput, request.data)
        row = services.promote_tag(organization_id=asked.organization_id, key=said["key"], by=asked.actor, at=now())
        return Response(PromotedTagOutput(row).data, status=201)


class RetirePromotedTag(Resource):
    """Stop filling a key's slot. It keeps the slot: charges hold the key's values there."""

    permission: ClassVar = {"POST": Permission.ATTRIBUTION_MANAGE}

    @answers(PromotedTagOutput)
    @idempotent
    def post(self, request: Request, tag_id: int) -> Response:
        asked = caller(request)
        row = services.retire_tag(organization_id=asked.organization_id, tag_id=tag_id, by=asked.actor, at=now())
        return Response(PromotedTagOutput(row).data)
