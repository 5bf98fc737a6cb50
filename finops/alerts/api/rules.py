"""What is listened for, and who is told, over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.alerts import selectors
from finops.alerts.models import AlertRule
from finops.alerts.rules.kinds import PARAMS
from finops.alerts.services import rules as services
from finops.alerts.types import Kind, RuleDraft
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

_KINDS = [kind.value for kind in Kind]
_PARAMS = "By kind. " + "; ".join(f"`{kind}`: {', '.join(known)}" for kind, known in PARAMS.items() if known)


class AlertRuleOutput(serializers.ModelSerializer[AlertRule]):
    """`every_channel` tells all channels there are and will be; else those of `channel_ids`. With `digest` it waits for
    the channel's next digest.
    """

    params = serializers.DictField()
    channel_ids = serializers.ListField(child=serializers.IntegerField())

    class Meta:
        model = AlertRule
        fields = (
            "id", "name", "kind", "params", "channel_ids", "every_channel", "digest", "enabled", "created_at",
            "archived_at",
        )  # fmt: skip


class AlertRuleChange(Input):
    name = serializers.CharField(max_length=200, required=False)
    params = serializers.DictField(required=False, help_text=_PARAMS)
    channel_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**31 - 1),
        max_length=services.MOST_CHANNELS,
        required=False,
    )
    every_channel = serializers.BooleanField(required=False)
    digest = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)


class AlertRuleInput(AlertRuleChange):
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=_KINDS)


def _read(said: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if name == "channel_ids" else value for name, value in said.items()}


class AlertRules(Resource):
    """What is listened for, by id. Every organization has rules for thresholds and for all that stops somebody."""

    permission: ClassVar = {"GET": Permission.ALERTS_READ, "POST": Permission.ALERTS_MANAGE}

    @listed(AlertRuleOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.rules(caller(request).organization_id), AlertRuleOutput, order=("id",))

    @answers(AlertRuleOutput, takes=AlertRuleInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        asked, said = caller(request), valid(AlertRuleInput, request.data)
        draft = RuleDraft(**_read(said))
        row = services.add_rule(organization_id=asked.organization_id, draft=draft, by=asked.actor, at=now())
        return Response(AlertRuleOutput(row).data, status=201)


class OneAlertRule(Resource):
    """One rule."""

    permission: ClassVar = {"GET": Permission.ALERTS_READ, "PATCH": Permission.ALERTS_MANAGE}

    @answers(AlertRuleOutput)
    def get(self, request: Request, alert_rule_id: int) -> Response:
        return Response(AlertRuleOutput(selectors.rule(caller(request).organization_id, alert_rule_id)).data)

    @answers(AlertRuleOutput, takes=AlertRuleChange)
    def patch(self, request: Request, alert_rule_id: int) -> Response:
        """Change what is named; its kind stays."""
        asked, said = caller(request), valid(AlertRuleChange, request.data)
        row = services.change_rule(
            organization_id=asked.organization_id, rule_id=alert_rule_id, changes=_read(said), by=asked.actor, at=now()
        )
        return Response(AlertRuleOutput(row).data)


class ArchiveAlertRule(Resource):
    """It listens no more; what it found is over."""

    permission: ClassVar = {"POST": Permission.ALERTS_MANAGE}

    @answers(AlertRuleOutput, takes=Input)
    @idempotent
    def post(self, request: Request, alert_rule_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = services.archive_rule(
            organization_id=asked.organization_id, rule_id=alert_rule_id, by=asked.actor, at=now()
        )
        return Response(AlertRuleOutput(row).data)
