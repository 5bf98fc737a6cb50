"""Single charges, and calls without a price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.schema import answers, listed
from finops.api.views import Resource, now
from finops.core.errors import NotFound
from finops.ledger import selectors
from finops.ledger.api import questions, shapes, stories
from finops.ledger.api.questions import Asked
from finops.ledger.api.shapes import MoneyField, NamedOutput, PeriodOutput, money
from finops.ledger.rules.questions import Dimensions
from finops.ledger.selectors.stories import Called, charge_names, story, usage
from finops.ledger.types import ChargePage, ChargeRow
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission, charge_visible

# Where the filters match nothing at all, the page of charges is this.
_NOTHING: Final = ChargePage((), "")


class ChargeOutput(serializers.Serializer[Any]):
    """One line of the ledger. A reversal has negative counts and amounts, and names its original in `reverses`."""

    id = serializers.UUIDField()
    occurred_at = serializers.DateTimeField()
    booked_at = serializers.DateTimeField()
    external_id = serializers.CharField()
    session = serializers.CharField()
    provider_request_id = serializers.CharField()
    model_raw = serializers.CharField(help_text="The model's name as it came.")
    dimensions = serializers.DictField(child=NamedOutput(), help_text="Those it has, promoted tags as `tag:<key>`.")
    tags = serializers.DictField(child=serializers.CharField())
    calls = serializers.IntegerField()
    usage = serializers.DictField(child=serializers.IntegerField(), help_text="Counts by meter, disjoint.")
    currency = serializers.CharField()
    list_cost = MoneyField()
    contracted_cost = MoneyField()
    effective_cost = MoneyField()
    billed_cost = MoneyField(allow_null=True, help_text="What the source said it cost; null when it did not.")
    reporting_currency = serializers.CharField()
    reporting_cost = MoneyField()
    fx_rate = serializers.CharField()
    fx_date = serializers.DateField(allow_null=True)
    reverses = serializers.UUIDField(allow_null=True)
    reason = serializers.CharField()


class ChargeDetailOutput(ChargeOutput):
    pricing = stories.PricingOutput()
    attribution = stories.AttributionStepOutput(many=True)
    corrections = stories.CorrectionsOutput()
    sightings = stories.SightingOutput(many=True)


class Charges(Resource):
    """Charges of a period, newest first."""

    permission: ClassVar = {"GET": Permission.CHARGES_READ}

    @listed(ChargeOutput, *questions.PERIOD, *questions.FILTERS, questions.SESSION)
    def get(self, request: Request) -> Response:
        """Without `spend.read_people` these are the caller's own."""
        asked = _asked(request, {"cursor", "limit", "session"})
        session = questions.text(request.query_params, "session")
        cursor, limit = paging.asked(request)
        filters = asked.charge_filters()
        found = _NOTHING
        if all(filters.values()):
            found = selectors.charges(
                asked.caller.organization_id,
                asked.period.days,
                filters=filters,
                cursor=cursor,
                limit=limit,
                session=session,
            )
        return Response(paging.answer(_shown(asked, found.rows), found.next_cursor))


class OneCharge(Resource):
    """One charge: how it was priced, whose it is and why, what corrects it, and who else saw the call."""

    permission: ClassVar = {"GET": Permission.CHARGES_READ}

    @answers(ChargeDetailOutput)
    def get(self, request: Request, charge_id: UUID) -> Response:
        asking = caller(request)
        row = selectors.charge(asking.organization_id, charge_id)
        if not charge_visible(asking, row.dimensions):
            # As for one that does not exist: an id must not tell whose it is.
            raise NotFound(f"there is no charge {charge_id}")
        told = story(asking.organization_id, row)
        known = selectors.dimensions(asking.organization_id)
        return Response({**_charge(row, known, told.called), **stories.told(told)})


def _charge(row: ChargeRow, known: Dimensions, called: Called) -> dict[str, Any]:
    present = [(name, column, row.dimensions[column]) for name in known if row.dimensions[column := known.column(name)]]
    return {
        "id": row.id,
        "occurred_at": row.occurred_at,
        "booked_at": row.booked_at,
        "external_id": row.external_id,
        "session": row.session,
        "provider_request_id": row.provider_request_id,
        "model_raw": row.model_raw,
        "dimensions": shapes.names(present, called),
        "tags": dict(row.tags),
        "calls": row.calls,
        "usage": usage(row.counts),
        "currency": row.currency,
        "list_cost": money(row.list_cost),
        "contracted_cost": money(row.contracted_cost),
        "effective_cost": money(row.effective_cost),
        "billed_cost": None if row.billed_cost is None else money(row.billed_cost),
        "reporting_currency": row.reporting_currency,
        "reporting_cost": money(row.reporting_cost),
        "fx_rate": plain(row.fx_rate),
        "fx_date": row.fx_date,
        "reverses": row.reverses,
        "reason": row.reason,
    }


def _shown(asked: Asked, rows: tuple[ChargeRow, ...]) -> list[dict[str, Any]]:
    called = charge_names(asked.caller.organization_id, rows)
    return [_charge(row, asked.dimensions, called) for row in rows]


def plain(value: Decimal) -> str:
    """A rate without trailing zeros."""
    return "1" if value == 1 else f"{value.normalize():f}"


def _asked(request: Request, words: set[str], default: str = "mtd") -> Asked:
    asking = caller(request)
    organization = orgs.organization(asking.organization_id)
    return questions.read(request.query_params, asking, organization, today=now().date(), words=words, default=default)


class UnpricedOutput(serializers.Serializer[Any]):
    provider = NamedOutput()
    model = NamedOutput()
    calls = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    first_day = serializers.DateField()
    last_day = serializers.DateField()


class UnpricedListOutput(serializers.Serializer[Any]):
    period = PeriodOutput()
    rows = UnpricedOutput(many=True)


class Unpriced(Resource):
    """Calls nobody knows the price of, by provider and model, most calls first. They are in no amount yet."""

    permission: ClassVar = {"GET": Permission.SPEND_READ}

    @answers(UnpricedListOutput, parameters=(*questions.PERIOD, *questions.FILTERS))
    def get(self, request: Request) -> Response:
        """Without a period: the last 365 days. Add a price or an alias, then rate the days again."""
        asked = _asked(request, set(), default="last-365d")
        found = selectors.unpriced(asked.caller.organization_id, asked.period.days, asked.spend_filters())
        rows = [
            {
                "provider": shapes.named(group.provider),
                "model": shapes.named(group.model),
                "calls": group.calls,
                "input_tokens": group.input_tokens,
                "output_tokens": group.output_tokens,
                "first_day": group.first_day,
                "last_day": group.last_day,
            }
            for group in found
        ]
        return Response({"period": shapes.period(asked.period.days), "rows": rows})
