"""Cost, energy and value side by side, over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers
from finops.api.views import Resource, now
from finops.energy.api_shapes import FootprintOutput, RangeOutput, footprint, ranged
from finops.ledger.api import questions, shapes
from finops.ledger.api.shapes import MoneyField, NamedOutput, PeriodOutput
from finops.ledger.rules.questions import one_of
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.value import rules, selectors
from routing.value.types import Line, Scored


class TasksOutput(serializers.Serializer[Any]):
    """A task is a session, or a call that has none. It is completed where the mean of what was said of its calls is at
    least 0.5. `calls` are those of the scored tasks. `completed_share` has bounds of 95 %; `few`: fewer than 20 are
    scored, which says little. Costs and energy are of the scored tasks whole, also of those that were not completed;
    null where nothing is completed, and energy as well where that of some is unknown.
    """

    scored = serializers.IntegerField()
    calls = serializers.IntegerField()
    completed = serializers.IntegerField()
    few = serializers.BooleanField()
    mean_score = serializers.FloatField(allow_null=True)
    completed_share = RangeOutput(allow_null=True)
    cost = MoneyField()
    cost_per_completed = MoneyField(allow_null=True)
    wh_per_completed = RangeOutput(allow_null=True)


class ValueLineOutput(serializers.Serializer[Any]):
    """`group` is null for the total."""

    group = NamedOutput(allow_null=True)
    calls = serializers.IntegerField()
    reporting_cost = MoneyField()
    footprint = FootprintOutput()
    value = TasksOutput()


class ValueOutput(serializers.Serializer[Any]):
    """Those groups on which most was spent, of `groups`; `total` is of all of them."""

    period = PeriodOutput()
    by = serializers.ChoiceField(choices=list(rules.BY))
    reporting_currency = serializers.CharField()
    groups = serializers.IntegerField()
    lines = ValueLineOutput(many=True)
    total = ValueLineOutput()


class Value(Resource):
    """What was spent, how much energy it took, and how many tasks were completed with it, by person, project, task type
    and others.
    """

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(
        ValueOutput,
        parameters=(
            *questions.PERIOD,
            *questions.FILTERS,
            OpenApiParameter("by", OpenApiTypes.STR, enum=list(rules.BY), default="project"),
            OpenApiParameter(
                "limit", {"type": "integer", "minimum": 1, "maximum": selectors.MOST_LINES, "default": 50}
            ),
        ),
    )
    def get(self, request: Request) -> Response:
        """At most 92 days. Needs `spend.read` too, and `spend.read_people` by person, as spend does."""
        asking, query = caller(request), request.query_params
        organization = orgs.organization(asking.organization_id)
        asked = questions.read(query, asking, organization, today=now().date(), words=("by", "limit"))
        by = one_of(query.get("by", ""), rules.BY, field="by", default="project")
        limit = questions.whole(query, "limit", default=50, most=selectors.MOST_LINES)
        found = selectors.report(asking, asked.dimensions, asked.period.days, by=by, filters=asked.filters, limit=limit)
        return Response(
            {
                "period": shapes.period(found.days),
                "by": found.by,
                "reporting_currency": organization.reporting_currency,
                "groups": found.groups,
                "lines": [_line(one) for one in found.lines],
                "total": _line(found.total),
            }
        )


def _line(one: Line) -> dict[str, Any]:
    return {
        "group": None if one.group is None else one.group._asdict(),
        "calls": one.calls,
        "reporting_cost": shapes.money(one.cost),
        "footprint": footprint(one.footprint),
        "value": _tasks(one.scored),
    }


def _tasks(one: Scored) -> dict[str, Any]:
    share, each = one.share, one.cost_each
    return {
        "scored": one.scored,
        "calls": one.calls,
        "completed": one.completed,
        "few": one.few,
        "mean_score": one.mean,
        "completed_share": None if share is None else {"lower": share.lower, "upper": share.upper},
        "cost": shapes.money(one.cost),
        "cost_per_completed": None if each is None else shapes.money(each),
        "wh_per_completed": ranged(one.wh_each),
    }
