"""What could not be booked, over REST: looked at, replayed, discarded."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers as schema
from finops.api.schema import listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.ingest import selectors, services
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services.quarantine import AlreadySettled
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission


class QuarantinedOutput(serializers.ModelSerializer[QuarantinedRecord]):
    """Without the record's text, which may be large."""

    source = serializers.CharField(source="source.slug", read_only=True)  # type: ignore[assignment]

    class Meta:
        model = QuarantinedRecord
        fields: tuple[str, ...] = (
            "id", "source", "external_id", "code", "field", "message", "parser", "received_at", "state", "settled_at",
        )  # fmt: skip


class QuarantinedDetailOutput(QuarantinedOutput):
    """`raw` is the record's text as it came; bytes that are no UTF-8 are shown as U+FFFD."""

    raw = serializers.SerializerMethodField()

    class Meta(QuarantinedOutput.Meta):
        fields = (*QuarantinedOutput.Meta.fields, "raw")

    @extend_schema_field(OpenApiTypes.STR)
    def get_raw(self, row: QuarantinedRecord) -> str:
        return bytes(row.raw).decode("utf-8", "replace")


class QuarantineFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=QuarantinedRecord.State.choices, required=False, default="")
    code = serializers.CharField(required=False, max_length=80, default="")
    source = serializers.CharField(required=False, max_length=80, default="")  # type: ignore[assignment]


class ReplayInput(Input):
    code = serializers.CharField(required=False, max_length=80, default="")
    source = serializers.CharField(required=False, max_length=80, default="")  # type: ignore[assignment]
    after = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1, default=0)


class ReplayOutput(serializers.Serializer[Any]):
    """`next` is the `after` of the request that goes on; null when no held record is left that was not tried."""

    replayed = serializers.IntegerField()
    booked = serializers.IntegerField()
    held = serializers.IntegerField()
    next = serializers.IntegerField(allow_null=True)


_FILTERS = (
    OpenApiParameter("state", OpenApiTypes.STR, enum=QuarantinedRecord.State.values),
    OpenApiParameter("code", OpenApiTypes.STR),
    OpenApiParameter("source", OpenApiTypes.STR, description="A source's slug."),
)


class Quarantine(Resource):
    """Records that could not be booked, newest first, each with its reason."""

    permission: ClassVar = {"GET": Permission.QUARANTINE_MANAGE}

    @listed(QuarantinedOutput, *_FILTERS)
    def get(self, request: Request) -> Response:
        known = {name: value for name, value in request.query_params.dict().items() if name not in {"cursor", "limit"}}
        wanted = valid(QuarantineFilter, known)
        rows = selectors.quarantine(caller(request).organization_id, **wanted)
        return paged(request, rows, QuarantinedOutput, order=("-received_at", "-id"))


class OneQuarantined(Resource):
    """One record with its text."""

    permission: ClassVar = {"GET": Permission.QUARANTINE_MANAGE}

    @schema(QuarantinedDetailOutput)
    def get(self, request: Request, record_id: int) -> Response:
        row = selectors.quarantined(caller(request).organization_id, record_id)
        return Response(QuarantinedDetailOutput(row).data)


class ReplayOne(Resource):
    """Send a held record through the corridor again."""

    permission: ClassVar = {"POST": Permission.QUARANTINE_MANAGE}

    # Not @idempotent, which makes one transaction of a request: a record is booked once however often it is replayed.
    @schema(QuarantinedOutput)
    def post(self, request: Request, record_id: int) -> Response:
        """Once its reason is gone: a price, an exchange rate, a mended parser. Answers with the record as it is now."""
        asked = caller(request)
        row = selectors.quarantined(asked.organization_id, record_id)
        if row.state != QuarantinedRecord.State.HELD:
            raise AlreadySettled(f"This record is {row.state} already.")
        services.replay(organization_id=asked.organization_id, record_ids=[row.id], by=asked.actor, at=now())
        return Response(QuarantinedOutput(selectors.quarantined(asked.organization_id, record_id)).data)


class ReplayAll(Resource):
    """Send all held records through the corridor again, or those of one code or source."""

    permission: ClassVar = {"POST": Permission.QUARANTINE_MANAGE}

    # Not @idempotent, as above.
    @schema(ReplayOutput, takes=ReplayInput)
    def post(self, request: Request) -> Response:
        """At most 10,000 a request, oldest first; `held` says how many of those stay. Where there are more, send `next`
        as `after` to go on behind them.
        """
        asked, wanted = caller(request), valid(ReplayInput, request.data or {})
        done = services.replay_held(organization_id=asked.organization_id, by=asked.actor, at=now(), **wanted)
        booked = done.records - done.held
        return Response({"replayed": done.records, "booked": booked, "held": done.held, "next": done.after or None})


class DiscardOne(Resource):
    """Give a held record up. It stays readable."""

    permission: ClassVar = {"POST": Permission.QUARANTINE_MANAGE}

    @schema(QuarantinedOutput)
    @idempotent
    def post(self, request: Request, record_id: int) -> Response:
        asked = caller(request)
        row = services.discard(organization_id=asked.organization_id, record_id=record_id, by=asked.actor, at=now())
        return Response(QuarantinedOutput(row).data)
