"""Rules under way and what they saved, over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers, listed
from finops.api.views import Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.rollouts import selectors, services
from routing.rollouts.api_shapes import (
    MONTH,
    OF_RULE,
    STATE,
    PaceInput,
    RolloutOutput,
    RolloutsFilter,
    SavingsFilter,
    SavingsOutput,
)


def _wished(request: Request, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """Filters as said in the address; of others nobody is told."""
    names = kind().fields
    plain = {name: value for name, value in request.query_params.dict().items() if value and name in names}
    return {("rule_id" if name == "rule" else name): value for name, value in valid(kind, plain).items()}


class Rollouts(Resource):
    """Rules under way, and those that were: newest first."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @listed(RolloutOutput, STATE, OF_RULE)
    def get(self, request: Request) -> Response:
        rows = selectors.rollouts(caller(request).organization_id, **_wished(request, RolloutsFilter))
        return paged(request, rows, RolloutOutput, order=("-id",))


class RolloutOfRule(Resource):
    """A rule's rollout, the last one."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ, "PATCH": Permission.ROUTING_MANAGE}

    @answers(RolloutOutput)
    def get(self, request: Request, rollout_rule_id: int) -> Response:
        return Response(RolloutOutput(selectors.rollout_of(caller(request).organization_id, rollout_rule_id)).data)

    @answers(RolloutOutput, takes=PaceInput)
    def patch(self, request: Request, rollout_rule_id: int) -> Response:
        """How it goes on: by itself or not, and after how many scored sessions and minutes at each step."""
        asked, changes = caller(request), valid(PaceInput, request.data)
        row = services.change_pace(
            organization_id=asked.organization_id, rule_id=rollout_rule_id, changes=changes, by=asked.actor, at=now()
        )
        return Response(RolloutOutput(row).data)


class Savings(Resource):
    """What rules saved, verified, by month: newest first."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @listed(SavingsOutput, OF_RULE, MONTH)
    def get(self, request: Request) -> Response:
        rows = selectors.savings(caller(request).organization_id, **_wished(request, SavingsFilter))
        return paged(request, rows, SavingsOutput, order=("-month", "-id"))
