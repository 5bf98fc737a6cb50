"""Sources over REST."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.connectors.enforcement import CONNECTORS
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from finops.sources import selectors, services
from finops.sources.models import Source, SourceAccess


class SourceOutput(serializers.ModelSerializer[Source]):
    class Meta:
        model = Source
        fields = (
            "slug",
            "name",
            "kind",
            "level",
            "revises",
            "last_received_at",
            "created_at",
            "paused_at",
            "archived_at",
        )


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


class PauseSource(Resource):
    """Keep what this source sends, and book none of it."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(SourceOutput)
    @idempotent
    def post(self, request: Request, source: str) -> Response:
        """From now on its records wait in quarantine (`ingest.source_paused`); its senders are answered as ever."""
        asked = caller(request)
        row = selectors.source(asked.organization_id, source)
        row = services.pause_source(organization_id=asked.organization_id, source_id=row.id, by=asked.actor, at=now())
        return Response(SourceOutput(row).data)


class ResumeSource(Resource):
    """Book what this source sends again."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(SourceOutput)
    @idempotent
    def post(self, request: Request, source: str) -> Response:
        """What waits in quarantine is replayed there."""
        asked = caller(request)
        row = selectors.source(asked.organization_id, source)
        row = services.resume_source(organization_id=asked.organization_id, source_id=row.id, by=asked.actor, at=now())
        return Response(SourceOutput(row).data)


class SourceAccessInput(Input):
    connector = serializers.ChoiceField(choices=list(CONNECTORS))
    credential = serializers.CharField(
        max_length=2_000, help_text="Of an admin there. It is sealed, and never shown again."
    )
    address = serializers.CharField(
        max_length=300, required=False, default="", help_text="Of the proxy; a provider's own is known."
    )
    reporting_delay_s = serializers.FloatField(
        min_value=0.001,
        max_value=services.LONGEST_DELAY.total_seconds(),
        required=False,
        help_text="How late its usage is told, at the latest.",
    )
    takes_effect_s = serializers.FloatField(
        min_value=0,
        max_value=services.LONGEST_EFFECT.total_seconds(),
        required=False,
        help_text="How long calls go on after a block.",
    )


class SourceAccessOutput(serializers.Serializer[Any]):
    """Without the credential."""

    connector = serializers.CharField()
    address = serializers.CharField()
    reporting_delay_s = serializers.FloatField()
    takes_effect_s = serializers.FloatField()
    set_at = serializers.DateTimeField()


def _shown(row: SourceAccess) -> dict[str, Any]:
    said = {
        "connector": row.connector,
        "address": row.address,
        "reporting_delay_s": row.reporting_delay.total_seconds(),
        "takes_effect_s": row.takes_effect.total_seconds(),
        "set_at": row.set_at,
    }
    return dict(SourceAccessOutput(said).data)


class AccessOfSource(Resource):
    """How the source's administration is reached, to block keys there before a cap is passed."""

    permission: ClassVar = {"GET": Permission.SOURCES_MANAGE, "POST": Permission.SOURCES_MANAGE}

    @answers(SourceAccessOutput)
    def get(self, request: Request, source: str) -> Response:
        organization_id = caller(request).organization_id
        found = selectors.source(organization_id, source)
        return Response(_shown(selectors.access_of(organization_id, found)))

    @answers(SourceAccessOutput, takes=SourceAccessInput)
    @idempotent
    def post(self, request: Request, source: str) -> Response:
        """Set it, or set it anew."""
        asked, said = caller(request), valid(SourceAccessInput, request.data)
        found = selectors.source(asked.organization_id, source)
        for name in ("reporting_delay", "takes_effect"):
            if f"{name}_s" in said:
                said[name] = timedelta(seconds=said.pop(f"{name}_s"))
        row = services.set_access(
            organization_id=asked.organization_id, source_id=found.id, **said, by=asked.actor, at=now()
        )
        return Response(_shown(row))


class RemoveAccessOfSource(Resource):
    """Forget the credential. Keys that are blocked there stay so."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(takes=Input, status=204)
    @idempotent
    def post(self, request: Request, source: str) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        found = selectors.source(asked.organization_id, source)
        services.remove_access(organization_id=asked.organization_id, source_id=found.id, by=asked.actor, at=now())
        return Response(status=204)
