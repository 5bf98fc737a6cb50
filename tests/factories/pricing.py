"""Prices for tests: the real book read into memory, small invented providers, and rows of the pricing room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any

from genai_prices import data

from finops.core.actors import system
from finops.core.tokens import METER_INDEX, METERS
from finops.pricing.rules import Catalogue, Names
from finops.pricing.rules.catalogue import Content, read
from finops.pricing.types import ContractTerms, ModelEntry, PriceVersion, ProviderEntry, StepRates

SEEDED_AT = datetime(2026, 11, 1, 6, tzinfo=UTC)


def counts(**meters: int) -> tuple[int, ...]:
    """Counts in the order of METERS: `counts(input_uncached=1200, output_text=300)`."""
    made = [0] * len(METERS)
    for meter, count in meters.items():
        made[METER_INDEX[meter]] = count
    return tuple(made)


@cache
def real_content() -> Content:
    """The installed release of the public price data, read once."""
    return read(data.providers)


@cache
def real_catalogue() -> Catalogue:
    """The same as the catalogue rating works from; price ids count from 1 in the order of the drafts."""
    return catalogue_of(real_content())


def catalogue_of(content: Content) -> Catalogue:
    names = Names(
        [
            ProviderEntry(
                one.provider,
                one.match,
                one.model_match,
                tuple(one.fallbacks),
                tuple(ModelEntry(model.model, model.match) for model in one.models),
            )
            for one in content.providers
        ]
    )
    prices = [
        PriceVersion(
            number,
            *draft.line,
            draft.effective_from,
            draft.effective_to,
            "USD",
            tuple(steps(step["above_input_tokens"], **step["rates"]) for step in draft.steps),
        )
        for number, draft in enumerate(content.drafts, start=1)
    ]
    return Catalogue(names, prices)


def steps(above_input_tokens: int = 0, **rates: str | Decimal) -> StepRates:
    return StepRates(above_input_tokens, {meter: Decimal(rate) for meter, rate in rates.items()})


def terms(**given: Any) -> ContractTerms:
    """A contract: a discount of 10 % on everything of OpenAI, unless told otherwise."""
    usual: dict[str, Any] = {
        "id": 1,
        "kind": "discount",
        "provider": "openai",
        "model": "",
        "tier": "*",
        "host": "",
        "percent": Decimal(0),
        "currency": "USD",
        "steps": (),
        "effective_from": date(2020, 1, 1),
        "effective_to": None,
    }
    if given.get("kind", "discount") == "discount":
        usual["percent"] = Decimal(10)
    return ContractTerms(**usual | given)


def provider(name: str, models: Mapping[str, Any], **more: Any) -> SimpleNamespace:
    """A provider shaped like the package's, of models that are matched by their own name.

    A model is given as its prices (field to Decimal), or as a list of (constraint or None, prices).
    """
    return SimpleNamespace(
        id=name,
        name=name.title(),
        provider_match=more.get("provider_match"),
        model_match=more.get("model_match"),
        fallback_model_providers=more.get("fallbacks"),
        models=[
            SimpleNamespace(
                id=model,
                name=model,
                match=SimpleNamespace(equals=model),
                context_window=None,
                price_comments=None,
                prices=_prices(prices),
                price_variants=None,
            )
            for model, prices in models.items()
        ],
    )


def _prices(given: Any) -> Any:
    if isinstance(given, Mapping):
        return fields(given)
    return [SimpleNamespace(constraint=constraint, prices=fields(prices)) for constraint, prices in given]


def fields(prices: Mapping[str, str]) -> SimpleNamespace:
    return SimpleNamespace(**{name: Decimal(price) for name, price in prices.items()})


def from_day(day: date) -> SimpleNamespace:
    return SimpleNamespace(start_date=day)


def seed(providers: Iterable[Any] | None = None, at: datetime = SEEDED_AT, version: str | None = None) -> Any:
    """Seed the book: the real one, or invented providers."""
    from finops.pricing.services import seed_price_book

    return seed_price_book(by=system("test"), at=at, providers=providers, version=version)
