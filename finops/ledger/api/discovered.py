"""Names that sources told and nobody has, and giving one to a person."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers
from finops.api.views import Resource, now, valid
from finops.ledger import selectors
from finops.ledger.api import questions, shapes
from finops.ledger.api.shapes import MoneyField, PeriodOutput
from finops.ledger.selectors.discovered import MOST
from finops.orgs import selectors as orgs
from finops.orgs import services
from finops.orgs.api.people import IdentityInput, IdentityOutput
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission, whole_organization


class SuggestedOutput(serializers.Serializer[Any]):
    """Whom the name may be. Nobody is assigned by it."""

    person = serializers.CharField(help_text="A slug.")
    name = serializers.CharField()
    reason = serializers.CharField()


class DiscoveredOutput(serializers.Serializer[Any]):
    kind = serializers.CharField()
    value = serializers.CharField()
    calls = serializers.IntegerField()
    reporting_cost = MoneyField()
    last_seen = serializers.DateTimeField()
    sources = serializers.ListField(child=serializers.CharField())
    suggestion = SuggestedOutput(allow_null=True)


class DiscoveredListOutput(serializers.Serializer[Any]):
    period = PeriodOutput()
    reporting_currency = serializers.CharField()
    rows = DiscoveredOutput(many=True)


class DiscoveredPeople(Resource):
    """Names that sources told in the last 90 days, of calls without a person, and that are nobody's identity."""

    permission: ClassVar = {"GET": Permission.PEOPLE_MANAGE}

    @answers(
        DiscoveredListOutput,
        parameters=(OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 100}),),
    )
    def get(self, request: Request) -> Response:
        """The costliest first. Needs `spend.read` and `spend.read_people` too, of the whole organization.

        A call that tells two such names counts under both. `suggestion` is whom a name may be, and why; null where
        nobody is much like it, or two are equally.
        """
        asked, at = caller(request), now()
        whole_organization(asked, group_by=("person",))
        questions.only(request.query_params, ("limit",))
        most = questions.whole(request.query_params, "limit", default=100, most=MOST)
        found = selectors.discovered(asked.organization_id, at=at, most=most)
        return Response(
            {
                "period": shapes.period(selectors.looked_back(at)),
                "reporting_currency": orgs.organization(asked.organization_id).reporting_currency,
                "rows": [_row(one) for one in found],
            }
        )


def _row(one: selectors.Discovered) -> dict[str, Any]:
    like = {"person": one.person.slug, "name": one.person.name, "reason": one.reason} if one.person else None
    return {
        "kind": one.kind,
        "value": one.value,
        "calls": one.calls,
        "reporting_cost": shapes.money(one.cost),
        "last_seen": one.last_seen,
        "sources": list(one.sources),
        "suggestion": like,
    }


class AssignInput(IdentityInput):
    """`person` (a slug), or `name` for somebody new."""

    person = serializers.CharField(max_length=80, required=False)
    name = serializers.CharField(max_length=200, required=False)


class HistoryOutput(serializers.Serializer[Any]):
    """What to POST where, for calls of before."""

    address = serializers.CharField()
    body = PeriodOutput()


class AssignedOutput(serializers.Serializer[Any]):
    person = serializers.CharField(help_text="A slug.")
    identity = IdentityOutput()
    history = HistoryOutput()


class AssignDiscovered(Resource):
    """Give a name that sources told to a person, or to a new one."""

    permission: ClassVar = {"POST": Permission.PEOPLE_MANAGE}

    @answers(AssignedOutput, takes=AssignInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Calls that tell it are theirs from now on. For calls of before, send `history.body` to `history.address`:
        the job attributes those days again.
        """
        asked, said, at = caller(request), valid(AssignInput, request.data), now()
        person = said.get("person")
        made = services.assign_identity(
            organization_id=asked.organization_id,
            kind=said["kind"],
            value=said["value"],
            person_id=orgs.owner(asked.organization_id, "person", person).id if person else None,
            name=said.get("name", ""),
            by=asked.actor,
            at=at,
        )
        body = {
            "person": made.person.slug,
            "identity": IdentityOutput(made).data,
            "history": {"address": "/api/v1/reattributions", "body": shapes.period(selectors.looked_back(at))},
        }
        return Response(body, status=201)
