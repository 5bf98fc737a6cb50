"""What prices are: the snapshots rating works from, and the catalogue for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import F, Min, Q, QuerySet

from finops.core.errors import NotFound
from finops.orgs.models import Organization
from finops.pricing.models import (
    CatalogueModel,
    CatalogueProvider,
    Contract,
    ExchangeRate,
    ModelAlias,
    Price,
    PriceBook,
    PricingVersion,
)
from finops.pricing.rules import Catalogue, Exchange, Found, Names, Overrides, Pricer
from finops.pricing.rules.pricer import card, own_card
from finops.pricing.types import (
    AliasRule,
    ContractTerms,
    ModelEntry,
    PriceVersion,
    ProviderEntry,
    RateFact,
    StepRates,
)

Tokens = tuple[UUID | None, UUID | None]
# Snapshots of this many organizations are kept by a process; the least recently made goes first.
_KEPT: Final = 200
# The columns of Price that make a PriceVersion.
_VERSION: Final = (
    "id", "provider", "model", "tier", "window", "effective_from", "effective_to", "currency", "steps",
)  # fmt: skip


class CatalogueData(NamedTuple):
    """What the public catalogue is made of; `windows` are context windows in tokens, by provider and model."""

    providers: tuple[ProviderEntry, ...]
    prices: tuple[PriceVersion, ...]
    aliases: tuple[AliasRule, ...]
    windows: dict[tuple[str, str], int]


class _Kept(NamedTuple):
    tokens: Tokens
    pricer: Pricer


_catalogue: tuple[UUID | None, Catalogue] | None = None
_pricers: dict[int, _Kept] = {}
_exchanges: dict[int, tuple[Tokens, Exchange]] = {}


def load_pricer(organization_id: int) -> Pricer:
    """An immutable snapshot of the book and the organization's contracts.

    One small query when nothing has changed since this process last asked; five when everything has.
    """
    tokens = price_state(organization_id)
    kept = _pricers.get(organization_id)
    if kept is None or kept.tokens != tokens:
        kept = _Kept(tokens, Pricer(_public(tokens[0]), Overrides(*overrides_data(organization_id))))
        _keep(_pricers, organization_id, kept)
    return kept.pricer


def load_exchange(organization_id: int) -> Exchange:
    """Dated rates into the organization's reporting currency. Two small queries when nothing has changed."""
    tokens = price_state(organization_id)
    currency = Organization.objects.values_list("reporting_currency", flat=True).get(id=organization_id)
    kept = _exchanges.get(organization_id)
    if kept is None or kept[0] != tokens or kept[1].reporting_currency != currency:
        kept = (tokens, Exchange(currency, exchange_facts(organization_id, currency)))
        _keep(_exchanges, organization_id, kept)
    return kept[1]


def exchange_facts(organization_id: int, currency: str) -> list[RateFact]:
    """Every dated rate from or into a currency: the organization's own and the common ones."""
    rows = (
        ExchangeRate.objects.filter(_of(organization_id))
        .filter(Q(from_currency=currency) | Q(to_currency=currency))
        .order_by("day", "id")
        .values_list("from_currency", "to_currency", "day", "rate", "organization_id")
    )
    return [RateFact(*row[:4], own=row[4] is not None) for row in rows]


def overrides_data(organization_id: int) -> tuple[tuple[ContractTerms, ...], tuple[AliasRule, ...]]:
    """What an organization wrote about prices: its contracts, and its names for models."""
    rows = Contract.objects.filter(organization_id=organization_id).order_by("id")
    return tuple(terms(contract) for contract in rows), tuple(_aliases(organization_id))


def catalogue_data() -> CatalogueData:
    """All of the public catalogue."""
    rows = CatalogueModel.objects.order_by("id").values_list("provider_id", "model", "context_window")
    windows = {(provider, model): window for provider, model, window in rows if window}
    return CatalogueData(tuple(_providers()), tuple(_prices()), tuple(_aliases(None)), windows)


