"""What accounts of budgets and dimensions of spend will have come to, over REST."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.alerts.rules.forecasting import COVERAGE, Forecast
from finops.alerts.services.forecasts import account_forecasts, spend_forecasts
from finops.api.schema import answers
from finops.api.views import Resource, now
from finops.budgets import selectors as budgets
from finops.budgets.api.references import Called
from finops.budgets.models import Budget
from finops.budgets.rules.sight import subjects_seen
from finops.budgets.standings import standings
from finops.core.money import from_pico
from finops.core.periods import DayRange, next_month
from finops.ledger import selectors as ledger
from finops.ledger.api import questions
from finops.ledger.api.shapes import MoneyField, NamedOutput, PeriodOutput, money, named, period
from finops.ledger.rules.questions import QuestionUnclear, filters_told, grouping, question
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission

ACCOUNTS_MOST: Final = 200
GROUPS_MOST: Final = 200


class ForecastOutput(serializers.Serializer[Any]):
    """What it comes to at the end, `spent` included. Four of five ends are to lie from `low` to `high`. `error` is what
    such forecasts missed a week by, as a share of it; null where none could be tried yet.
    """

    spent = MoneyField()
    expected = MoneyField()
    low = MoneyField()
    high = MoneyField()
    error = serializers.FloatField(allow_null=True)
    method = serializers.CharField()


class AccountForecastOutput(ForecastOutput):
    """`until` is the end of the period, or 30 days ahead where it has none. At this rate the limit is reached at
    `reached_at`, from `reached_earliest` to `reached_latest` by the interval; null is not before `until`.
    """

    budget_id = serializers.IntegerField()
    budget = serializers.CharField()
    subject = serializers.CharField(allow_null=True)
    subject_name = serializers.CharField(allow_blank=True)
    limit = MoneyField()
    until = serializers.DateTimeField()
    reached_at = serializers.DateTimeField(allow_null=True)
    reached_earliest = serializers.DateTimeField(allow_null=True)
    reached_latest = serializers.DateTimeField(allow_null=True)


class AccountForecastsOutput(serializers.Serializer[Any]):
    coverage = serializers.FloatField(help_text="The share of ends that intervals are to hold.")
    items = AccountForecastOutput(many=True)


class SpendForecastRowOutput(ForecastOutput):
    group = serializers.DictField(child=NamedOutput())


class SpendForecastsOutput(serializers.Serializer[Any]):
    period = PeriodOutput()
    group_by = serializers.CharField(allow_null=True)
    reporting_currency = serializers.CharField()
    coverage = serializers.FloatField(help_text="The share of ends that intervals are to hold.")
    rows = SpendForecastRowOutput(many=True)


def _figures(found: Forecast) -> dict[str, Any]:
    amounts = {"spent": found.spent, "expected": found.point, "low": found.low, "high": found.high}
    error = None if found.error is None else round(found.error, 4)
    return {name: money(from_pico(pico)) for name, pico in amounts.items()} | {"error": error, "method": found.method}


class AccountForecasts(Resource):
    """What the accounts of budgets will have spent when their period is over, and when their limit is reached: of the
    fullest that the caller may see, what ends first before the rest. Sessions have no forecast.
    """

    permission: ClassVar = {"GET": Permission.BUDGETS_READ}

    @answers(
        AccountForecastsOutput,
        parameters=(
            OpenApiParameter("budget_id", OpenApiTypes.INT, description="The accounts of this budget alone."),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": ACCOUNTS_MOST, "default": 50},
                description="The fullest accounts.",
            ),
        ),
    )
    def get(self, request: Request) -> Response:
        asked, query, at = caller(request), request.query_params, now()
        questions.only(query, ("budget_id", "limit"))
        limit = questions.whole(query, "limit", default=50, most=ACCOUNTS_MOST)
        seen = _budgets(asked, questions.text(query, "budget_id", most=10))
        sight = budgets.sight_of(asked)
        subjects = {row.id: subjects_seen(sight, row.scope, row.each) for row in seen.values()}
        found = standings(asked.organization_id, subjects, most=limit, at=at)
        rows = [row for standing in found.values() for row in standing.fullest]
        rows.sort(key=lambda row: (-(row.spent / row.limit_amount) if row.limit_amount else -1, row.id))
        terms = {row.id: budgets.terms_of(row) for row in seen.values()}
        made = account_forecasts(asked.organization_id, rows[:limit], terms, at=at)
        made.sort(key=lambda one: one.crossing.at or datetime.max.replace(tzinfo=at.tzinfo))
        called = Called(
            asked.organization_id, subjects=[(seen[one.account.budget_id].each, one.account.subject) for one in made]
        )
        items = [
            {
                **_figures(one.forecast),
                **called.subject(seen[one.account.budget_id].each, one.account.subject),
                "budget_id": one.account.budget_id,
                "budget": seen[one.account.budget_id].name,
                "limit": money(one.account.limit_amount),
                "until": one.forecast.until,
                "reached_at": one.crossing.at,
                "reached_earliest": one.crossing.earliest,
                "reached_latest": one.crossing.latest,
            }
            for one in made
        ]
        return Response(AccountForecastsOutput({"coverage": COVERAGE, "items": items}).data)


def _budgets(asked: Caller, budget_id: str) -> dict[int, Budget]:
    rows = budgets.budgets_seen(asked).prefetch_related("exceptions")
    if not budget_id:
        return {row.id: row for row in rows}
    if not (budget_id.isascii() and budget_id.isdigit() and 0 < int(budget_id) < 2**31):
        raise QuestionUnclear("budget_id is the id of a budget.", field="budget_id")
    found = budgets.budget_seen(asked, int(budget_id))
    return {} if found.archived_at else {found.id: found}


class SpendForecasts(Resource):
    """What the present month (UTC) will have come to, all together or by a dimension, within the caller's reach."""

    permission: ClassVar = {"GET": Permission.SPEND_READ}

    @answers(
        SpendForecastsOutput,
        parameters=(
            OpenApiParameter("group_by", OpenApiTypes.STR, description="One dimension; GET dimensions lists them."),
            *questions.FILTERS,
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": GROUPS_MOST, "default": 50},
                description="The groups with the largest cost of the last three months.",
            ),
        ),
    )
    def get(self, request: Request) -> Response:
        asked, query, at = caller(request), request.query_params, now()
        organization = orgs.organization(asked.organization_id)
        known = ledger.dimensions(asked.organization_id)
        told = filters_told(query, known, {"group_by", "limit"}, prefix="filter.")
        filters = {
            name: questions.ids_told(asked, known, name, query.getlist(field), field=field)
            for field, name in told.items()
        }
        groups = grouping(query.getlist("group_by"), known, field="group_by")
        if len(groups) > 1:
            raise QuestionUnclear("Forecasts are grouped by one dimension.", field="group_by")
        limit = questions.whole(query, "limit", default=50, most=GROUPS_MOST)
        days = DayRange(at.date().replace(day=1), next_month(at.date()))
        meant = question(asked, known, days, group_by=groups, filters=filters)
        by = meant.group_by[0] if groups else ""
        found = spend_forecasts(asked.organization_id, by=by, filters=meant.filters, limit=limit if by else None, at=at)
        called = ledger.named(asked.organization_id, {by: set(found)})[by] if by else {}
        rows = [
            {**_figures(one), "group": {groups[0]: named(called[value])} if by else {}} for value, one in found.items()
        ]
        body = {
            "period": period(days),
            "group_by": groups[0] if groups else None,
            "reporting_currency": organization.reporting_currency,
            "coverage": COVERAGE,
            "rows": rows,
        }
        return Response(SpendForecastsOutput(body).data)
