"""Sources over REST."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from finops.sources import selectors, services
from finops.sources.models import Source


class SourceOutput(serializers.ModelSerializer[Source]):
    class Meta:
        model = Source
        fields = ("slug", "name", "kind", "level", "revises", "last_received_at", "created_at", "archived_at")


class SourceInput(Input):
    slug = serializers.CharField(max_length=80)
    name = serializers.CharField(max_length=200, required=False, default="")
    kind = serializers.ChoiceField(choices=services.KINDS, default="api")
    level = serializers.ChoiceField(choices=Source.Level.choices, default=Source.Level.METERED)
    revises = serializers.BooleanField(default=False)


class SourceChange(Input):
    name = serializers.CharField(max_length=200)


class Sources(Resource):
    """Where usage comes from, by slug."""

    permission: ClassVar = {"GET": Permission.ORG_READ, "POST": Permission.SOURCES_MANAGE}

    @listed(SourceOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.sources(caller(request).organization_id), SourceOutput, order=("slug",))

    @answers(SourceOutput, takes=SourceInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Configure a source. Its slug is part of every charge's identity and cannot change later."""
        asked, said = caller(request), valid(SourceInput, request.data)
        row = services.add_source(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(SourceOutput(row).data, status=201)


class OneSource(Resource):
    """One source."""

    permission: ClassVar = {"GET": Permission.ORG_READ, "PATCH": Permission.SOURCES_MANAGE}

    @answers(SourceOutput)
    def get(self, request: Request, source: str) -> Response:
        return Response(SourceOutput(selectors.source(caller(request).organization_id, source)).data)

    @answers(SourceOutput, takes=SourceChange)
    def patch(self, request: Request, source: str) -> Response:
        """Rename it."""
        asked, said = caller(request), valid(SourceChange, request.data)
        row = selectors.source(asked.organization_id, source)
        row = services.rename_source(
            organization_id=asked.organization_id, source_id=row.id, by=asked.actor, at=now(), **said
        )
        return Response(SourceOutput(row).data)


class ArchiveSource(Resource):
    """Refuse usage from this source from now on."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(SourceOutput)
    @idempotent
    def post(self, request: Request, source: str) -> Response:
        asked = caller(request)
        row = selectors.source(asked.organization_id, source)
        row = services.archive_source(organization_id=asked.organization_id, source_id=row.id, by=asked.actor, at=now())
        return Response(SourceOutput(row).data)
