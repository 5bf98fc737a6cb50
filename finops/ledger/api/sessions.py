"""Sessions: runs of calls, and one of them as the tree of its sub-agents."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers
from finops.api.views import Resource, now
from finops.core.errors import NotFound
from finops.ledger import selectors
from finops.ledger.api import questions, shapes
from finops.ledger.api.questions import Asked
from finops.ledger.api.shapes import MoneyField, NamedOutput, PeriodOutput, money
from finops.ledger.rules.questions import QuestionUnclear
from finops.ledger.rules.trees import Branch
from finops.ledger.selectors import SessionTree
from finops.ledger.selectors.sessions import FILTERS as SESSION_FILTERS
from finops.ledger.selectors.sessions import refuse_beyond
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

SESSIONS_MOST: Final = 500


class SessionOutput(shapes.MeasuresOutput, shapes.CostsOutput):
    session = serializers.CharField()
    person = NamedOutput(allow_null=True)
    agent = NamedOutput(allow_null=True)
    project = NamedOutput(allow_null=True)
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class SessionsOutput(serializers.Serializer[Any]):
    period = PeriodOutput()
    rows = SessionOutput(many=True)


class Sessions(Resource):
    """Runs of calls by a person or an agent: those whose last call fell in the period, dearest first."""

    permission: ClassVar = {"GET": Permission.CHARGES_READ}

    @answers(
        SessionsOutput,
        parameters=(
            *questions.PERIOD,
            *(
                OpenApiParameter(f"filter.{name}", OpenApiTypes.STR, description="Slugs or ids, separated by commas.")
                for name in SESSION_FILTERS
            ),
            questions.SESSION,
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": SESSIONS_MOST, "default": 100}),
        ),
    )
    def get(self, request: Request) -> Response:
        """Without `spend.read_people` these are the caller's own. Sub-agents of a session have rows of their own."""
        asking, query = caller(request), request.query_params
        organization = orgs.organization(asking.organization_id)
        asked = questions.read(query, asking, organization, today=now().date(), words=("session", "limit"))
        limit = questions.whole(query, "limit", default=100, most=SESSIONS_MOST)
        session = questions.text(query, "session")
        for name in asked.filters:
            if name not in SESSION_FILTERS:
                raise QuestionUnclear(f"Sessions are not kept by {name}.", field=f"filter.{name}")
        filters = asked.charge_filters()
        refuse_beyond(filters)
        rows: list[selectors.SessionRow] = []
        if all(filters.values()):
            rows = selectors.sessions(
                asked.caller.organization_id, asked.period.days, session=session, filters=filters, limit=limit
            )
        return Response({"period": shapes.period(asked.period.days), "rows": _sessions(asked, rows)})


def _sessions(asked: Asked, rows: list[selectors.SessionRow]) -> list[dict[str, Any]]:
    called = selectors.named(
        asked.caller.organization_id,
        {name: {getattr(row, f"{name}_id") for row in rows} - {0} for name in SESSION_FILTERS},
    )

    def whose(name: str, one: int) -> dict[str, Any] | None:
        return shapes.named(called[name][one]) if one else None

    return [
        {
            "session": row.session,
            "person": whose("person", row.person_id),
            "agent": whose("agent", row.agent_id),
            "project": whose("project", row.project_id),
            "first_at": row.first_at,
            "last_at": row.last_at,
            "calls": row.calls,
            "input_tokens": row.input_tokens,
            "cached_tokens": row.cached_tokens,
            "output_tokens": row.output_tokens,
            "currency": row.currency,
            "list_cost": money(row.list_cost),
            "contracted_cost": money(row.contracted_cost),
            "effective_cost": money(row.effective_cost),
            "reporting_cost": money(row.reporting_cost),
        }
        for row in rows
    ]


class BranchOutput(shapes.MeasuresOutput):
    """One sub-agent's calls; `agent_id` and `parent_agent_id` are the client's own ids, '' for the session itself."""

    agent_id = serializers.CharField()
    parent_agent_id = serializers.CharField(help_text="The one it stands below here.")
    depth = serializers.IntegerField(help_text="0 for the session's own calls.")
    kind = serializers.CharField(help_text="What the client calls such an agent, where it says so.")
    agents = NamedOutput(many=True)
    models = NamedOutput(many=True)
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    reporting_cost_with_below = MoneyField(help_text="Its own calls and those of all below it.")


class TreeOutput(serializers.Serializer[Any]):
    session = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    whole = serializers.BooleanField(help_text="False where the session began more than 31 days before its last call.")
    agents = serializers.IntegerField(help_text="How many made calls; the 500 costliest are told.")
    calls = serializers.IntegerField()
    reporting_cost = MoneyField()
    rows = BranchOutput(many=True)


class OneTree(Resource):
    """A session as a tree: its own calls, its sub-agents, theirs, and what each came to."""

    permission: ClassVar = {"GET": Permission.CHARGES_READ}

    @answers(TreeOutput, parameters=(questions.SESSION,))
    def get(self, request: Request) -> Response:
        """Without `spend.read_people` of the caller's own calls. Depth first, the costliest of a parent first."""
        asking = caller(request)
        questions.only(request.query_params, {"session"})
        session = questions.text(request.query_params, "session")
        if not session:
            raise QuestionUnclear("Say which session.", field="session")
        filters = selectors.dimensions(asking.organization_id).charge_filters(asking, {})
        found = None
        if all(filters.values()):
            found = selectors.session_tree(asking.organization_id, session, filters=filters)
        if found is None:
            raise NotFound("there is no such session")
        return Response(_tree(asking.organization_id, found))


def _tree(organization_id: int, found: SessionTree) -> dict[str, Any]:
    called = selectors.names_of(organization_id, found)

    def row(branch: Branch) -> dict[str, Any]:
        work = branch.work
        return {
            "agent_id": work.agent,
            "parent_agent_id": branch.parent,
            "depth": branch.depth,
            "kind": work.kind,
            "agents": [shapes.named(called["agent"][one]) for one in work.agents],
            "models": [shapes.named(called["model"][one]) for one in work.models],
            "first_at": work.first_at,
            "last_at": work.last_at,
            "calls": work.calls,
            "input_tokens": work.input_tokens,
            "cached_tokens": work.cached_tokens,
            "output_tokens": work.output_tokens,
            "reporting_cost": money(work.reporting_cost),
            "reporting_cost_with_below": money(branch.cost_with_below),
        }

    return {
        "session": found.session,
        "since": found.since,
        "until": found.until,
        "whole": found.whole,
        "agents": found.agents,
        "calls": found.calls,
        "reporting_cost": money(found.reporting_cost),
        "rows": [row(branch) for branch in found.branches],
    }
