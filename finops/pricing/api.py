"""Prices over REST: the public book, what the organization agreed, names, exchange rates, and a quote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.core.money import from_pico
from finops.core.tokens import MAX_COUNT, METERS
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from finops.pricing import selectors, services
from finops.pricing.models import Contract, ExchangeRate, ModelAlias, Price
from finops.pricing.rules.quoting import Quote, quote
from finops.pricing.rules.terms import GivenRate, read_rates_csv, steps_as_shown
from finops.pricing.types import StepRates

READ_AND_MANAGE: Final[Mapping[str, str]] = {"GET": Permission.PRICING_READ, "POST": Permission.PRICING_MANAGE}
_UNITS: Final = "Prices are per million tokens, and each for what is counted (requests, web_searches, tool_calls)."


class StepInput(Input):
    above_input_tokens = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, default=0)
    rates = serializers.DictField(child=serializers.DecimalField(max_digits=24, decimal_places=15), help_text=_UNITS)


class StepOutput(serializers.Serializer[Any]):
    above_input_tokens = serializers.IntegerField()
    rates = serializers.DictField(child=serializers.CharField(), help_text=_UNITS)


class PriceOutput(serializers.ModelSerializer[Price]):
    """`tier` is empty for the standard price; `window` bounds hours of the day in UTC; a null date is open."""

    steps = serializers.SerializerMethodField()

    class Meta:
        model = Price
        fields = (
            "id", "provider", "model", "tier", "window", "currency", "effective_from", "effective_to", "steps",
            "source",
        )  # fmt: skip

    @extend_schema_field(StepOutput(many=True))
    def get_steps(self, row: Price) -> list[dict[str, Any]]:
        return steps_as_shown(row.steps)


class PriceFilter(serializers.Serializer[Any]):
    provider = serializers.CharField(max_length=60, required=False, default="")
    search = serializers.CharField(max_length=200, required=False, default="")
    on = serializers.DateField(required=False)


class Prices(Resource):
    """The public list prices in force on a day, by provider, model and tier."""

    permission: ClassVar = {"GET": Permission.PRICING_READ}

    @listed(
        PriceOutput,
        OpenApiParameter("provider", OpenApiTypes.STR),
        OpenApiParameter("search", OpenApiTypes.STR, description="Words that are all in the provider or the model."),
        OpenApiParameter("on", OpenApiTypes.DATE, description="Today when unsaid."),
    )
    def get(self, request: Request) -> Response:
        wanted = {"on": now().date()} | valid(PriceFilter, request.query_params.dict())
        order = ("provider", "model", "tier", "window", "id")
        return paged(request, selectors.prices(**wanted), PriceOutput, order=order)


class OnePrice(Resource):
    """A public price by the id a charge carries, in force or not."""

    permission: ClassVar = {"GET": Permission.PRICING_READ}

    @answers(PriceOutput)
    def get(self, request: Request, price_id: int) -> Response:
        return Response(PriceOutput(selectors.price(price_id)).data)


class ContractOutput(serializers.ModelSerializer[Contract]):
    """`model` is empty for every model, `tier` is `*` for every tier, `host` is empty for any machine."""

    steps = serializers.SerializerMethodField()

    class Meta:
        model = Contract
        fields = (
            "id", "kind", "provider", "model", "tier", "host", "percent", "currency", "steps", "effective_from",
            "effective_to", "note", "created_at",
        )  # fmt: skip

    @extend_schema_field(StepOutput(many=True))
    def get_steps(self, row: Contract) -> list[dict[str, Any]]:
        return steps_as_shown(row.steps)


class ContractInput(Input):
    """A `discount` says `percent`; `committed` and `custom` say `steps`; `custom` may say `host`."""

    kind = serializers.ChoiceField(choices=Contract.Kind.choices)
    provider = serializers.CharField(max_length=60)
    model = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    tier = serializers.CharField(max_length=60, required=False, default="*", allow_blank=True)
    host = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    percent = serializers.DecimalField(max_digits=7, decimal_places=4, required=False)
    currency = serializers.CharField(max_length=3, required=False, default="USD")
    steps = StepInput(many=True, required=False)
    effective_from = serializers.DateField()
    effective_to = serializers.DateField(required=False, allow_null=True, default=None)
    note = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)

    # Which fields each kind needs, and which it may say beside them.
    _SAYS: ClassVar = {
        "discount": ({"percent"}, set()),
        "committed": ({"steps"}, {"currency"}),
        "custom": ({"steps"}, {"currency", "host"}),
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed, also = self._SAYS[attrs["kind"]]
        given = set(self.initial_data) & {"percent", "steps", "currency", "host"}
        problems = {name: ["This kind of contract needs it."] for name in sorted(needed - given)}
        problems |= {name: ["This kind of contract does not have it."] for name in sorted(given - needed - also)}
        if problems:
            raise serializers.ValidationError(problems)
        return attrs


class ClosingInput(Input):
    effective_to = serializers.DateField(help_text="The first day it no longer holds.")


class Contracts(Resource):
    """What the organization pays instead of the list price: discounts, committed prices, models of its own."""

    permission: ClassVar = READ_AND_MANAGE

    @listed(ContractOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.contracts(caller(request).organization_id), ContractOutput, order=("-id",))

    @answers(ContractOutput, takes=ContractInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Agree on something. Charges already booked keep their price until their period is rated again."""
        asked, said = caller(request), valid(ContractInput, request.data)
        fields = {name: said[name] for name in ("provider", "model", "tier", "effective_from", "effective_to", "note")}
        who: dict[str, Any] = {"organization_id": asked.organization_id, "by": asked.actor, "at": now()}
        about = services.Agreed(**fields)
        if said["kind"] == Contract.Kind.DISCOUNT:
            made = services.set_discount(about=about, percent=said["percent"], **who)
        else:
            who |= {"steps": [StepRates(**step) for step in said["steps"]], "currency": said["currency"]}
            if said["kind"] == Contract.Kind.COMMITTED:
                made = services.set_committed_prices(about=about, **who)
            else:
                made = services.add_custom_model(about=about, host=said["host"], **who)
        return Response(ContractOutput(made).data, status=201)


