"""Exchange rates as they were on a day: the latest known on or before it, and never an old one passed off as new."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from finops.pricing.types import RateFact

# Bridges a long weekend with holidays on both sides; older than this, a rate is unknown rather than assumed.
MAX_AGE: Final = timedelta(days=10)
_ONE: Final = Decimal(1)
_PLACES: Final = _ONE.scaleb(-12)


class DatedRate(NamedTuple):
    """How much of the reporting currency one unit was, and of which day: the one asked for, or one before it."""

    rate: Decimal
    day: date


class Exchange:
    """Rates into one reporting currency. Immutable.

    The organization's own rate goes before the common one; where only the opposite direction is known, its inverse is
    taken, rounded half-even to twelve places.
    """

    def __init__(self, reporting_currency: str, facts: Iterable[RateFact]) -> None:
        self.reporting_currency = reporting_currency
        # In the order they are asked: own, own inverse, common, common inverse.
        self._series: tuple[dict[str, tuple[list[date], list[Decimal]]], ...] = ({}, {}, {}, {})
        for fact in sorted(facts, key=lambda fact: fact.day):
            if fact.to_currency == reporting_currency:
                self._keep(self._series[0 if fact.own else 2], fact.from_currency, fact.day, fact.rate)
            elif fact.from_currency == reporting_currency:
                inverse = (_ONE / fact.rate).quantize(_PLACES, rounding=ROUND_HALF_EVEN)
                self._keep(self._series[1 if fact.own else 3], fact.to_currency, fact.day, inverse)

    @staticmethod
    def _keep(series: dict[str, tuple[list[date], list[Decimal]]], currency: str, day: date, rate: Decimal) -> None:
        days, rates = series.setdefault(currency, ([], []))
        days.append(day)
        rates.append(rate)

    def rate(self, currency: str, day: date) -> DatedRate | None:
        """The rate of `currency` that holds on a day; None when none of the last ten days is known."""
        if currency == self.reporting_currency:
            return DatedRate(_ONE, day)
        for series in self._series:
            if currency in series:
                days, rates = series[currency]
                position = bisect_right(days, day) - 1
                if position >= 0 and day - days[position] <= MAX_AGE:
                    return DatedRate(rates[position], days[position])
        return None
