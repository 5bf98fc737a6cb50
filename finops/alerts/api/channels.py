"""Where news goes, over REST. Addresses go in and never come out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.alerts import selectors
from finops.alerts.models import Channel
from finops.alerts.rules.addresses import LONGEST
from finops.alerts.services import channels as services
from finops.alerts.services.deliveries import test_channel
from finops.alerts.types import ChannelDraft, Medium
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

_SAME = (
    "id", "name", "kind", "hint", "timezone", "quiet_from", "quiet_until", "critical_always", "digest_minutes",
    "created_at", "archived_at",
)  # fmt: skip


class ChannelOutput(serializers.ModelSerializer[Channel]):
    """`hint` is what may be shown of the address. Quiet hours are of `timezone`; what is critical goes out in them too,
    unless `critical_always` is off. `digest_minutes` is how long a digest gathers.
    """

    class Meta:
        model = Channel
        fields: tuple[str, ...] = _SAME


class ChannelMadeOutput(ChannelOutput):
    """`secret` signs the webhook's posts, and is shown this once; null for other kinds."""

    secret = serializers.CharField(allow_null=True)

    class Meta(ChannelOutput.Meta):
        fields = (*_SAME, "secret")


class ChannelChange(Input):
    name = serializers.CharField(max_length=200, required=False)
    address = serializers.CharField(
        max_length=LONGEST,
        required=False,
        help_text="E-mail addresses with commas between; Slack's incoming webhook; the address of a Teams workflow; "
        "PagerDuty's integration key; https://… for a webhook.",
    )
    timezone = serializers.CharField(max_length=60, required=False)
    quiet_from = serializers.TimeField(required=False, allow_null=True)
    quiet_until = serializers.TimeField(required=False, allow_null=True)
    critical_always = serializers.BooleanField(required=False)
    digest_minutes = serializers.IntegerField(min_value=1, max_value=1_440, required=False)


class ChannelInput(ChannelChange):
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=[one.value for one in Medium])
    address = serializers.CharField(max_length=LONGEST, help_text=ChannelChange().fields["address"].help_text)


class TriedOutput(serializers.Serializer[Any]):
    """What became of a test: `delivered`, or `failed` and why."""

    delivery_id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["delivered", "failed"])
    error = serializers.CharField(allow_blank=True)


def _made(made: services.Made, status: int) -> Response:
    body = {**ChannelOutput(made.channel).data, "secret": made.secret or None}
    return Response(body, status=status)


class Channels(Resource):
    """Where news goes, by id."""

    permission: ClassVar = {"GET": Permission.ALERTS_MANAGE, "POST": Permission.ALERTS_MANAGE}
    secret_fields: ClassVar = ("secret",)

    @listed(ChannelOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.channels(caller(request).organization_id), ChannelOutput, order=("id",))

    @answers(ChannelMadeOutput, takes=ChannelInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Make a channel. A webhook's secret is in this answer and in none after it."""
        asked, said = caller(request), valid(ChannelInput, request.data)
        made = services.add_channel(
            organization_id=asked.organization_id, draft=ChannelDraft(**said), by=asked.actor, at=now()
        )
        return _made(made, 201)


class OneChannel(Resource):
    """One channel."""

    permission: ClassVar = {"GET": Permission.ALERTS_MANAGE, "PATCH": Permission.ALERTS_MANAGE}

    @answers(ChannelOutput)
    def get(self, request: Request, channel_id: int) -> Response:
        return Response(ChannelOutput(selectors.channel(caller(request).organization_id, channel_id)).data)

    @answers(ChannelOutput, takes=ChannelChange)
    def patch(self, request: Request, channel_id: int) -> Response:
        """Change what is named; its kind stays."""
        asked, said = caller(request), valid(ChannelChange, request.data)
        row = selectors.channel(asked.organization_id, channel_id)
        row = services.change_channel(
            organization_id=asked.organization_id,
            channel_id=channel_id,
            draft=replace(services.draft_of(row), **said),
            by=asked.actor,
            at=now(),
        )
        return Response(ChannelOutput(row).data)


class ArchiveChannel(Resource):
    """Nothing goes to it any more, and its address is forgotten."""

    permission: ClassVar = {"POST": Permission.ALERTS_MANAGE}

    @answers(ChannelOutput, takes=Input)
    @idempotent
    def post(self, request: Request, channel_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = services.archive_channel(
            organization_id=asked.organization_id, channel_id=channel_id, by=asked.actor, at=now()
        )
        return Response(ChannelOutput(row).data)


class RenewSecret(Resource):
    """Another secret to sign a webhook's posts with, from now on; shown this once."""

    permission: ClassVar = {"POST": Permission.ALERTS_MANAGE}
    secret_fields: ClassVar = ("secret",)

    @answers(ChannelMadeOutput, takes=Input)
    @idempotent
    def post(self, request: Request, channel_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        return _made(
            services.renew_secret(
                organization_id=asked.organization_id, channel_id=channel_id, by=asked.actor, at=now()
            ),
            200,
        )


class TestChannel(Resource):
    """Send a test at once, whatever the hour, and say what became of it."""

    permission: ClassVar = {"POST": Permission.ALERTS_MANAGE}

    @answers(TriedOutput, takes=Input)
    @idempotent
    def post(self, request: Request, channel_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = test_channel(organization_id=asked.organization_id, channel_id=channel_id, by=asked.actor, now=now)
        told = {"delivery_id": row.id, "state": row.state, "error": row.last_error}
        return Response(TriedOutput(told).data)
