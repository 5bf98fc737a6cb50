"""Energy over REST: what a period's calls are estimated to have used, and the organization's own figures."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.energy import selectors, services
from finops.energy.api_shapes import FootprintOutput, RangeOutput, footprint
from finops.energy.book import RELEASE
from finops.energy.models import LONGEST_NAME, LONGEST_SOURCE, LONGEST_ZONE, MOST_GRAMS, MOST_WH, GridMix, ModelEnergy
from finops.ledger.api import questions, shapes
from finops.ledger.api.shapes import MoneyField, PeriodOutput
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

MODELS_MOST: Final = 1_000
_READ_OR_MANAGE: Final = {"GET": Permission.PRICING_READ, "POST": Permission.PRICING_MANAGE}
_LIMIT: Final = OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MODELS_MOST, "default": 100})


class ModelUseOutput(serializers.Serializer[Any]):
    """`basis` is `configured` (the organization's figure), `ecologits` (the method's) or `unknown`. `zone` is whose
    electricity was taken.
    """

    provider = serializers.CharField()
    model = serializers.CharField()
    calls = serializers.IntegerField()
    reporting_cost = MoneyField()
    footprint = FootprintOutput()
    wh_per_1000_output_tokens = RangeOutput(allow_null=True)
    basis = serializers.ChoiceField(choices=["configured", "ecologits", "unknown"])
    source = serializers.CharField()  # type: ignore[assignment]  # a field of ours, named as one of DRF's own
    zone = serializers.CharField()


class EnergyOutput(serializers.Serializer[Any]):
    """`total` is of all models, whatever `limit` shows."""

    period = PeriodOutput()
    reporting_currency = serializers.CharField()
    method = serializers.CharField()
    total = FootprintOutput()
    models = ModelUseOutput(many=True)


class Energy(Resource):
    """Energy and CO2e of a period's calls, by provider and model, estimated from the tokens that were written."""

    permission: ClassVar = {"GET": Permission.SPEND_READ}

    @answers(EnergyOutput, parameters=(*questions.PERIOD, *questions.FILTERS, _LIMIT))
    def get(self, request: Request) -> Response:
        """Each estimate has a lower and an upper bound, because the sizes of most models are not published. What nobody
        knows is unknown and counted beside, never nothing. What reading a prompt takes is not in it.
        """
        asking, query = caller(request), request.query_params
        organization = orgs.organization(asking.organization_id)
        asked = questions.read(query, asking, organization, today=now().date(), words=("limit",))
        limit = questions.whole(query, "limit", default=100, most=MODELS_MOST)
        uses = selectors.model_uses(asking.organization_id, asked.spend(group_by=("provider", "model")))
        return Response(
            {
                "period": shapes.period(asked.period.days),
                "reporting_currency": organization.reporting_currency,
                "method": f"EcoLogits {RELEASE}",
                "total": footprint(selectors.total(uses)),
                "models": [_shown(one) for one in uses[:limit]],
            }
        )


def _shown(one: selectors.ModelUse) -> dict[str, Any]:
    rate = one.rate
    return {
        "provider": one.use.provider,
        "model": one.use.model,
        "calls": one.use.calls,
        "reporting_cost": shapes.money(one.cost),
        "footprint": footprint(one.footprint),
        "wh_per_1000_output_tokens": None if rate is None else RangeOutput(rate.token_wh.times(1_000)).data,
        "basis": "unknown" if rate is None else rate.basis,
        "source": "" if rate is None else rate.source,
        "zone": "" if rate is None else rate.zone,
    }


def _bound(most: int, help_text: str, *, required: bool = True) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=12, decimal_places=6, min_value=0, max_value=most, required=required, help_text=help_text
    )


class ModelEnergyInput(Input):
    provider = serializers.CharField(
        max_length=LONGEST_NAME, required=False, default="", allow_blank=True, help_text="'' is whoever serves it."
    )
    model = serializers.CharField(max_length=LONGEST_NAME, help_text="As the ledger names it.")
    lower = _bound(MOST_WH, "Watt-hours of a thousand tokens that it writes, with all the data centre needs beside.")
    upper = _bound(MOST_WH, "The same where nobody doubts it.")
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=LONGEST_SOURCE, help_text="Who measured or published it."
    )


class ModelEnergyOutput(serializers.ModelSerializer[ModelEnergy]):
    """Watt-hours of a thousand tokens that the model writes; used in place of the method's."""

    class Meta:
        model = ModelEnergy
        fields = ("id", "provider", "model", "lower", "upper", "source", "changed_at")


class ModelFigures(Resource):
    """The organization's own figures of models."""

    permission: ClassVar = _READ_OR_MANAGE

    @listed(ModelEnergyOutput)
    def get(self, request: Request) -> Response:
        rows = selectors.model_figures(caller(request).organization_id)
        return paged(request, rows, ModelEnergyOutput, order=("model", "provider", "id"))

    @answers(ModelEnergyOutput, takes=ModelEnergyInput)
    @idempotent
    def post(self, request: Request) -> Response:
        """Say a model's figure, in place of what was said of it before."""
        asked, said = caller(request), valid(ModelEnergyInput, request.data)
        row = services.set_model_energy(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(ModelEnergyOutput(row).data)


class RemoveModelFigure(Resource):
    """The method's figure holds again, where it has one."""

    permission: ClassVar = {"POST": Permission.PRICING_MANAGE}

    @answers(takes=Input)
    @idempotent
    def post(self, request: Request, model_energy_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.remove_model_energy(
            organization_id=asked.organization_id, figure_id=model_energy_id, by=asked.actor, at=now()
        )
        return Response({})


class GridMixInput(Input):
    provider = serializers.CharField(
        max_length=LONGEST_NAME, required=False, default="", allow_blank=True, help_text="'' is all that have none."
    )
    zone = serializers.CharField(
        max_length=LONGEST_ZONE, help_text="A country by ISO 3166-1 alpha-3, or any name where the bounds are said."
    )
    lower = _bound(MOST_GRAMS, "Grams of CO2e of a kilowatt hour; unsaid, those of the zone.", required=False)
    upper = _bound(MOST_GRAMS, "The same where nobody doubts it.", required=False)
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=LONGEST_SOURCE, required=False, default="", allow_blank=True
    )


class GridMixOutput(serializers.ModelSerializer[GridMix]):
    """Grams of CO2e of a kilowatt hour where a provider's models run."""

    class Meta:
        model = GridMix
        fields = ("id", "provider", "zone", "lower", "upper", "source", "changed_at")


class Grids(Resource):
    """The electricity that models run on, as the organization says it."""

    permission: ClassVar = _READ_OR_MANAGE

    @listed(GridMixOutput)
    def get(self, request: Request) -> Response:
        rows = selectors.grid_figures(caller(request).organization_id)
        return paged(request, rows, GridMixOutput, order=("provider", "id"))

    @answers(GridMixOutput, takes=GridMixInput)
    @idempotent
    def post(self, request: Request) -> Response:
        """Say where a provider's models run, in place of what was said before."""
        asked, said = caller(request), valid(GridMixInput, request.data)
        said = {"lower": None, "upper": None} | said
        row = services.set_grid(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(GridMixOutput(row).data)


class RemoveGrid(Resource):
    """The method's zone holds again."""

    permission: ClassVar = {"POST": Permission.PRICING_MANAGE}

    @answers(takes=Input)
    @idempotent
    def post(self, request: Request, grid_mix_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.remove_grid(organization_id=asked.organization_id, figure_id=grid_mix_id, by=asked.actor, at=now())
        return Response({})