def load_catalogue() -> Catalogue:
    """The public part alone."""
    token = PricingVersion.objects.filter(organization__isnull=True).values_list("token", flat=True).first()
    return _public(token)


def book() -> PriceBook | None:
    """The release in force; None before the first seeding."""
    return PriceBook.objects.order_by("-id").first()


def price(price_id: int) -> Price:
    """A public price by the id a charge carries, also one that is closed or withdrawn. Raises NotFound."""
    found = Price.objects.select_related("book").filter(id=price_id).first()
    if found is None:
        raise NotFound("there is no such price")
    return found


def charged(organization_id: int, *, price_id: int, contract_id: int, provider: str, model: str) -> Found | None:
    """The very prices a charge was booked at, by the ids it carries (0 is none), whatever has changed since.

    `rules.explain` of it adds up to the charge. None where a charge names no price: unpriced, or stated by its source.
    """
    agreed = terms(contract(organization_id, contract_id)) if contract_id else None
    if price_id:
        row = Price.objects.filter(id=price_id).values(*_VERSION).first()
        if row is None:
            raise NotFound("there is no such price")
        made = card(PriceVersion(**{**row, "steps": _steps(row["steps"])}), agreed)
    elif agreed is not None:
        made = own_card(agreed)
    else:
        return None
    return Found(provider, model, (made,))


def price_history(provider: str, model: str) -> list[Price]:
    """Every version of a model's public prices, by tier and window, the oldest first."""
    rows = Price.objects.filter(provider=provider, model=model, withdrawn_at__isnull=True).select_related("book")
    return list(rows.order_by("tier", "window", F("effective_from").asc(nulls_first=True), "id"))


def arrivals(since: datetime) -> list[tuple[str, str]]:
    """(provider, model) of what came into the book by a release that was seeded at `since` or later, and is still
    listed. What the first release of all had is not new.
    """
    first = PriceBook.objects.order_by("id").values_list("id", flat=True).first()
    fresh = PriceBook.objects.filter(seeded_at__gte=since, id__gt=first or 0).aggregate(first=Min("id"))["first"]
    if fresh is None:
        return []
    listed = set(CatalogueModel.objects.filter(listed=True).values_list("provider_id", "model"))
    rows = Price.objects.values_list("provider", "model").annotate(came=Min("book_id")).filter(came__gte=fresh)
    return sorted((provider, model) for provider, model, _ in rows if (provider, model) in listed)


def prices(*, on: date, provider: str = "", search: str = "") -> QuerySet[Price]:
    """The public prices in force on a day: of a provider, or with every word of `search` in provider or model."""
    rows = Price.objects.filter(
        Q(effective_from__isnull=True) | Q(effective_from__lte=on),
        Q(effective_to__isnull=True) | Q(effective_to__gt=on),
        withdrawn_at__isnull=True,
    )
    if provider:
        rows = rows.filter(provider=provider)
    for word in search.split()[:10]:
        rows = rows.filter(Q(provider__icontains=word) | Q(model__icontains=word))
    return rows.order_by("provider", "model", "tier", "window", "id")


def providers() -> list[tuple[str, str]]:
    """(id, name) of the catalogue's providers, by name."""
    rows = CatalogueProvider.objects.filter(listed=True).order_by("name", "provider")
    return list(rows.values_list("provider", "name"))


def contracts(organization_id: int, *, on: date | None = None) -> QuerySet[Contract]:
    """An organization's contracts, the newest first; only those in force on a day, if one is given."""
    rows = Contract.objects.filter(organization_id=organization_id)
    if on is not None:
        rows = rows.filter(Q(effective_to__isnull=True) | Q(effective_to__gt=on), effective_from__lte=on)
    return rows.order_by("-id")


def contract(organization_id: int, contract_id: int, *, lock: bool = False) -> Contract:
    """One contract; locked for the transaction if asked. Raises NotFound."""
    rows = Contract.objects.filter(organization_id=organization_id, id=contract_id)
    found = (rows.select_for_update() if lock else rows).first()
    if found is None:
        raise NotFound("there is no such contract")
    return found


