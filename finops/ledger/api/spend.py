"""Totals, groups and trends, and the dimensions they can be asked by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers
from finops.api.views import Resource, now
from finops.attribution import selectors as attribution
from finops.core.periods import DayRange
from finops.ledger import selectors
from finops.ledger.api import questions, shapes
from finops.ledger.api.questions import Asked
from finops.ledger.api.shapes import CostsOutput, MeasuresOutput, NamedOutput, PeriodOutput
from finops.ledger.rules import questions as grammar
from finops.ledger.rules.questions import QuestionUnclear, grouping, one_of, question, shown
from finops.ledger.types import OWNERS, Grain, SpendRow
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission, spend_filters

GROUPS_MOST: Final = 1_000
ROWS_MOST: Final = 20_000
# How far back a caller with a reach is shown values that its spend had.
LOOKED_BACK: Final = timedelta(days=400)
_DAYS_OF: Final = {Grain.DAY: 1, Grain.WEEK: 7, Grain.MONTH: 28}
_WORDS: Final = frozenset({"group_by", "grain", "limit", "compare"})


class TotalsOutput(MeasuresOutput):
    currencies = CostsOutput(many=True)


class SpendRowOutput(MeasuresOutput, CostsOutput):
    group = serializers.DictField(child=NamedOutput())
    bucket = serializers.DateField(allow_null=True, help_text="The first day of the grain; null for a total.")
    previous = MeasuresOutput(allow_null=True, required=False, help_text="With compare=previous and no grain.")


class SpendOutput(serializers.Serializer[Any]):
    """`totals` is of everything asked about; `rest` what the rows do not show because of `limit`."""

    period = PeriodOutput()
    previous_period = PeriodOutput(required=False)
    group_by = serializers.ListField(child=serializers.CharField())
    grain = serializers.ChoiceField(choices=[grain.value for grain in Grain])
    reporting_currency = serializers.CharField()
    fresh_as_of = serializers.DateTimeField(allow_null=True, help_text="When the newest call happened.")
    totals = TotalsOutput()
    previous_totals = TotalsOutput(required=False)
    rows = SpendRowOutput(many=True)
    rest = MeasuresOutput()


class Spend(Resource):
    """Spend of a period: totals, groups, trends."""

    permission: ClassVar = {"GET": Permission.SPEND_READ}

    @answers(
        SpendOutput,
        parameters=(
            *questions.PERIOD,
            OpenApiParameter(
                "group_by",
                OpenApiTypes.STR,
                description="Up to two dimensions, separated by commas; GET dimensions lists them.",
            ),
            *questions.FILTERS,
            OpenApiParameter("grain", OpenApiTypes.STR, enum=[grain.value for grain in Grain], default="total"),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": GROUPS_MOST, "default": 100},
                description="The groups with the largest cost.",
            ),
            OpenApiParameter("compare", OpenApiTypes.STR, enum=["none", "previous"], default="none"),
        ),
    )
    def get(self, request: Request) -> Response:
        """One row for each group, bucket and billing currency, largest reporting cost first.

        Amounts are text with twelve places. Add `reporting_cost` over rows, and nothing else over currencies. What
        is not over yet is compared with as many days of the period before as have begun of it.
        """
        asking, query = caller(request), request.query_params
        organization = orgs.organization(asking.organization_id)
        asked = questions.read(query, asking, organization, today=now().date(), words=_WORDS)
        group_by = grouping(query.getlist("group_by"), asked.dimensions, field="group_by")
        grain = Grain(one_of(query.get("grain", ""), Grain, field="grain", default="total"))
        limit = questions.whole(query, "limit", default=100, most=GROUPS_MOST)
        compare = one_of(query.get("compare", ""), ["none", "previous"], field="compare", default="none") == "previous"
        _refuse_endless(asked.period.days, grain, limit if group_by else 1)
        rows = asked.spend(group_by=group_by, grain=grain, limit=limit if group_by else None)
        totals = asked.spend() if group_by or grain is not Grain.TOTAL else rows
        told = _rows(asked, group_by, rows)
        body = {
            "period": shapes.period(asked.period.days),
            "group_by": list(group_by),
            "grain": grain.value,
            "reporting_currency": organization.reporting_currency,
            "fresh_as_of": selectors.freshness(asking.organization_id),
            "totals": _totals(totals),
            "rows": told,
            "rest": _rest(totals, rows),
        }
        if compare:
            body["previous_period"] = shapes.period(asked.period.previous)
            body["previous_totals"] = _totals(asked.spend(days=asked.period.previous))
            if grain is Grain.TOTAL:
                _compare(asked, group_by, rows, told)
        return Response(body)


def _refuse_endless(days: DayRange, grain: Grain, groups: int) -> None:
    buckets = days.days // _DAYS_OF[grain] + 1 if grain in _DAYS_OF else 1
    if buckets * groups > ROWS_MOST:
        raise QuestionUnclear(
            f"This may be {buckets * groups} rows, more than {ROWS_MOST}: ask for fewer groups, a coarser grain or a"
            " shorter period.",
            field="limit",
        )


def _rows(asked: Asked, group_by: tuple[str, ...], rows: Sequence[SpendRow]) -> list[dict[str, Any]]:
    columns = [asked.dimensions.column(name) for name in group_by]
    wanted = {column: {row.values[place] for row in rows} for place, column in enumerate(columns)}
    called = selectors.named(asked.caller.organization_id, wanted)
    return [
        {
            "group": shapes.names(zip(group_by, columns, row.values, strict=True), called),
            "bucket": row.bucket,
            **shapes.measures([row]),
            **shapes.costs(row),
        }
        for row in rows
    ]


def _totals(rows: Sequence[SpendRow]) -> dict[str, Any]:
    return {**shapes.measures(rows), "currencies": [shapes.costs(row) for row in rows]}


def _rest(totals: Sequence[SpendRow], rows: Sequence[SpendRow]) -> dict[str, Any]:
    """What limit left out: zero when nothing was."""

    def left(measure: str) -> Any:
        return sum((getattr(row, measure) for row in totals), Decimal(0)) - sum(
            (getattr(row, measure) for row in rows), Decimal(0)
        )

    counts = ("calls", "input_tokens", "cached_tokens", "output_tokens")
    return {**{name: int(left(name)) for name in counts}, "reporting_cost": shapes.money(left("reporting_cost"))}


def _compare(
    asked: Asked, group_by: tuple[str, ...], rows: Sequence[SpendRow], shown: Sequence[dict[str, Any]]
) -> None:
    """Puts beside each row what its group came to in the period before, null for nothing."""
    picked = {name: frozenset(row.values[place] for row in rows) for place, name in enumerate(group_by)}
    before = asked.spend(group_by=group_by, days=asked.period.previous, only=picked) if rows else []
    known = {(row.values, row.currency): row for row in before}
    for row, told in zip(rows, shown, strict=True):
        match = known.get((row.values, row.currency))
        told["previous"] = shapes.measures([match]) if match else None


class DimensionOutput(serializers.Serializer[Any]):
    """`kind`: an owner (asked for by slug or id), a word, or a promoted tag."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=["owner", "word", "tag"])
    retired = serializers.BooleanField(help_text="A tag that is no longer filled; its values can still be read.")


