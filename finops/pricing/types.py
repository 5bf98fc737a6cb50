"""What crosses rooms about price: a call's rates, and what a call cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import NamedTuple

# Integer millionths of the currency per million units (so that rate x count = picodollars), in the order of METERS.
Rates = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RateStep:
    """Rates from a prompt of `above_input_tokens` tokens on. A cliff: the whole call moves to this step."""

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


class Rated(NamedTuple):
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
