"""Money: exact, never a float, never two currencies in one sum.

A list price per million tokens has at most six decimal places, so a price times a whole number of tokens is exact at
twelve. Rating therefore never rounds. In the hot path the same number is an integer of picodollars (10^-12 of a unit
of the currency); here and in the database it is a Decimal with twelve places.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypeVar

from finops.core.errors import FinopsError

LEDGER_PLACES = 12
PRICE_PLACES = 6
PICO: int = 10**LEDGER_PLACES
_LEDGER_QUANTUM = Decimal(1).scaleb(-LEDGER_PLACES)
_PRICE_QUANTUM = Decimal(1).scaleb(-PRICE_PLACES)
# NUMERIC(24,12) holds twelve digits before the point.
MAX_PICO = 10**24 - 1

K = TypeVar("K", bound=Hashable)


class CurrencyMismatch(FinopsError):
    code = "core.currency_mismatch"
    status = 400


class AmountOutOfRange(FinopsError):
    code = "core.amount_out_of_range"
    status = 422


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in one currency (ISO 4217, upper case). Raises CurrencyMismatch when two currencies meet."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"Money refuses {type(self.amount).__name__}; pass Decimal")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not add up; convert at a dated rate")


def to_ledger(value: Decimal) -> Decimal:
    """Round half-even to the ledger's twelve places. Raises TypeError for anything but a Decimal."""
    if not isinstance(value, Decimal):
        raise TypeError(f"the ledger refuses {type(value).__name__}; pass Decimal")
    return value.quantize(_LEDGER_QUANTUM, rounding=ROUND_HALF_EVEN)


def to_price(value: Decimal) -> Decimal:
    """Round half-even to a unit price's six places per million. Done once, when the price book is written."""
    if not isinstance(value, Decimal):
        raise TypeError(f"a price refuses {type(value).__name__}; pass Decimal")
    return value.quantize(_PRICE_QUANTUM, rounding=ROUND_HALF_EVEN)


def price_units(price_per_million: Decimal) -> int:
    """A price per million as an integer of millionths; times a count of tokens it is picodollars, exactly.

    Raises AmountOutOfRange when the price has more than six places: it was not written by `to_price`.
    """
    scaled = price_per_million.scaleb(PRICE_PLACES)
    if scaled != scaled.to_integral_value():
        raise AmountOutOfRange(f"price {price_per_million} has more than {PRICE_PLACES} places")
    return int(scaled)


def from_pico(pico: int) -> Decimal:
    """Picodollars as a Decimal with twelve places."""
    return Decimal(pico).scaleb(-LEDGER_PLACES)


def to_pico(amount: Decimal) -> int:
    """A ledger amount as an integer of picodollars. Raises AmountOutOfRange when it has more than twelve places."""
    scaled = amount.scaleb(LEDGER_PLACES)
    if scaled != scaled.to_integral_value():
        raise AmountOutOfRange(f"{amount} has more than {LEDGER_PLACES} places")
    return int(scaled)


def pico_text(pico: int) -> str:
    """Picodollars as the text PostgreSQL's COPY reads into NUMERIC(24,12); `1500000000000` is `1.500000000000`."""
    if pico < 0:
        return "-" + pico_text(-pico)
    return f"{pico // PICO}.{pico % PICO:012d}"


def convert_pico(pico: int, rate: Decimal) -> int:
    """Picodollars times an exchange rate, rounded half-even to the ledger's places. Exact for any amount: a Decimal
    product would be cut to the context's 28 digits first.
    """
    numerator, denominator = rate.as_integer_ratio()
    whole, rest = divmod(pico * numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def allocate(total: int, weights: Mapping[K, int]) -> dict[K, int]:
    """Split an integer total by weights with the largest remainder, so that the shares sum to the total.

    Weights are whole and not negative; when all are zero the split is even. Ties go to the smaller key's `repr`, so
    the same input always gives the same shares. The sign of the total is the sign of every share.
    Raises ValueError when there is nothing to split among, or a weight is negative.
    """
    if not weights:
        raise ValueError("nothing to split among")
    if any(weight < 0 for weight in weights.values()):
        raise ValueError("a weight is negative")
    if total < 0:
        return {key: -share for key, share in allocate(-total, weights).items()}
    whole = sum(weights.values())
    if whole == 0:
        return allocate(total, dict.fromkeys(weights, 1))
    shares = {key: total * weight // whole for key, weight in weights.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(weights, key=lambda key: (-(total * weights[key] % whole), repr(key)))
    for key in by_remainder[:left]:
        shares[key] += 1
    return shares


def total_by_currency(amounts: Iterable[Money]) -> dict[str, Decimal]:
    """Sums that never mix currencies: currency to total."""
    totals: dict[str, Decimal] = {}
    for money in amounts:
        totals[money.currency] = totals.get(money.currency, Decimal(0)) + money.amount
    return totals