class DimensionsOutput(serializers.Serializer[Any]):
    items = DimensionOutput(many=True)


class Dimensions(Resource):
    """What spend can be grouped and filtered by: those this caller may ask about."""

    permission: ClassVar = {"GET": Permission.SPEND_READ}

    @answers(DimensionsOutput)
    def get(self, request: Request) -> Response:
        asking = caller(request)
        items = [
            {"name": name, "kind": "owner" if name in OWNERS else "word", "retired": False}
            for name in grammar.Dimensions().offered(asking)
        ]
        items += [
            {"name": f"tag:{tag.key}", "kind": "tag", "retired": tag.retired}
            for tag in attribution.promoted_tags(asking.organization_id)
        ]
        return Response({"items": items})


class ValuesOutput(serializers.Serializer[Any]):
    items = NamedOutput(many=True)


class Values(Resource):
    """The values of a dimension."""

    permission: ClassVar = {"GET": Permission.SPEND_READ}

    @answers(
        ValuesOutput,
        parameters=(
            OpenApiParameter("dimension", OpenApiTypes.STR, OpenApiParameter.PATH),
            OpenApiParameter("search", OpenApiTypes.STR, description="A part of the name; case does not matter."),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
        ),
    )
    def get(self, request: Request, dimension: str) -> Response:
        """By name. A caller who reaches a part of the organization gets what its spend of the last 400 days had."""
        asking, query = caller(request), request.query_params
        known = selectors.dimensions(asking.organization_id)
        if dimension not in known:
            raise QuestionUnclear(
                f"There is no dimension {shown(dimension)}; GET dimensions lists them.", field="dimension"
            )
        questions.only(query, ("search", "limit"))
        search = questions.text(query, "search")
        limit = questions.whole(query, "limit", default=50, most=200)
        reach = spend_filters(asking, group_by=(dimension,))
        column = known.column(dimension)
        if not reach:
            listed = [one for one, _ in selectors.options(asking.organization_id, column, search, limit)]
            called = selectors.named(asking.organization_id, {column: listed})[column]
            found = [called[one] for one in listed]
        else:
            ids = reach[dimension] if dimension in reach else _seen(asking, known, dimension)
            called = selectors.named(asking.organization_id, {column: ids})[column]
            fitting = [one for one in called.values() if one.id and search.lower() in one.name.lower()]
            found = sorted(fitting, key=lambda one: (one.name, one.id))[:limit]
        return Response({"items": [shapes.named(one) for one in found]})


def _seen(asking: Caller, known: grammar.Dimensions, dimension: str) -> set[int]:
    """Values that the spend within the caller's reach had of late."""
    tomorrow = now().date() + timedelta(days=1)
    days = DayRange(tomorrow - LOOKED_BACK, tomorrow)
    return {row.values[0] for row in selectors.spend(question(asking, known, days, group_by=(dimension,)))}
