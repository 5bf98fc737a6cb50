"""Months of calls to work out bills of, with the small price book's models and nothing but values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, Final

from finops.core.money import from_pico
from finops.core.tokens import METERS
from finops.pricing.rules import Exchange, Overrides, Pricer
from finops.pricing.rules.catalogue import read
from finops.pricing.types import ContractTerms, RateFact
from routing.bills.rating import Prices
from routing.bills.types import CACHED, READ, REQUESTS, WRITTEN, Line, Mix, Offer
from routing.tiers.hot import Register
from routing.tiers.selectors import list_prices
from tests.factories.pricing import catalogue_of, provider
from tests.factories.small_book import SMALL_BOOK

OCTOBER: Final = date(2026, 10, 1)
DAY: Final = date(2026, 10, 14)
GPT: Final = Offer(model="gpt", provider="openai")
MINI: Final = Offer(model="gpt-mini", provider="openai")
CLAUDE: Final = Offer(model="claude", provider="anthropic")
_SMALL: Final = catalogue_of(read([provider(name, models) for name, models in SMALL_BOOK.items()]))


def pricer(*contracts: ContractTerms) -> Pricer:
    return Pricer(_SMALL, Overrides(contracts))


def prices(*contracts: ContractTerms, currency: str = "USD", facts: Iterable[RateFact] = ()) -> Prices:
    return Prices(pricer(*contracts), Exchange(currency, facts))


def register() -> Register:
    return Register(prices=list_prices(pricer(), DAY))


def line(
    offer: Offer = GPT, *, read: int = 1_000, cached: int = 0, written: int = 100, calls: int = 1, day: date = DAY,
    spend: Decimal | None = None, **given: Any,
) -> Line:  # fmt: skip
    """Of the small book's models; unless said, it cost what the book says."""
    counts = [0] * len(METERS)
    counts[READ], counts[CACHED], counts[WRITTEN], counts[REQUESTS] = read, cached, written, calls
    one = Line(
        day=day,
        provider=offer.provider,
        model=offer.model,
        calls=calls,
        counts=tuple(counts),
        spend=Decimal(0),
        **given,
    )
    if spend is None:
        cost = prices().cost(one, offer)
        spend = Decimal(0) if cost is None else from_pico(int(cost))
    return Line(**{name: getattr(one, name) for name in one.__struct_fields__} | {"spend": spend})


def mix(*lines: Line, currency: str = "USD") -> Mix:
    return Mix(month=OCTOBER, currency=currency, lines=lines)
