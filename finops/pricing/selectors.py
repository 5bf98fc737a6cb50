"""What prices are: the snapshots rating works from, and the catalogue for people."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import Q

from finops.orgs.models import Organization
from finops.pricing.models import (
    CatalogueModel,
    CatalogueProvider,
    Contract,
    ExchangeRate,
    ModelAlias,
    Price,
    PricingVersion,
)
from finops.pricing.rules import Catalogue, Exchange, Names, Overrides, Pricer
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
    tokens = _tokens(organization_id)
    kept = _pricers.get(organization_id)
    if kept is None or kept.tokens != tokens:
        kept = _Kept(tokens, Pricer(_public(tokens[0]), _overrides(organization_id)))
        _keep(_pricers, organization_id, kept)
    return kept.pricer


def load_exchange(organization_id: int) -> Exchange:
    """Dated rates into the organization's reporting currency. Two small queries when nothing has changed."""
    tokens = _tokens(organization_id)
    currency = Organization.objects.values_list("reporting_currency", flat=True).get(id=organization_id)
    kept = _exchanges.get(organization_id)
    if kept is None or kept[0] != tokens or kept[1].reporting_currency != currency:
        rows = (
            ExchangeRate.objects.filter(_of(organization_id))
            .filter(Q(from_currency=currency) | Q(to_currency=currency))
            .order_by("day", "id")
            .values_list("from_currency", "to_currency", "day", "rate", "organization_id")
        )
        facts = [RateFact(*row[:4], own=row[4] is not None) for row in rows]
        kept = (tokens, Exchange(currency, facts))
        _keep(_exchanges, organization_id, kept)
    return kept[1]


def _tokens(organization_id: int) -> Tokens:
    found = dict(PricingVersion.objects.filter(_of(organization_id)).values_list("organization_id", "token"))
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
        kept = _catalogue = (token, Catalogue(_names(), _prices(), _aliases(None)))
    return kept[1]


def _names() -> Names:
    models: dict[str, list[ModelEntry]] = {}
    rows = CatalogueModel.objects.order_by("provider_id", "-listed", "position", "id")
    for provider, model, match in rows.values_list("provider_id", "model", "match"):
        models.setdefault(provider, []).append(ModelEntry(model, match))
    providers = CatalogueProvider.objects.order_by("-listed", "position", "provider")
    return Names(
        [
            ProviderEntry(provider, match, model_match, tuple(fallbacks), tuple(models.get(provider, ())))
            for provider, match, model_match, fallbacks in providers.values_list(
                "provider", "match", "model_match", "fallbacks"
            )
        ]
    )


def _prices() -> Iterable[PriceVersion]:
    fields = ("id", "provider", "model", "tier", "window", "effective_from", "effective_to", "currency", "steps")
    for row in Price.objects.filter(withdrawn_at__isnull=True).order_by("id").values_list(*fields):
        yield PriceVersion(*row[:8], steps=_steps(row[8]))


def _aliases(organization_id: int | None) -> list[AliasRule]:
    rows = ModelAlias.objects.filter(organization_id=organization_id, archived_at__isnull=True).order_by("id")
    return [
        AliasRule(*row) for row in rows.values_list("kind", "provider", "pattern", "target_provider", "target_model")
    ]


def _overrides(organization_id: int) -> Overrides:
    rows = Contract.objects.filter(organization_id=organization_id).order_by("id")
    return Overrides([terms(contract) for contract in rows], _aliases(organization_id))


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
