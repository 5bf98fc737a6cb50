"""Teams, projects, agents and customers over REST, addressed by slug."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs import selectors, services
from finops.orgs.api.references import by_id
from finops.orgs.authentication import caller
from finops.orgs.models import Agent, Customer, Project, Team
from finops.orgs.rules import Permission

_READ_WRITE: Final = {
    "GET": Permission.ORG_READ,
    "POST": Permission.ORG_MANAGE,
    "PATCH": Permission.ORG_MANAGE,
}


class _Slug(serializers.CharField):
    """Another owner, by its slug, null for none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=80, allow_null=True, **kwargs)


class TeamOutput(serializers.ModelSerializer[Team]):
    parent = serializers.CharField(source="parent.slug", allow_null=True, default=None)  # type: ignore[assignment]  # DRF takes declared fields out of the class

    class Meta:
        model = Team
        fields = ("id", "slug", "name", "parent", "cost_centre", "created_at", "archived_at")


class ProjectOutput(serializers.ModelSerializer[Project]):
    team = serializers.CharField(source="team.slug", allow_null=True, default=None)

    class Meta:
        model = Project
        fields = ("id", "slug", "name", "team", "created_at", "archived_at")


class AgentOutput(serializers.ModelSerializer[Agent]):
    owner = serializers.CharField(source="owner.slug", allow_null=True, default=None)
    project = serializers.CharField(source="project.slug", allow_null=True, default=None)

    class Meta:
        model = Agent
        fields = ("id", "slug", "name", "owner", "project", "created_at", "archived_at")


class CustomerOutput(serializers.ModelSerializer[Customer]):
    class Meta:
        model = Customer
        fields = ("id", "slug", "name", "created_at", "archived_at")


class _Named(Input):
    name = serializers.CharField(max_length=200)
    slug = serializers.CharField(max_length=80, required=False)


class TeamInput(_Named):
    parent = _Slug(required=False)  # type: ignore[assignment]  # DRF takes declared fields out of the class
    cost_centre = serializers.CharField(max_length=40, required=False, allow_blank=True)


class ProjectInput(_Named):
    team = _Slug(required=False)


class AgentInput(_Named):
    owner = _Slug(required=False)
    project = _Slug(required=False)


class CustomerInput(_Named):
    pass


class TeamChange(Input):
    name = serializers.CharField(max_length=200, required=False)
    cost_centre = serializers.CharField(max_length=40, required=False, allow_blank=True)


class ProjectChange(Input):
    name = serializers.CharField(max_length=200, required=False)
    team = _Slug(required=False)


class AgentChange(Input):
    name = serializers.CharField(max_length=200, required=False)
    owner = _Slug(required=False)
    project = _Slug(required=False)


class CustomerChange(Input):
    name = serializers.CharField(max_length=200, required=False)


class TeamMove(Input):
    parent = _Slug()  # type: ignore[assignment]  # DRF takes declared fields out of the class


def _change(request: Request, kind: str, slug: str, said: dict[str, Any], kinds: dict[str, str]) -> Any:
    asked = caller(request)
    row = selectors.owner(asked.organization_id, kind, slug)
    return services.change_owner(
        organization_id=asked.organization_id,
        kind=kind,
        owner_id=row.id,
        changes=by_id(asked.organization_id, said, kinds),
        by=asked.actor,
        at=now(),
    )


def archived(request: Request, kind: str, slug: str) -> Any:
    """The archived row."""
    asked = caller(request)
    row = selectors.owner(asked.organization_id, kind, slug)
    return services.archive(organization_id=asked.organization_id, kind=kind, owner_id=row.id, by=asked.actor, at=now())


