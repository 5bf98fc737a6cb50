"""People and their identities over REST. Who may only see that somebody exists sees no address and no identity."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs import selectors, services
from finops.orgs.api.owners import archived
from finops.orgs.api.references import by_id
from finops.orgs.authentication import caller
from finops.orgs.models import Identity, Person
from finops.orgs.rules import Caller, Permission


class IdentityOutput(serializers.ModelSerializer[Identity]):
    class Meta:
        model = Identity
        fields = ("id", "kind", "value")


class PersonOutput(serializers.ModelSerializer[Person]):
    """`email` and `identities` are there for callers with `people.manage`."""

    team = serializers.CharField(source="team.slug", allow_null=True, default=None)
    identities = serializers.SerializerMethodField()

    class Meta:
        model = Person
        fields = ("id", "slug", "name", "email", "team", "identities", "created_at", "archived_at", "erased_at")

    def get_identities(self, row: Person) -> list[dict[str, Any]]:
        known = [identity for identity in row.identities.all() if identity.archived_at is None]
        known.sort(key=lambda identity: identity.id)
        return [{"id": each.id, "kind": each.kind, "value": each.value} for each in known]

    def to_representation(self, instance: Person) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        asked: Caller | None = self.context.get("caller")
        if asked is None or not asked.can(Permission.PEOPLE_MANAGE):
            del shown["email"], shown["identities"]
        return shown


class IdentityInput(Input):
    kind = serializers.ChoiceField(choices=Identity.Kind.choices)
    value = serializers.CharField(max_length=200)


class PersonInput(Input):
    name = serializers.CharField(max_length=200)
    slug = serializers.CharField(max_length=80, required=False)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    team = serializers.CharField(max_length=80, required=False, allow_null=True)
    identities = IdentityInput(many=True, required=False)


class PersonChange(Input):
    name = serializers.CharField(max_length=200, required=False)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    team = serializers.CharField(max_length=80, required=False, allow_null=True)


def shown(asked: Caller, row: Person) -> dict[str, Any]:
    return dict(PersonOutput(row, context={"caller": asked}).data)


class People(Resource):
    """People, by slug."""

    permission: ClassVar = {"GET": Permission.PEOPLE_READ, "POST": Permission.PEOPLE_MANAGE}

    @listed(PersonOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        rows = selectors.people(asked.organization_id)
        return paged(request, rows, PersonOutput, order=("slug",), context={"caller": asked})

    @answers(PersonOutput, takes=PersonInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Add somebody who spends. The e-mail address becomes an identity."""
        asked = caller(request)
        said = by_id(asked.organization_id, valid(PersonInput, request.data), {"team": "team"})
        names = [(each["kind"], each["value"]) for each in said.pop("identities", [])]
        row = services.add_person(
            organization_id=asked.organization_id, identities=names, by=asked.actor, at=now(), **said
        )
        return Response(shown(asked, row), status=201)


class OnePerson(Resource):
    """One person."""

    permission: ClassVar = {"GET": Permission.PEOPLE_READ, "PATCH": Permission.PEOPLE_MANAGE}

    @answers(PersonOutput)
    def get(self, request: Request, person: str) -> Response:
        asked = caller(request)
        return Response(shown(asked, selectors.owner(asked.organization_id, "person", person)))

    @answers(PersonOutput, takes=PersonChange)
    def patch(self, request: Request, person: str) -> Response:
        """Change name, address or team. Past charges stay with the team they were booked to."""
        asked = caller(request)
        row = selectors.owner(asked.organization_id, "person", person)
        row = services.change_owner(
            organization_id=asked.organization_id,
            kind="person",
            owner_id=row.id,
            changes=by_id(asked.organization_id, valid(PersonChange, request.data), {"team": "team"}),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked, row))


class ArchivePerson(Resource):
    """Take somebody out of use who left. Their name and charges stay; see `erase`."""

    permission: ClassVar = {"POST": Permission.PEOPLE_MANAGE}

    @answers(PersonOutput)
    @idempotent
    def post(self, request: Request, person: str) -> Response:
        return Response(shown(caller(request), archived(request, "person", person)))


class Identities(Resource):
    """The names a person goes by elsewhere."""

    permission: ClassVar = {"GET": Permission.PEOPLE_MANAGE, "POST": Permission.PEOPLE_MANAGE}

    @listed(IdentityOutput)
    def get(self, request: Request, person: str) -> Response:
        asked = caller(request)
        row = selectors.owner(asked.organization_id, "person", person)
        rows = selectors.identities(asked.organization_id, person_id=row.id)
        return paged(request, rows, IdentityOutput, order=("kind", "value", "id"))

    @answers(IdentityOutput, takes=IdentityInput, status=201)
    @idempotent
    def post(self, request: Request, person: str) -> Response:
        """Usage that names this identity is the person's from now on."""
        asked, said = caller(request), valid(IdentityInput, request.data)
        row = selectors.owner(asked.organization_id, "person", person)
        made = services.add_identity(
            organization_id=asked.organization_id, person_id=row.id, by=asked.actor, at=now(), **said
        )
        return Response(IdentityOutput(made).data, status=201)


class OneIdentity(Resource):
    """One name of a person."""

    permission: ClassVar = {"DELETE": Permission.PEOPLE_MANAGE}

    @answers(status=204)
    def delete(self, request: Request, identity_id: int) -> Response:
        """The person no longer goes by this name. What was attributed by it stays."""
        asked = caller(request)
        services.remove_identity(
            organization_id=asked.organization_id, identity_id=identity_id, by=asked.actor, at=now()
        )
        return Response(status=204)
