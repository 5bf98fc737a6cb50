"""Prospects over REST: how likely models do calls well, and how honest these chances are."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers
from finops.api.views import Resource
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.classify.api import BinOutput
from routing.prospects import selectors
from routing.prospects.models import TrainedProspects
from routing.prospects.rules import LightBy


class ProspectSinceOutput(serializers.Serializer[Any]):
    """Of calls that came to something after their chance was told."""

    calls = serializers.IntegerField()
    error = serializers.FloatField()
    is_off = serializers.BooleanField()
    reliability = BinOutput(many=True)


class ProspectOutput(serializers.Serializer[Any]):
    """One model. All figures are of chances that were told without having learned from the call: `error` is their
    expected calibration error, `gain` the share of the spread of scores that they explain. `is_off`: they are clearly
    not what they say. `drawn` of its `calls` were drawn for it: of the others, hard ones may have gone elsewhere.
    `flat`: too few went well or wrong to tell calls apart, so each has the mean. `since` is null before 20 calls.
    """

    model = serializers.CharField()
    calls = serializers.IntegerField()
    drawn = serializers.IntegerField()
    mean = serializers.FloatField()
    flat = serializers.BooleanField()
    error = serializers.FloatField()
    is_off = serializers.BooleanField()
    gain = serializers.FloatField()
    reliability = BinOutput(many=True)
    since = ProspectSinceOutput(allow_null=True)


class LearnedProspectsOutput(serializers.Serializer[Any]):
    """`light` is the model that difficulty is told by: the chance that it fails a call."""

    version = serializers.IntegerField()
    trained_at = serializers.DateTimeField()
    calls = serializers.IntegerField()
    outcomes = serializers.IntegerField()
    light = serializers.CharField()
    light_by = serializers.ChoiceField(choices=[one.value for one in LightBy])
    models = ProspectOutput(many=True)
    since_at = serializers.DateTimeField(allow_null=True)


class ProspectsOutput(serializers.Serializer[Any]):
    """Null until there are outcomes enough of calls of which features are kept."""

    prospects = LearnedProspectsOutput(allow_null=True)


class Prospects(Resource):
    """How likely each model does a call well, learned from outcomes of your own calls; with reliability tables. What is
    foreseen of one call, `POST /route` says.
    """

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(ProspectsOutput)
    def get(self, request: Request) -> Response:
        row = selectors.in_force(caller(request).organization_id)
        return Response(ProspectsOutput({"prospects": None if row is None else _told(row)}).data)


def _told(row: TrainedProspects) -> dict[str, Any]:
    since = {one["model"]: one | {"reliability": one["bins"]} for one in row.since}
    names = ("version", "trained_at", "calls", "outcomes", "light", "light_by", "since_at")
    models = [one | {"reliability": one["bins"], "since": since.get(one["model"])} for one in row.figures]
    return {name: getattr(row, name) for name in names} | {"models": models}
