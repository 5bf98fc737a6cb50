"""What crosses rooms about price: a call's rates, and what a call cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any

import msgspec

# Integer millionths of the currency per million units (so that rate x count = picodollars), in the order of METERS.
Rates = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RateStep:
    """Rates for a prompt of more than `above_input_tokens` tokens. A cliff: the whole call moves to this step."""

    above_input_tokens: int
    list_rates: Rates
    contracted_rates: Rates


@dataclass(frozen=True, slots=True)
class RateCard:
    """How one (provider, model, tier) is priced within one price version.

    `steps` is in ascending order of threshold and starts at 0. `missing` holds the indexes of METERS this card has no
    price for: a call that uses one is unpriced, never free. `daily_from`/`daily_to` bound an off-peak window (UTC).
    """

    price_id: int
    contract_id: int
    currency: str
    steps: tuple[RateStep, ...]
    missing: frozenset[int]
    daily_from: time | None = None
    daily_to: time | None = None


class Rated(msgspec.Struct, frozen=True, gc=False):
    """What a call cost, in integer picodollars of `currency`. All zero and `priced` False when no price is known."""

    priced: bool
    price_id: int
    contract_id: int
    currency: str
    list_pico: int
    contracted_pico: int
    effective_pico: int
    # Why it is not priced: '' | 'model_unknown' | 'meter_unpriced' | 'tier_unknown'.
    reason: str


@dataclass(frozen=True, slots=True)
class StepRates:
    """Prices per million units by meter name, for prompts of more than `above_input_tokens` tokens."""

    above_input_tokens: int
    rates: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """One public price: what a (provider, model, tier) costs in `[effective_from, effective_to)`, None being open.

    `window` is '' for the whole day, or `HH:MM-HH:MM` in UTC, which goes before the whole day when it holds the call.
    """

    id: int
    provider: str
    model: str
    tier: str
    window: str
    effective_from: date | None
    effective_to: date | None
    currency: str
    steps: tuple[StepRates, ...]


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """What an organization agreed: a discount, committed prices, or a model of its own.

    `model` '' is every model of the provider; `tier` '*' is every tier. `percent` is of a discount alone, `steps` and
    `host` of the other kinds.
    """

    id: int
    kind: str
    provider: str
    model: str
    tier: str
    host: str
    percent: Decimal
    currency: str
    steps: tuple[StepRates, ...]
    effective_from: date
    effective_to: date | None


@dataclass(frozen=True, slots=True)
class AliasRule:
    """A written rule: this raw name (`exact`, or its beginning, `prefix`) is that model. `provider` '' is any."""

    kind: str
    provider: str
    pattern: str
    target_provider: str
    target_model: str


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model of the catalogue and the clause that recognises its names (see `rules.names`)."""

    model: str
    match: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider of the catalogue, its models in the order they are tried, and whose models it also offers."""

    provider: str
    match: Mapping[str, Any] | None
    model_match: Mapping[str, Any] | None
    fallbacks: tuple[str, ...]
    models: tuple[ModelEntry, ...]


@dataclass(frozen=True, slots=True)
class RateFact:
    """One unit of `from_currency` is `rate` of `to_currency` on `day`. `own` when the organization gave it itself."""

    from_currency: str
    to_currency: str
    day: date
    rate: Decimal
    own: bool
