"""What a call cost: counts times rates, in whole picodollars. Nothing is rounded here (see `core.money`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from operator import itemgetter, mul
from typing import Final

from finops.core.money import PRICE_PLACES
from finops.core.tokens import COUNT_METERS, INPUT_SLICE, METER_INDEX, METERS
from finops.pricing.types import RateCard, Rated, Rates, RateStep

# Of a charge whose price nobody knows: the amount is zero, and the catalogue's currency says zero of what.
UNKNOWN_CURRENCY: Final = "USD"
_MILLION: Final = 1_000_000
_REQUESTS: Final = METER_INDEX["requests"]

# The input meters picked out in C: long-context models are asked this for every call.
_input_counts = itemgetter(*INPUT_SLICE)

_Simple = tuple[Rates, Rates, tuple[int, ...], int, int, str]


def unpriced(reason: str, currency: str = UNKNOWN_CURRENCY) -> Rated:
    """A call nobody knows the price of: a state, never free."""
    return Rated(False, 0, 0, currency, 0, 0, 0, reason)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A day's prices for a (provider, model, tier, host). Names are canonical where known, else as they came.

    `cards` are in the order they are tried: off-peak windows first, the whole day last. Empty when there is no price,
    and then `reason` says why ('model_unknown', 'tier_unknown').
    """

    provider: str
    model: str
    cards: tuple[RateCard, ...]
    reason: str = ""
    # The usual case made ready: one card of one step.
    simple: _Simple | None = field(init=False, repr=False)
    nothing: Rated = field(init=False, repr=False)

    def __post_init__(self) -> None:
        simple: _Simple | None = None
        if len(self.cards) == 1 and len(self.cards[0].steps) == 1 and self.cards[0].daily_from is None:
            card, step = self.cards[0], self.cards[0].steps[0]
            simple = (
                step.list_rates,
                step.contracted_rates,
                tuple(sorted(card.missing)),
                card.price_id,
                card.contract_id,
                card.currency,
            )
        object.__setattr__(self, "simple", simple)
        object.__setattr__(self, "nothing", unpriced(self.reason))

    @property
    def priced(self) -> bool:
        return bool(self.cards)


def rate(found: Found, counts: Sequence[int], at: datetime) -> Rated:
    """What a call of these counts (in the order of METERS) cost. Pure; integers only.

    A count of a meter the card has no price for makes the whole call unpriced ('meter_unpriced').
    """
    simple = found.simple
    if simple is not None:
        list_rates, contracted_rates, missing, price_id, contract_id, currency = simple
    else:
        if not found.cards:
            return found.nothing
        card = choose_card(found.cards, at)
        if card is None:
            return unpriced("model_unknown")
        step = choose_step(card.steps, counts)
        list_rates, contracted_rates = step.list_rates, step.contracted_rates
        missing, price_id, contract_id, currency = tuple(card.missing), card.price_id, card.contract_id, card.currency
    for index in missing:
        if counts[index]:
            return unpriced("meter_unpriced", currency)
    listed = sum(map(mul, counts, list_rates))
    contracted = listed if contracted_rates is list_rates else sum(map(mul, counts, contracted_rates))
    return Rated(True, price_id, contract_id, currency, listed, contracted, contracted, "")


def input_tokens(counts: Sequence[int]) -> int:
    """Everything the model read, cached or not: what long-context thresholds are about."""
    return sum(_input_counts(counts))


def choose_step(steps: tuple[RateStep, ...], counts: Sequence[int]) -> RateStep:
    """The highest step whose threshold the prompt exceeds; exactly at the threshold is still below it.

    A record that stands for several requests is judged by their average prompt: thresholds are about one prompt, and
    the sum of a thousand short ones is not a long one.
    """
    chosen = steps[0]
    if len(steps) > 1:
        total = input_tokens(counts) / max(counts[_REQUESTS], 1)
        for step in steps[1:]:
            if total <= step.above_input_tokens:
                break
            chosen = step
    return chosen


def choose_card(cards: tuple[RateCard, ...], at: datetime) -> RateCard | None:
    """The first card whose daily window (UTC, half-open, may pass midnight) holds the instant."""
    now: time | None = None
    for card in cards:
        if card.daily_from is None or card.daily_to is None:
            return card
        if now is None:
            now = at.astimezone(UTC).time()
        start, end = card.daily_from, card.daily_to
        if (start <= now < end) if start <= end else (now >= start or now < end):
            return card
    return None


@dataclass(frozen=True, slots=True)
class Line:
    """One meter of a call: how many, at what rate, and what that came to in picodollars.

    Rates are per `per` units: a million for tokens, one for what is counted. The lines of a call add up to its
    `Rated`, to the last picodollar.
    """

    meter: str
    count: int
    per: int
    list_rate: Decimal
    contracted_rate: Decimal
    list_pico: int
    contracted_pico: int
    effective_pico: int


def explain(found: Found, counts: Sequence[int], at: datetime) -> list[Line]:
    """The meters used, in the order of METERS. Empty when the call is unpriced."""
    card = choose_card(found.cards, at)
    if card is None or not rate(found, counts, at).priced:
        return []
    step = choose_step(card.steps, counts)
    lines = []
    for meter, count, listed, contracted in zip(METERS, counts, step.list_rates, step.contracted_rates, strict=True):
        if count:
            per = 1 if meter in COUNT_METERS else _MILLION
            lines.append(
                Line(
                    meter,
                    count,
                    per,
                    _shown(listed, per),
                    _shown(contracted, per),
                    listed * count,
                    contracted * count,
                    contracted * count,
                )
            )
    return lines


def _shown(units: int, per: int) -> Decimal:
    """Integer millionths per million as a price per `per`, without trailing zeros."""
    price = Decimal(units).scaleb(-PRICE_PLACES) * per / _MILLION
    return price.normalize() + Decimal(0)
