"""Amounts are exact, whatever is added, split, converted or written down."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core import money
from finops.core.money import MAX_PICO, Money

picos = st.integers(-MAX_PICO, MAX_PICO)
rates = st.decimals(Decimal("0.000000000001"), Decimal(10) ** 12, places=12, allow_nan=False)


@given(st.integers(-(10**30), 10**30), st.dictionaries(st.text(max_size=3), st.integers(0, 10**12), min_size=1))
def test_a_split_returns_every_last_unit(total: int, weights: dict[str, int]) -> None:
    shares = money.allocate(total, weights)
    assert sum(shares.values()) == total
    assert shares.keys() == weights.keys()
    assert all(share * total >= 0 for share in shares.values())
    whole = sum(weights.values())
    if whole:
        for key, weight in weights.items():
            assert abs(shares[key] - Fraction(total * weight, whole)) < 1
            assert weight or not shares[key]
    assert money.allocate(total, dict(reversed(weights.items()))) == shares


def test_a_split_among_nobody_or_by_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to split"):
        money.allocate(1, {})
    with pytest.raises(ValueError, match="negative"):
        money.allocate(1, {"a": -1, "b": 2})


@given(picos)
def test_what_is_written_is_read_back(pico: int) -> None:
    assert Decimal(money.pico_text(pico)) == money.from_pico(pico)
    assert money.to_pico(money.from_pico(pico)) == pico
    assert money.to_ledger(money.from_pico(pico)) == money.from_pico(pico)


@given(picos, rates)
def test_a_conversion_rounds_once_to_the_nearest(pico: int, rate: Decimal) -> None:
    exact = pico * Fraction(rate)
    converted = money.convert_pico(pico, rate)
    assert converted == round(exact)
    assert money.convert_pico(-pico, rate) == -converted


@pytest.mark.parametrize(("pico", "rate", "gives"), [(1, "0.5", 0), (3, "0.5", 2), (5, "0.5", 2), (-3, "0.5", -2)])
def test_halves_go_to_the_even_neighbour(pico: int, rate: str, gives: int) -> None:
    assert money.convert_pico(pico, Decimal(rate)) == gives


@given(st.decimals(Decimal(0), Decimal(10) ** 6, places=9, allow_nan=False), st.integers(0, 10**12))
def test_a_price_times_tokens_is_exact(price: Decimal, tokens: int) -> None:
    kept = money.to_price(price)
    assert abs(kept - price) <= Decimal("0.0000005")
    assert money.from_pico(money.price_units(kept) * tokens) == kept * tokens / 10**6


def test_a_price_or_an_amount_with_too_many_places_is_refused() -> None:
    with pytest.raises(money.AmountOutOfRange):
        money.price_units(Decimal("0.0000001"))
    with pytest.raises(money.AmountOutOfRange):
        money.to_pico(Decimal("0.0000000000001"))


def test_floats_and_strange_currencies_are_refused() -> None:
    for wrong in (1.5, 1, "1.5", None):
        with pytest.raises(TypeError):
            Money(wrong, "USD")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            money.to_ledger(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            money.to_price(wrong)  # type: ignore[arg-type]
    dollar, euro = Money(Decimal(1), "USD"), Money(Decimal(1), "EUR")
    with pytest.raises(money.CurrencyMismatch):
        _ = dollar + euro
    with pytest.raises(money.CurrencyMismatch):
        _ = dollar - euro
    assert dollar + dollar - -dollar == Money(Decimal(3), "USD")
    assert money.total_by_currency([dollar, euro, dollar]) == {"USD": Decimal(2), "EUR": Decimal(1)}