class CloseContract(Resource):
    """The contract ends. It can be made shorter and never longer."""

    permission: ClassVar = {"POST": Permission.PRICING_MANAGE}

    @answers(ContractOutput, takes=ClosingInput)
    @idempotent
    def post(self, request: Request, contract_id: int) -> Response:
        asked, said = caller(request), valid(ClosingInput, request.data)
        row = services.close_contract(
            organization_id=asked.organization_id, contract_id=contract_id, by=asked.actor, at=now(), **said
        )
        return Response(ContractOutput(row).data)


class ModelAliasOutput(serializers.ModelSerializer[ModelAlias]):
    """`shared` rules hold for every organization; one's own goes before them."""

    shared = serializers.SerializerMethodField()

    class Meta:
        model = ModelAlias
        fields = (
            "id", "kind", "provider", "pattern", "target_provider", "target_model", "note", "shared", "created_at",
        )  # fmt: skip

    def get_shared(self, row: ModelAlias) -> bool:
        return row.organization_id is None


class ModelAliasInput(Input):
    kind = serializers.ChoiceField(choices=ModelAlias.Kind.choices, default=ModelAlias.Kind.EXACT)
    provider = serializers.CharField(max_length=60, required=False, default="", allow_blank=True)
    pattern = serializers.CharField(max_length=300)
    target_provider = serializers.CharField(max_length=60, required=False, default="", allow_blank=True)
    target_model = serializers.CharField(max_length=200)
    note = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)