class Teams(Resource):
    """Teams, by slug."""

    permission: ClassVar = _READ_WRITE

    @listed(TeamOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.teams(caller(request).organization_id), TeamOutput, order=("slug",))

    @answers(TeamOutput, takes=TeamInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a team, at the root or below `parent`."""
        asked = caller(request)
        said = by_id(asked.organization_id, valid(TeamInput, request.data), {"parent": "team"})
        row = services.add_team(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(TeamOutput(row).data, status=201)


class OneTeam(Resource):
    """One team."""

    permission: ClassVar = _READ_WRITE

    @answers(TeamOutput)
    def get(self, request: Request, team: str) -> Response:
        return Response(TeamOutput(selectors.owner(caller(request).organization_id, "team", team)).data)

    @answers(TeamOutput, takes=TeamChange)
    def patch(self, request: Request, team: str) -> Response:
        """Change its name or cost centre."""
        return Response(TeamOutput(_change(request, "team", team, valid(TeamChange, request.data), {})).data)


class MoveTeam(Resource):
    """Put a team below another, or at the root (`parent` null). Past charges stay with the team they were booked to."""

    permission: ClassVar = {"POST": Permission.ORG_MANAGE}

    @answers(TeamOutput, takes=TeamMove)
    @idempotent
    def post(self, request: Request, team: str) -> Response:
        asked = caller(request)
        row = selectors.owner(asked.organization_id, "team", team)
        said = by_id(asked.organization_id, valid(TeamMove, request.data), {"parent": "team"})
        row = services.move_team(
            organization_id=asked.organization_id, team_id=row.id, by=asked.actor, at=now(), **said
        )
        return Response(TeamOutput(row).data)


class ArchiveTeam(Resource):
    """Take a team out of use. It keeps its charges; it must be empty."""

    permission: ClassVar = {"POST": Permission.ORG_MANAGE}

    @answers(TeamOutput)
    @idempotent
    def post(self, request: Request, team: str) -> Response:
        return Response(TeamOutput(archived(request, "team", team)).data)


class Projects(Resource):
    """Projects, by slug."""

    permission: ClassVar = _READ_WRITE

    @listed(ProjectOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.projects(caller(request).organization_id), ProjectOutput, order=("slug",))

    @answers(ProjectOutput, takes=ProjectInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a project."""
        asked = caller(request)
        said = by_id(asked.organization_id, valid(ProjectInput, request.data), {"team": "team"})
        row = services.add_project(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(ProjectOutput(row).data, status=201)


class OneProject(Resource):
    """One project."""

    permission: ClassVar = _READ_WRITE

    @answers(ProjectOutput)
    def get(self, request: Request, project: str) -> Response:
        return Response(ProjectOutput(selectors.owner(caller(request).organization_id, "project", project)).data)

    @answers(ProjectOutput, takes=ProjectChange)
    def patch(self, request: Request, project: str) -> Response:
        """Change its name or team."""
        row = _change(request, "project", project, valid(ProjectChange, request.data), {"team": "team"})
        return Response(ProjectOutput(row).data)


class ArchiveProject(Resource):
    """Take a project out of use. It keeps its charges."""

    permission: ClassVar = {"POST": Permission.ORG_MANAGE}

    @answers(ProjectOutput)
    @idempotent
    def post(self, request: Request, project: str) -> Response:
        return Response(ProjectOutput(archived(request, "project", project)).data)


class Agents(Resource):
    """Agents, by slug."""

    permission: ClassVar = _READ_WRITE

    @listed(AgentOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.agents(caller(request).organization_id), AgentOutput, order=("slug",))

    @answers(AgentOutput, takes=AgentInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Add an agent; `owner` is the person who answers for it."""
        asked = caller(request)
        said = by_id(asked.organization_id, valid(AgentInput, request.data), {"owner": "person", "project": "project"})
        row = services.add_agent(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(AgentOutput(row).data, status=201)


class OneAgent(Resource):
    """One agent."""

    permission: ClassVar = _READ_WRITE

    @answers(AgentOutput)
    def get(self, request: Request, agent: str) -> Response:
        return Response(AgentOutput(selectors.owner(caller(request).organization_id, "agent", agent)).data)

    @answers(AgentOutput, takes=AgentChange)
    def patch(self, request: Request, agent: str) -> Response:
        """Change its name, owner or project."""
        kinds = {"owner": "person", "project": "project"}
        row = _change(request, "agent", agent, valid(AgentChange, request.data), kinds)
        return Response(AgentOutput(row).data)


class ArchiveAgent(Resource):
    """Take an agent out of use. It keeps its charges."""

    permission: ClassVar = {"POST": Permission.ORG_MANAGE}

    @answers(AgentOutput)
    @idempotent
    def post(self, request: Request, agent: str) -> Response:
        return Response(AgentOutput(archived(request, "agent", agent)).data)


class Customers(Resource):
    """Customers, by slug."""

    permission: ClassVar = _READ_WRITE

    @listed(CustomerOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.customers(caller(request).organization_id), CustomerOutput, order=("slug",))

    @answers(CustomerOutput, takes=CustomerInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a customer, whom cost is rebilled to."""
        asked, said = caller(request), valid(CustomerInput, request.data)
        row = services.add_customer(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(CustomerOutput(row).data, status=201)


class OneCustomer(Resource):
    """One customer."""

    permission: ClassVar = _READ_WRITE

    @answers(CustomerOutput)
    def get(self, request: Request, customer: str) -> Response:
        return Response(CustomerOutput(selectors.owner(caller(request).organization_id, "customer", customer)).data)

    @answers(CustomerOutput, takes=CustomerChange)
    def patch(self, request: Request, customer: str) -> Response:
        """Change its name."""
        row = _change(request, "customer", customer, valid(CustomerChange, request.data), {})
        return Response(CustomerOutput(row).data)


class ArchiveCustomer(Resource):
    """Take a customer out of use. It keeps its charges."""

    permission: ClassVar = {"POST": Permission.ORG_MANAGE}

    @answers(CustomerOutput)
    @idempotent
    def post(self, request: Request, customer: str) -> Response:
        return Response(CustomerOutput(archived(request, "customer", customer)).data)
