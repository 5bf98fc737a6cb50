"""Makes prices so: seeding the public book, and what an organization writes over it."""

from __future__ import annotations

from finops.pricing.services.aliases import AliasExists, archive_alias, set_alias
from finops.pricing.services.contracts import (
    Agreed,
    ContractOverlaps,
    ModelUnknown,
    ProviderUnknown,
    add_custom_model,
    close_contract,
    set_committed_prices,
    set_discount,
)
from finops.pricing.services.exchange import Kept, add_exchange_rates
from finops.pricing.services.seeding import Seeded, seed_price_book
from finops.pricing.services.versions import touch

__all__ = [
    "Agreed",
    "AliasExists",
    "ContractOverlaps",
    "Kept",
    "ModelUnknown",
    "ProviderUnknown",
    "Seeded",
    "add_custom_model",
    "add_exchange_rates",
    "archive_alias",
    "close_contract",
    "seed_price_book",
    "set_alias",
    "set_committed_prices",
    "set_discount",
    "touch",
]
