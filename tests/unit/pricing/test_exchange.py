"""Dated rates: the latest on or before, and never too old."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from finops.pricing.rules import Exchange
from finops.pricing.types import RateFact

MONDAY = date(2026, 11, 2)


def fact(rate: str, day: date = MONDAY, *, own: bool = False) -> RateFact:
    return RateFact("EUR", "USD", day, Decimal(rate), own)


def test_the_same_currency_is_one() -> None:
    assert Exchange("EUR", []).rate("EUR", MONDAY) == (Decimal(1), MONDAY)


def test_ten_days_are_bridged_and_eleven_are_not() -> None:
    exchange = Exchange("USD", [fact("1.1")])
    assert exchange.rate("EUR", MONDAY + timedelta(days=10)) == (Decimal("1.1"), MONDAY), "and says whose it is"
    assert exchange.rate("EUR", MONDAY + timedelta(days=11)) is None
    assert exchange.rate("EUR", MONDAY - timedelta(days=1)) is None
    assert exchange.rate("GBP", MONDAY) is None


def test_ones_own_rate_goes_before_everybodys_while_it_is_fresh() -> None:
    exchange = Exchange("USD", [fact("1.1", MONDAY + timedelta(days=5)), fact("1.2", own=True)])
    assert exchange.rate("EUR", MONDAY + timedelta(days=6)) == (Decimal("1.2"), MONDAY)
    assert exchange.rate("EUR", MONDAY + timedelta(days=12)) == (Decimal("1.1"), MONDAY + timedelta(days=5))


def test_the_other_direction_serves_where_there_is_no_better() -> None:
    exchange = Exchange("EUR", [fact("1.25")])
    assert exchange.rate("USD", MONDAY) == (Decimal("0.8"), MONDAY)


@given(st.dictionaries(st.integers(0, 60), st.integers(1, 10**6), max_size=20), st.integers(0, 80))
def test_it_is_always_the_newest_of_the_last_ten_days(given_rates: dict[int, int], asked: int) -> None:
    facts = [fact(str(rate), MONDAY + timedelta(days=offset)) for offset, rate in given_rates.items()]
    newest = max((offset for offset in given_rates if offset <= asked and asked - offset <= 10), default=None)
    expected = None if newest is None else (Decimal(given_rates[newest]), MONDAY + timedelta(days=newest))
    assert Exchange("USD", facts).rate("EUR", MONDAY + timedelta(days=asked)) == expected