class ModelAliases(Resource):
    """Written rules for names: which model a raw name, or its beginning, is."""

    permission: ClassVar = READ_AND_MANAGE

    @listed(ModelAliasOutput)
    def get(self, request: Request) -> Response:
        rows = selectors.model_aliases(caller(request).organization_id)
        return paged(request, rows, ModelAliasOutput, order=("-id",))

    @answers(ModelAliasOutput, takes=ModelAliasInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Say what a name means."""
        asked, said = caller(request), valid(ModelAliasInput, request.data)
        row = services.set_alias(organization_id=asked.organization_id, by=asked.actor, at=now(), **said)
        return Response(ModelAliasOutput(row).data, status=201)


class ArchiveModelAlias(Resource):
    """The rule no longer holds."""

    permission: ClassVar = {"POST": Permission.PRICING_MANAGE}

    @answers(ModelAliasOutput)
    @idempotent
    def post(self, request: Request, alias_id: int) -> Response:
        asked = caller(request)
        row = services.archive_alias(organization_id=asked.organization_id, alias_id=alias_id, by=asked.actor, at=now())
        return Response(ModelAliasOutput(row).data)


class ExchangeRateOutput(serializers.ModelSerializer[ExchangeRate]):
    shared = serializers.SerializerMethodField()

    class Meta:
        model = ExchangeRate
        fields = ("id", "day", "from_currency", "to_currency", "rate", "source", "shared")

    def get_shared(self, row: ExchangeRate) -> bool:
        return row.organization_id is None


class RateInput(Input):
    day = serializers.DateField()
    from_currency = serializers.CharField(max_length=3)
    to_currency = serializers.CharField(max_length=3)
    rate = serializers.DecimalField(max_digits=24, decimal_places=12)
    source = serializers.CharField(  # type: ignore[assignment]  # a field of ours, named as one of DRF's own
        max_length=200, required=False, default="", allow_blank=True
    )


class ExchangeRatesInput(Input):
    """Either `rates`, or `csv`: a file's text with the columns day, from, to, rate."""

    rates = RateInput(many=True, required=False)
    csv = serializers.CharField(max_length=1_000_000, required=False, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("rates" in attrs) == ("csv" in attrs):
            raise serializers.ValidationError({"rates": ["Say either rates or csv."]})
        return attrs


class RatesKeptOutput(serializers.Serializer[Any]):
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    same = serializers.IntegerField()


class ExchangeRateFilter(serializers.Serializer[Any]):
    from_currency = serializers.CharField(max_length=3, required=False, default="")
    to_currency = serializers.CharField(max_length=3, required=False, default="")


class ExchangeRates(Resource):
    """Dated exchange rates, the newest day first."""

    permission: ClassVar = READ_AND_MANAGE

    @listed(
        ExchangeRateOutput,
        OpenApiParameter("from_currency", OpenApiTypes.STR),
        OpenApiParameter("to_currency", OpenApiTypes.STR),
    )
    def get(self, request: Request) -> Response:
        wanted = valid(ExchangeRateFilter, request.query_params.dict())
        rows = selectors.exchange_rates(caller(request).organization_id, **wanted)
        return paged(request, rows, ExchangeRateOutput, order=("-day", "-id"))

    @answers(RatesKeptOutput, takes=ExchangeRatesInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Keep rates, all or none. A rate given again for the same pair and day replaces the one before."""
        asked, said = caller(request), valid(ExchangeRatesInput, request.data)
        rates = read_rates_csv(said["csv"]) if "csv" in said else [GivenRate(**rate) for rate in said["rates"]]
        kept = services.add_exchange_rates(organization_id=asked.organization_id, rates=rates, by=asked.actor, at=now())
        return Response(RatesKeptOutput(kept._asdict()).data, status=201)


class QuoteInput(Input):
    provider = serializers.CharField(max_length=60, required=False, default="", allow_blank=True)
    model = serializers.CharField(max_length=300)
    tier = serializers.CharField(max_length=60, required=False, default="", allow_blank=True)
    host = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    counts = serializers.DictField(child=serializers.IntegerField(min_value=0, max_value=MAX_COUNT))
    at = serializers.DateTimeField(required=False)

    def validate_counts(self, given: dict[str, int]) -> tuple[int, ...]:
        if unknown := sorted(set(given) - set(METERS)):
            raise serializers.ValidationError({name: ["There is no such meter."] for name in unknown[:20]})
        return tuple(given.get(meter, 0) for meter in METERS)


class QuoteLineOutput(serializers.Serializer[Any]):
    """Rates are per `per` units; costs are in the quote's currency, with twelve places."""

    meter = serializers.CharField()
    count = serializers.IntegerField()
    per = serializers.IntegerField()
    list_rate = serializers.CharField()
    contracted_rate = serializers.CharField()
    list_cost = serializers.CharField()
    contracted_cost = serializers.CharField()
    effective_cost = serializers.CharField()


class QuoteOutput(serializers.Serializer[Any]):
    """When `priced` is false, `reason` says why, and the costs are unknown rather than zero: null."""

    provider = serializers.CharField()
    model = serializers.CharField()
    priced = serializers.BooleanField()
    reason = serializers.CharField()
    currency = serializers.CharField(allow_null=True)
    price_id = serializers.IntegerField(allow_null=True)
    contract_id = serializers.IntegerField(allow_null=True)
    list_cost = serializers.CharField(allow_null=True)
    contracted_cost = serializers.CharField(allow_null=True)
    effective_cost = serializers.CharField(allow_null=True)
    lines = QuoteLineOutput(many=True)


class QuotePrice(Resource):
    """What a call would cost the organization, explained meter by meter. Nothing is kept."""

    permission: ClassVar = {"POST": Permission.PRICING_READ}

    @answers(QuoteOutput, takes=QuoteInput)
    def post(self, request: Request) -> Response:
        said = {"at": now()} | valid(QuoteInput, request.data)
        pricer = selectors.load_pricer(caller(request).organization_id)
        return Response(QuoteOutput(_quoted(quote(pricer, **said))).data)


def _quoted(made: Quote) -> dict[str, Any]:
    rated = made.rated
    known = rated.priced
    return {
        "provider": made.found.provider,
        "model": made.found.model,
        "priced": known,
        "reason": rated.reason,
        "currency": rated.currency if known else None,
        "price_id": rated.price_id or None,
        "contract_id": rated.contract_id or None,
        "list_cost": str(from_pico(rated.list_pico)) if known else None,
        "contracted_cost": str(from_pico(rated.contracted_pico)) if known else None,
        "effective_cost": str(from_pico(rated.effective_pico)) if known else None,
        "lines": [
            {
                "meter": line.meter,
                "count": line.count,
                "per": line.per,
                "list_rate": format(line.list_rate, "f"),
                "contracted_rate": format(line.contracted_rate, "f"),
                "list_cost": str(from_pico(line.list_pico)),
                "contracted_cost": str(from_pico(line.contracted_pico)),
                "effective_cost": str(from_pico(line.effective_pico)),
            }
            for line in made.lines
        ],
    }
