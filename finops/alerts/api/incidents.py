"""What there is to tell, and what was told, over REST."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.alerts import selectors
from finops.alerts.models import Delivery, Incident
from finops.alerts.services import incidents as services
from finops.alerts.types import Event, Kind, Severity
from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

_KINDS = [kind.value for kind in Kind]
_LARGEST_ID = 2**31 - 1


class IncidentOutput(serializers.Serializer[Any]):
    """`subject` is of `dimension` (an owner's id, a session, a word), or of the budget's account. It was resolved by
    itself where `resolved_by` is `system:alerts`.
    """

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=_KINDS)
    key = serializers.CharField()
    severity = serializers.ChoiceField(choices=[one.value for one in Severity])
    state = serializers.ChoiceField(choices=selectors.STATES)
    title = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    details = serializers.DictField()
    budget_id = serializers.IntegerField(allow_null=True)
    dimension = serializers.CharField(allow_blank=True)
    subject = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField()
    opened_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_blank=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_by = serializers.CharField(allow_blank=True)
    resolution = serializers.CharField(allow_blank=True)


class IncidentFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=selectors.STATES, required=False, default="")
    kind = serializers.ChoiceField(choices=_KINDS, required=False, default="")


class ResolveInput(Input):
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class DeliveryOutput(serializers.Serializer[Any]):
    """One piece of news to one channel; those of one `letter` went out together. `next_try_at` where it waits."""

    id = serializers.IntegerField()
    incident_id = serializers.IntegerField(allow_null=True)
    channel_id = serializers.IntegerField()
    event = serializers.ChoiceField(choices=[one.value for one in Event])
    state = serializers.ChoiceField(choices=Delivery.State.values)
    tries = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    letter = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    next_try_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)


class DeliveryFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=Delivery.State.values, required=False, default="")
    channel_id = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID, required=False, default=None)
    incident_id = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID, required=False, default=None)


def shown(organization_id: int, rows: Iterable[Incident]) -> list[dict[str, Any]]:
    """Incidents as answers show them."""
    found = list(rows)
    told = selectors.stories(organization_id, [(one, "") for one in found])
    same = (
        "id", "kind", "key", "severity", "details", "budget_id", "dimension", "subject", "count", "opened_at",
        "last_seen_at", "acknowledged_at", "acknowledged_by", "resolved_at", "resolved_by", "resolution",
    )  # fmt: skip
    return [
        dict(
            IncidentOutput(
                {
                    **{name: getattr(one, name) for name in same},
                    "state": selectors.state_of(one),
                    "title": story.title,
                    "text": " ".join(story.sentences),
                }
            ).data
        )
        for one, story in zip(found, told, strict=True)
    ]


class Incidents(Resource):
    """What is so and somebody should know, and what was, newest first: as much of it as one may see."""

    permission: ClassVar = {"GET": Permission.ALERTS_READ}

    @listed(
        IncidentOutput,
        OpenApiParameter("state", str, enum=selectors.STATES),
        OpenApiParameter("kind", str, enum=_KINDS),
    )
    def get(self, request: Request) -> Response:
        asked = caller(request)
        said = valid(IncidentFilter, request.query_params.dict())
        found = paging.page(selectors.incidents_seen(asked, **said), request, order=("-id",))
        return Response(paging.answer(shown(asked.organization_id, found.rows), found.next_cursor))


class OneIncident(Resource):
    """One incident."""

    permission: ClassVar = {"GET": Permission.ALERTS_READ}

    @answers(IncidentOutput)
    def get(self, request: Request, incident_id: int) -> Response:
        asked = caller(request)
        return Response(shown(asked.organization_id, [selectors.incident_seen(asked, incident_id)])[0])


class AcknowledgeIncident(Resource):
    """Say that one looks after it."""

    permission: ClassVar = {"POST": Permission.ALERTS_HANDLE}

    @answers(IncidentOutput, takes=Input)
    @idempotent
    def post(self, request: Request, incident_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = services.acknowledge(
            organization_id=asked.organization_id,
            incident_id=selectors.incident_seen(asked, incident_id).id,
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row])[0])


class ResolveIncident(Resource):
    """Say that it is over. Most incidents are over by themselves, when what they tell is so no longer."""

    permission: ClassVar = {"POST": Permission.ALERTS_HANDLE}

    @answers(IncidentOutput, takes=ResolveInput)
    @idempotent
    def post(self, request: Request, incident_id: int) -> Response:
        asked, said = caller(request), valid(ResolveInput, request.data)
        row = services.resolve(
            organization_id=asked.organization_id,
            incident_id=selectors.incident_seen(asked, incident_id).id,
            note=said["note"],
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row])[0])


class Deliveries(Resource):
    """What was told to whom, newest first."""

    permission: ClassVar = {"GET": Permission.ALERTS_MANAGE}

    @listed(
        DeliveryOutput,
        OpenApiParameter("state", str, enum=Delivery.State.values),
        OpenApiParameter("channel_id", int),
        OpenApiParameter("incident_id", int),
    )
    def get(self, request: Request) -> Response:
        said = valid(DeliveryFilter, request.query_params.dict())
        rows = selectors.deliveries(caller(request).organization_id, **said)
        found = paging.page(rows, request, order=("-id",))
        return Response(paging.answer([_delivery(one) for one in found.rows], found.next_cursor))


def _delivery(row: Delivery) -> dict[str, Any]:
    waits = row.state == Delivery.State.WAITING
    same = ("id", "incident_id", "channel_id", "event", "state", "tries", "created_at", "delivered_at")
    told = {name: getattr(row, name) for name in same}
    told |= {"error": row.last_error, "letter": row.bundle, "next_try_at": row.next_try_at if waits else None}
    return dict(DeliveryOutput(told).data)
