"""What was billed, seen and tied over REST, and the rules it is counted by."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.core.periods import DayRange
from finops.ledger.api import questions, shapes
from finops.ledger.api.shapes import MoneyField, PeriodOutput
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission, whole_organization
from finops.reconciliation import selectors, services
from finops.reconciliation.models import MOST_HOURS, CountingRule, ReconciledDay
from finops.reconciliation.tasks import send
from finops.reconciliation.types import Total

_READ: Final = Permission.AUDIT_READ
_PERIOD: Final = frozenset({"period", "from", "to"})
_PROVIDER: Final = OpenApiParameter("provider", OpenApiTypes.STR, description="As its rule names it.")


def _days_asked(request: Request, asked: Caller, *words: str) -> DayRange:
    """The period of a question about all of the organization. Raises OutOfReach, QuestionUnclear and PeriodUnclear."""
    whole_organization(asked)
    questions.only(request.query_params, {*_PERIOD, *words})
    organization = orgs.organization(asked.organization_id)
    return questions.read(request.query_params, asked, organization, today=now().date(), words=words).period.days


class CountingRuleOutput(serializers.ModelSerializer[CountingRule]):
    """What a source's bill counts for, on days from `since` on and before `until`. `billed`: what it states is the
    money, and calls say whose it was; bills of several accounts are added up. `metered`: what calls come to is the
    money, and the bill is only compared. `repeated`: another bill says the same. `whole`: nothing is paid there but
    what is billed.
    """

    source = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[assignment,var-annotated]

    class Meta:
        model = CountingRule
        fields = ("id", "provider", "source", "level", "since", "until", "whole", "after_hours", "set_at")


class CountingRuleChange(Input):
    level = serializers.ChoiceField(choices=CountingRule.Level.choices, required=False)
    since = serializers.DateField(required=False, help_text="The first day (UTC) that is counted so.")
    until = serializers.DateField(
        required=False, allow_null=True, help_text="The first day that is not any more; null: none."
    )
    whole = serializers.BooleanField(required=False)
    after_hours = serializers.IntegerField(
        min_value=0, max_value=MOST_HOURS, required=False, help_text="A day is compared when it has been over so long."
    )


class CountingRules(Resource):
    """What counts as money, by provider and bill. A rule is made when a source states what a provider cost."""

    permission: ClassVar = {"GET": _READ}

    @listed(CountingRuleOutput)
    def get(self, request: Request) -> Response:
        rows = selectors.rules(caller(request).organization_id)
        return paged(request, rows, CountingRuleOutput, order=("provider", "id"))


class OneCountingRule(Resource):
    """One counting rule."""

    permission: ClassVar = {"GET": _READ, "PATCH": Permission.SOURCES_MANAGE}

    @answers(CountingRuleOutput)
    def get(self, request: Request, counting_rule_id: int) -> Response:
        return Response(CountingRuleOutput(selectors.rule(caller(request).organization_id, counting_rule_id)).data)

    @answers(CountingRuleOutput, takes=CountingRuleChange)
    def patch(self, request: Request, counting_rule_id: int) -> Response:
        """Count otherwise; what is not told stays. The days it is about are made anew within minutes."""
        asked, said = caller(request), valid(CountingRuleChange, request.data)
        row = services.change_rule(
            organization_id=asked.organization_id, rule_id=counting_rule_id, **said, by=asked.actor, at=now()
        )
        send(asked.organization_id)
        return Response(CountingRuleOutput(row).data)


class ReconciledDayOutput(serializers.ModelSerializer[ReconciledDay]):
    """A provider's day as it was compared last, in `currency`: billed = seen + corrected + unseen. Where the state is
    `currencies`, calls and bill are in different ones, and nothing was compared.
    """

    corrected = serializers.SerializerMethodField()

    class Meta:
        model = ReconciledDay
        fields = (
            "provider", "day", "state", "currency", "billed", "seen", "corrected", "unseen", "unattributed", "calls",
            "reconciled_at",
        )  # fmt: skip

    def get_corrected(self, row: ReconciledDay) -> str:
        return shapes.money(row.billed - row.seen - row.unseen)


class ReconciledDays(Resource):
    """Days of providers, as they were compared last."""

    permission: ClassVar = {"GET": _READ}

    @listed(ReconciledDayOutput, *questions.PERIOD, _PROVIDER)
    def get(self, request: Request) -> Response:
        """The newest first. A day without a bill is none of them."""
        asked = caller(request)
        period = _days_asked(request, asked, "provider", "cursor", "limit")
        provider = questions.text(request.query_params, "provider")
        rows = selectors.days(asked.organization_id, provider=provider, period=period)
        return paged(request, rows, ReconciledDayOutput, order=("-day", "provider", "id"))


class ReconciliationTotalOutput(serializers.Serializer[Any]):
    """Of one provider in one currency: `billed` = `seen` + `corrected` + `unseen`, of days that are tied or compared.
    `unattributed` is the part of `unseen` that is nobody's. `drift` is `seen` / `billed` - 1.
    """

    provider = serializers.CharField()
    currency = serializers.CharField(help_text="Empty where no day was compared yet.")
    billed = MoneyField()
    seen = MoneyField()
    corrected = MoneyField()
    unseen = MoneyField()
    unattributed = MoneyField()
    calls = serializers.IntegerField()
    days_tied = serializers.IntegerField()
    days_compared = serializers.IntegerField(help_text="By a rule that counts calls: the bill is only compared.")
    days_in_other_currencies = serializers.IntegerField(help_text="They are in no amount.")
    days_waiting = serializers.IntegerField(help_text="With calls, and no bill yet.")
    drift = serializers.FloatField(allow_null=True)


class ReconciliationTotalsOutput(serializers.Serializer[Any]):
    period = PeriodOutput()
    totals = ReconciliationTotalOutput(many=True)


class ReconciliationTotals(Resource):
    """What was billed in a period, what of it was seen, and what nobody saw, by provider and currency."""

    permission: ClassVar = {"GET": _READ}

    @answers(ReconciliationTotalsOutput, parameters=questions.PERIOD)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        period = _days_asked(request, asked)
        found = selectors.totals(asked.organization_id, period, at=now())
        return Response({"period": shapes.period(period), "totals": [_shown(one) for one in found]})


def _shown(one: Total) -> dict[str, Any]:
    amounts = {name: getattr(one, name) for name in ("billed", "seen", "corrected", "unseen", "unattributed")}
    return {
        "provider": one.provider,
        "currency": one.currency,
        **{name: shapes.money(amount) for name, amount in amounts.items()},
        "calls": one.calls,
        "days_tied": one.tied,
        "days_compared": one.compared,
        "days_in_other_currencies": one.apart,
        "days_waiting": len(one.waiting),
        "drift": None if one.drift is None else float(one.drift),
    }


class ReconciliationAskedOutput(serializers.Serializer[Any]):
    """`asked_at`: days made anew by this have a `reconciled_at` after it."""

    asked_at = serializers.DateTimeField()


class RunReconciliation(Resource):
    """Compare now what came or changed, instead of within five minutes."""

    permission: ClassVar = {"POST": Permission.JOBS_RUN}

    @answers(ReconciliationAskedOutput, takes=Input, status=202)
    @idempotent
    def post(self, request: Request) -> Response:
        """A day in which nothing changed is left alone, so that asking again costs nothing."""
        asked = caller(request)
        valid(Input, request.data)
        whole_organization(asked)
        send(asked.organization_id)
        return Response({"asked_at": now()}, status=202)
