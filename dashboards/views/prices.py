"""Prices: the public book, and what the organization pays instead."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.forms import ActionForm, DayField
from dashboards.panels.bar import address
from finops.api import paging
from finops.core.errors import NotFound
from finops.core.tokens import COUNT_METERS, METERS
from finops.orgs.rules import Permission
from finops.pricing import selectors, services
from finops.pricing.models import Contract, ModelAlias, Price
from finops.pricing.rules.terms import GivenRate
from finops.pricing.types import StepRates

MAIN_METERS = ("input_uncached", "cache_read", "output_text")
FORM_METERS = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output_text",
    "output_reasoning",
    "requests",
)
ALIAS_KINDS = ModelAlias.Kind.choices
RATES_SHOWN = 40


class AboutForm(ActionForm):
    """Whom a contract is about, and when."""

    provider = forms.CharField(max_length=60)
    model = forms.CharField(max_length=200, required=False, help_text="Empty: every model of the provider.")
    effective_from = DayField(label="From", help_text="The first day it holds.")
    effective_to = DayField(label="Until", required=False, help_text="The first day it no longer holds. Empty: open.")
    note = forms.CharField(required=False, max_length=500)

    def about(self) -> services.Agreed:
        said = self.cleaned_data
        names = ("provider", "model", "effective_from", "effective_to", "note")
        return services.Agreed(**{name: said[name] for name in names})


class DiscountForm(AboutForm):
    field_order = ("provider", "model", "percent")
    percent = forms.DecimalField(min_value=0, max_value=100, decimal_places=4, help_text="Percent off the list price.")


class PricesForm(AboutForm):
    """Prices of one model, meter by meter."""

    def __init__(self, *args: Any, custom: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].required = True
        self.fields["model"].help_text = "As the source names it." if custom else "A model of the public book."
        for meter in FORM_METERS:
            each = meter in COUNT_METERS
            self.fields[meter] = forms.DecimalField(
                required=False,
                min_value=0,
                max_digits=18,
                decimal_places=12,
                label=meter.replace("_", " ").capitalize(),
                help_text="Each." if each else "Per million tokens.",
            )
        if custom:
            self.fields["currency"] = forms.CharField(max_length=3, initial="USD")
            self.fields["host"] = forms.CharField(
                max_length=200, required=False, help_text="Where it runs; empty: wherever it runs."
            )

    def steps(self) -> list[StepRates]:
        given: dict[str, Decimal] = {
            meter: self.cleaned_data[meter] for meter in FORM_METERS if self.cleaned_data[meter] is not None
        }
        return [StepRates(0, given)]

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        if not any(said.get(meter) is not None for meter in FORM_METERS):
            raise forms.ValidationError("Give at least one price.")
        return said


class AliasForm(ActionForm):
    pattern = forms.CharField(max_length=300, label="Name as received")
    kind = forms.ChoiceField(choices=ALIAS_KINDS, label="Which part of it")
    provider = forms.CharField(max_length=60, required=False, help_text="As the source names it; empty: any.")
    target_model = forms.CharField(max_length=200, label="Is the model")
    target_provider = forms.CharField(
        max_length=60, required=False, label="Of the provider", help_text="Empty: the same."
    )
    note = forms.CharField(required=False, max_length=500)


class RateForm(ActionForm):
    day = DayField()
    from_currency = forms.CharField(max_length=3, label="One unit of")
    rate = forms.DecimalField(max_digits=24, decimal_places=12, label="Is")
    to_currency = forms.CharField(max_length=3, label="Of")
    source = forms.CharField(max_length=200, required=False, help_text="Where the rate is from.")


class CloseForm(ActionForm):
    effective_to = DayField(label="Until", help_text="The first day it no longer holds.")


@require_safe
@page("prices", Permission.PRICING_READ)
def prices(request: HttpRequest, here: Here) -> HttpResponse:
    search = request.GET.get("q", "")[:100].replace("\0", "")
    found = paging.page(
        selectors.prices(on=here.now.date(), search=search),
        Request(request),
        order=("provider", "model", "tier", "window", "id"),
    )
    base, query = address(here, "prices"), {"q": search} if search else {}
    context = {
        "book": selectors.book(),
        "search": search,
        "rows": [_price_row(here, price) for price in found.rows],
        "meters": MAIN_METERS,
        "first": f"{base}?{urlencode(query)}" if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({**query, 'cursor': found.next_cursor})}" if found.next_cursor else "",
        "contracts": [(row, _state(row, here)) for row in selectors.contracts(here.id)],
        "aliases": list(selectors.model_aliases(here.id)),
        "rates": list(selectors.exchange_rates(here.id)[:RATES_SHOWN]),
        "may": here.caller.can(Permission.PRICING_MANAGE),
    }
    return show(request, here, "prices", "pages/prices.html", context)


@require_safe
@page("prices", Permission.PRICING_READ)
def model(request: HttpRequest, here: Here) -> HttpResponse:
    """Every price a model ever had, and the contracts about it."""
    provider, name = (request.GET.get(key, "")[:200].replace("\0", "") for key in ("provider", "model"))
    history = selectors.price_history(provider, name)
    if not history:
        raise NotFound("The public book has no such model.")
    used = [meter for meter in METERS if any(meter in step["rates"] for price in history for step in price.steps)]
    about = [row for row in selectors.contracts(here.id) if row.provider == provider and row.model in {"", name}]
    context = {
        "provider": provider,
        "model": name,
        "history": [(price, [(step, _rates(step, used)) for step in price.steps]) for price in history],
        "meters": used,
        "contracts": [(row, _state(row, here)) for row in about],
        "back": address(here, "prices"),
    }
    return show(request, here, "prices", "pages/model.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("prices", Permission.PRICING_MANAGE)
def discount(request: HttpRequest, here: Here) -> HttpResponse:
    form = DiscountForm(posted(request), initial=_hints(request, here))
    return form_page(
        request, here, "prices", form,
        lambda said: services.set_discount(
            organization_id=here.id, about=form.about(), percent=said["percent"], by=here.caller.actor, at=here.now
        ),
        title="Agree a discount", submit="Save the discount", back=("Prices", address(here, "prices")),
        done="The discount holds for calls rated from now on. To apply it to the past, rate the period again.",
        lead="So many percent off the list price of a provider, or of one model.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("prices", Permission.PRICING_MANAGE)
def committed(request: HttpRequest, here: Here) -> HttpResponse:
    form = PricesForm(posted(request), initial=_hints(request, here))
    return form_page(
        request, here, "prices", form,
        lambda _said: services.set_committed_prices(
            organization_id=here.id, about=form.about(), steps=form.steps(), by=here.caller.actor, at=here.now
        ),
        title="Agree committed prices", submit="Save the prices", back=("Prices", address(here, "prices")),
        done="The prices hold for calls rated from now on. To apply them to the past, rate the period again.",
        lead="What you pay for one model instead of its list price. A meter left empty keeps its list price.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("prices", Permission.PRICING_MANAGE)
def custom(request: HttpRequest, here: Here) -> HttpResponse:
    form = PricesForm(posted(request), initial=_hints(request, here), custom=True)
    return form_page(
        request, here, "prices", form,
        lambda said: services.add_custom_model(
            organization_id=here.id, about=form.about(), steps=form.steps(), currency=said["currency"],
            host=said["host"], by=here.caller.actor, at=here.now,
        ),
        title="Describe your own model", submit="Save the model", back=("Prices", address(here, "prices")),
        done="The model has a price. Calls that waited for it can be rated again on the page Unpriced.",
        lead="Self-hosted, fine-tuned or bought elsewhere: a model the public book does not have.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("prices", Permission.PRICING_MANAGE)
def close(request: HttpRequest, here: Here, contract_id: int) -> HttpResponse:
    row = selectors.contract(here.id, contract_id)
    form = CloseForm(posted(request), initial={"effective_to": here.now.date() + timedelta(days=1)})
    return form_page(
        request, here, "prices", form,
        lambda said: services.close_contract(
            organization_id=here.id, contract_id=contract_id, effective_to=said["effective_to"],
            by=here.caller.actor, at=here.now,
        ),
        title="End a contract", submit="End it", back=("Prices", address(here, "prices")),
        done="The contract has an end.",
        lead=f"{row}. Charges already rated keep their price until the period is rated again.", danger=True,
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("prices", Permission.PRICING_MANAGE)
def alias(request: HttpRequest, here: Here) -> HttpResponse:
    hints = _hints(request, here)
    form = AliasForm(posted(request), initial={"pattern": hints.get("model"), "provider": hints.get("provider")})
    return form_page(
        request, here, "prices", form,
        lambda said: services.set_alias(organization_id=here.id, **said, by=here.caller.actor, at=here.now),
        title="Write a name rule", submit="Save the rule", back=("Prices", address(here, "prices")),
        done="The name is known. Calls that waited for it can be rated again on the page Unpriced.",
        lead="This name, as a source sends it, is that model. The name as received is kept on every charge.",
    )  # fmt: skip


@require_POST
@page("prices", Permission.PRICING_MANAGE)
def archive_alias(request: HttpRequest, here: Here, alias_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.archive_alias(organization_id=here.id, alias_id=alias_id, by=here.caller.actor, at=here.now),
        done="The rule no longer holds.",
        to=address(here, "prices"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("prices", Permission.PRICING_MANAGE)
def exchange(request: HttpRequest, here: Here) -> HttpResponse:
    form = RateForm(posted(request), initial={"day": here.now.date(), "to_currency": here.currency})
    return form_page(
        request, here, "prices", form,
        lambda said: services.add_exchange_rates(
            organization_id=here.id, rates=[GivenRate(**said)], by=here.caller.actor, at=here.now
        ),
        title="Add an exchange rate", submit="Save the rate", back=("Prices", address(here, "prices")),
        done="The rate is kept.", lead="Charges already booked keep the rate they were booked at.",
    )  # fmt: skip


def _hints(request: HttpRequest, here: Here) -> dict[str, Any]:
    hints = {name: request.GET[name][:200].replace("\0", "") for name in ("provider", "model") if name in request.GET}
    return {"effective_from": here.now.date().replace(day=1), **hints}


def _price_row(here: Here, price: Price) -> dict[str, Any]:
    query = urlencode({"provider": price.provider, "model": price.model})
    first = price.steps[0] if price.steps else {"rates": {}}
    return {
        "price": price,
        "rates": _rates(first, list(MAIN_METERS)),
        "more_steps": len(price.steps) - 1,
        "href": f"{address(here, 'model')}?{query}",
    }


def _rates(step: dict[str, Any], meters: list[str]) -> list[Decimal | None]:
    """Kept as text, per million units."""
    return [Decimal(step["rates"][meter]) if meter in step["rates"] else None for meter in meters]


def _state(contract: Contract, here: Here) -> str:
    today = here.now.date()
    if contract.effective_to is not None and contract.effective_to <= today:
        return "ended"
    return "active" if contract.effective_from <= today else "planned"
