"""What kind of model a model is, as an organization sees it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from django.db.models import QuerySet

from finops.core.errors import NotFound
from finops.core.money import PRICE_PLACES
from finops.core.tokens import METER_INDEX
from finops.pricing import selectors as pricing
from finops.pricing.rules.pricer import Pricer
from routing.tiers import rules
from routing.tiers.hot import Prices, Register
from routing.tiers.models import ModelTier
from routing.tiers.types import Entry, Tier

_INPUT: Final = METER_INDEX["input_uncached"]
_OUTPUT: Final = METER_INDEX["output_text"]


def register(organization_id: int, at: datetime) -> Register:
    """The shipped register below what the organization says itself; where neither names a tier, the list price of the
    day of `at` does. Two small queries, unless prices changed since this process last asked.
    """
    own = [entry_of(row) for row in entries(organization_id)]
    return Register(own, list_prices(pricing.load_pricer(organization_id), at.astimezone(UTC).date()))


def entries(organization_id: int) -> QuerySet[ModelTier]:
    """What an organization says itself, by name."""
    return ModelTier.objects.filter(organization_id=organization_id).order_by("model", "id")


def entry(organization_id: int, model_tier_id: int, *, lock: bool = False) -> ModelTier:
    """Raises NotFound."""
    rows = ModelTier.objects.filter(organization_id=organization_id, id=model_tier_id)
    found = (rows.select_for_update() if lock else rows).first()
    if found is None:
        raise NotFound("There is no such entry.")
    return found


def entry_of(row: ModelTier) -> Entry:
    return Entry(
        model=row.model,
        vendor=row.vendor,
        origin=row.origin,
        tier=Tier(row.tier) if row.tier else None,
        open_weights=row.open_weights,
    )


def list_prices(pricer: Pricer, day: date) -> Prices:
    """Blended list prices of a day, in dollars per million tokens; a model without priced output is its input's."""

    def price(provider: str, model: str) -> Decimal | None:
        found = pricer.find(provider, model, "", "", day)
        if not found.cards or found.cards[-1].currency != "USD":
            return None
        card = found.cards[-1]
        listed = card.steps[0].list_rates
        if _INPUT in card.missing:
            return None
        read, written = listed[_INPUT], listed[_INPUT if _OUTPUT in card.missing else _OUTPUT]
        blended = read * rules.INPUT_SHARE + written * (1 - rules.INPUT_SHARE)
        return blended.scaleb(-PRICE_PLACES)

    return price
