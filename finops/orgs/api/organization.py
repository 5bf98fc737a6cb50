"""The organization itself, its members, and its trail."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.audit.models import AuditEvent
from finops.orgs import invitations, selectors, services
from finops.orgs.authentication import caller
from finops.orgs.models import Membership, Organization, Team
from finops.orgs.rules import Permission
from finops.orgs.services.checks import OwnerUnknown


class OrganizationOutput(serializers.ModelSerializer[Organization]):
    class Meta:
        model = Organization
        fields = (
            "slug", "name", "reporting_currency", "timezone", "fiscal_calendar", "fiscal_start_month", "is_demo",
            "created_at",
        )  # fmt: skip


class OrganizationChange(Input):
    name = serializers.CharField(max_length=200, required=False)
    reporting_currency = serializers.RegexField(r"^[A-Z]{3}\Z", required=False)
    timezone = serializers.CharField(max_length=60, required=False)
    fiscal_calendar = serializers.ChoiceField(choices=Organization.Calendar.choices, required=False)
    fiscal_start_month = serializers.IntegerField(min_value=1, max_value=12, required=False)


class MemberOutput(serializers.ModelSerializer[Membership]):
    user_id = serializers.IntegerField()
    email = serializers.CharField(source="user.email")
    name = serializers.CharField(source="user.name")
    teams: serializers.SlugRelatedField[Team] = serializers.SlugRelatedField(
        many=True, read_only=True, slug_field="slug"
    )

    class Meta:
        model = Membership
        fields = ("user_id", "email", "name", "role", "teams", "created_at")


class InvitedOutput(MemberOutput):
    """`letter`: `no_mail_server` when none is set: nothing is sent then, and whoever runs the server hands the link
    over (`manage.py password_link`)."""

    letter = serializers.SerializerMethodField()

    class Meta(MemberOutput.Meta):
        fields = (*MemberOutput.Meta.fields, "letter")  # type: ignore[assignment]

    @extend_schema_field(serializers.ChoiceField(choices=["on_its_way", "no_mail_server"]))
    def get_letter(self, row: Membership) -> str:
        return "on_its_way" if invitations.possible() else "no_mail_server"


class _Teams(serializers.ListField):
    child = serializers.CharField(max_length=80)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=500, help_text="The teams a lead reaches, by slug.", **kwargs)


class MemberInput(Input):
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    teams = _Teams()


class MemberChange(Input):
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    teams = _Teams()


class AuditFilter(serializers.Serializer[Any]):
    subject_kind = serializers.CharField(required=False, max_length=40, default="")
    subject_id = serializers.CharField(required=False, max_length=80, default="")


class AuditOutput(serializers.ModelSerializer[AuditEvent]):
    actor_name = serializers.SerializerMethodField()
    subject_name = serializers.SerializerMethodField()

    class Meta:
        model = AuditEvent
        fields = (
            "id", "at", "actor", "actor_name", "verb", "subject_kind", "subject_id", "subject_name", "details",
        )  # fmt: skip

    def get_actor_name(self, row: AuditEvent) -> str:
        return str(self.context["names"].get(row.actor, row.actor_label or row.actor))

    def get_subject_name(self, row: AuditEvent) -> str:
        key = f"{row.subject_kind}:{row.subject_id}"
        return str(self.context["names"].get(key, row.subject_label or key))


def _team_ids(organization_id: int, slugs: list[str]) -> list[int]:
    found = dict(Team.objects.filter(organization_id=organization_id, slug__in=slugs).values_list("slug", "id"))
    missing = sorted(set(slugs) - set(found))
    if missing:
        raise OwnerUnknown("teams names a team that is not one of this organization", field="teams")
    return sorted(found.values())


class OneOrganization(Resource):
    """The organization the caller acts for."""

    permission: ClassVar = {"GET": Permission.ORG_READ, "PATCH": Permission.ORG_MANAGE}

    @answers(OrganizationOutput)
    def get(self, request: Request) -> Response:
        return Response(OrganizationOutput(selectors.organization(caller(request).organization_id)).data)

    @answers(OrganizationOutput, takes=OrganizationChange)
    def patch(self, request: Request) -> Response:
        """Change its settings."""
        asked, said = caller(request), valid(OrganizationChange, request.data)
        row = services.change_organization(
            organization_id=asked.organization_id, changes=said, by=asked.actor, at=now()
        )
        return Response(OrganizationOutput(row).data)


class Members(Resource):
    """Who may log in to the organization, and as what."""

    permission: ClassVar = Permission.MEMBERS_MANAGE

    @listed(MemberOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.members(caller(request).organization_id), MemberOutput, order=("id",))

    @answers(InvitedOutput, takes=MemberInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Invite somebody. A new login gets a letter with a link to choose a password."""
        asked, said = caller(request), valid(MemberInput, request.data)
        team_ids = _team_ids(asked.organization_id, said.pop("teams", []))
        row = services.invite(
            organization_id=asked.organization_id, team_ids=team_ids, by=asked.actor, at=now(), **said
        )
        letter = partial(
            invitations.send,
            user=row.user,
            organization=selectors.organization(asked.organization_id),
            base_url=request.build_absolute_uri("/").rstrip("/"),
        )
        # A letter that cannot be sent must not undo the membership: it can be asked for again at the login page.
        transaction.on_commit(letter, robust=True)
        return Response(InvitedOutput(row).data, status=201)


class OneMember(Resource):
    """One member."""

    permission: ClassVar = Permission.MEMBERS_MANAGE

    @answers(MemberOutput, takes=MemberChange)
    def patch(self, request: Request, user_id: int) -> Response:
        """Change the role, and the teams a lead reaches."""
        asked, said = caller(request), valid(MemberChange, request.data)
        teams = said.get("teams")
        row = services.change_role(
            organization_id=asked.organization_id,
            user_id=user_id,
            role=said["role"],
            team_ids=None if teams is None else _team_ids(asked.organization_id, teams),
            by=asked.actor,
            at=now(),
        )
        return Response(MemberOutput(row).data)

    @answers(status=204)
    def delete(self, request: Request, user_id: int) -> Response:
        """Take the membership away. The last owner cannot go."""
        asked = caller(request)
        services.remove_member(organization_id=asked.organization_id, user_id=user_id, by=asked.actor, at=now())
        return Response(status=204)


class AuditTrail(Resource):
    """Who did what, newest first."""

    permission: ClassVar = {"GET": Permission.AUDIT_READ}

    @listed(
        AuditOutput,
        OpenApiParameter("subject_kind", OpenApiTypes.STR),
        OpenApiParameter("subject_id", OpenApiTypes.STR),
    )
    def get(self, request: Request) -> Response:
        asked = caller(request)
        wanted = valid(AuditFilter, request.query_params.dict())
        found = paging.page(selectors.audit_events(asked.organization_id, **wanted), request, order=("-at", "-id"))
        names = selectors.audit_names(asked.organization_id, found.rows)
        shown = AuditOutput(found.rows, many=True, context={"names": names}).data
        return Response(paging.answer(shown, found.next_cursor))