def own_models(organization_id: int) -> set[tuple[str, str]]:
    """(provider, model in lower case) of the models an organization described itself, on any day."""
    rows = Contract.objects.filter(organization_id=organization_id, kind=Contract.Kind.CUSTOM).order_by("id")
    return {(provider, model.lower()) for provider, model in rows.values_list("provider", "model")}


def model_aliases(organization_id: int) -> QuerySet[ModelAlias]:
    """The rules in force, the organization's and everybody's, the newest first."""
    return ModelAlias.objects.filter(_of(organization_id), archived_at__isnull=True).order_by("-id")


def exchange_rates(organization_id: int, *, from_currency: str = "", to_currency: str = "") -> QuerySet[ExchangeRate]:
    """The organization's rates and everybody's, the newest day first."""
    rows = ExchangeRate.objects.filter(_of(organization_id))
    if from_currency:
        rows = rows.filter(from_currency=from_currency)
    if to_currency:
        rows = rows.filter(to_currency=to_currency)
    return rows.order_by("-day", "-id")


def price_state(organization_id: int) -> Tokens:
    """Which state prices are in: the public ones, and the organization's own."""
    rows = PricingVersion.objects.filter(_of(organization_id)).values_list("organization_id", "token")
    found: dict[int | None, UUID] = dict(rows)
    return found.get(None), found.get(organization_id)


def _of(organization_id: int) -> Q:
    return Q(organization_id=organization_id) | Q(organization_id__isnull=True)


def _keep(cache: dict[int, Any], organization_id: int, made: Any) -> None:
    cache.pop(organization_id, None)
    while len(cache) >= _KEPT:
        cache.pop(next(iter(cache)), None)
    cache[organization_id] = made


def _public(token: UUID | None) -> Catalogue:
    global _catalogue
    kept = _catalogue
    if kept is None or kept[0] != token:
        kept = _catalogue = (token, Catalogue(Names(_providers()), _prices(), _aliases(None)))
    return kept[1]


def _providers() -> list[ProviderEntry]:
    models: dict[str, list[ModelEntry]] = {}
    rows = CatalogueModel.objects.order_by("provider_id", "-listed", "position", "id")
    for provider, model, match in rows.values_list("provider_id", "model", "match"):
        models.setdefault(provider, []).append(ModelEntry(model, match))
    providers = CatalogueProvider.objects.order_by("-listed", "position", "provider")
    return [
        ProviderEntry(provider, match, model_match, tuple(fallbacks), tuple(models.get(provider, ())))
        for provider, match, model_match, fallbacks in providers.values_list(
            "provider", "match", "model_match", "fallbacks"
        )
    ]


def _prices() -> Iterable[PriceVersion]:
    rows = Price.objects.filter(withdrawn_at__isnull=True).order_by("id").values(*_VERSION)
    for row in rows:
        yield PriceVersion(**{**row, "steps": _steps(row["steps"])})


def _aliases(organization_id: int | None) -> list[AliasRule]:
    rows = ModelAlias.objects.filter(Q(organization_id=organization_id), archived_at__isnull=True).order_by("id")
    return [
        AliasRule(*row) for row in rows.values_list("kind", "provider", "pattern", "target_provider", "target_model")
    ]


def terms(contract: Contract) -> ContractTerms:
    """A contract as the value rating works from."""
    return ContractTerms(
        id=contract.id,
        kind=contract.kind,
        provider=contract.provider,
        model=contract.model,
        tier=contract.tier,
        host=contract.host,
        percent=contract.percent,
        currency=contract.currency,
        steps=_steps(contract.steps),
        effective_from=contract.effective_from,
        effective_to=contract.effective_to,
    )


def _steps(stored: list[dict[str, Any]]) -> tuple[StepRates, ...]:
    return tuple(
        StepRates(step["above_input_tokens"], {meter: Decimal(price) for meter, price in step["rates"].items()})
        for step in stored
    )
