"""What people may write into prices, and how a refusal names what is wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.errors import Invalid
from finops.pricing.rules.terms import (
    CurrencyUnknown,
    GivenRate,
    PeriodInvalid,
    PriceInvalid,
    RatesUnreadable,
    currency,
    exchange_rate,
    percent,
    period,
    read_rates_csv,
    steps_as_given,
    steps_as_kept,
)
from tests.factories.pricing import steps


def test_tokens_are_given_per_million_and_what_is_counted_each() -> None:
    [kept] = steps_as_kept([steps(input_uncached="1.25", web_searches="0.01")])
    assert kept == {"above_input_tokens": 0, "rates": {"input_uncached": "1.250000", "web_searches": "10000.000000"}}
    assert steps_as_given([steps(web_searches="0.01")]) == [
        {"above_input_tokens": 0, "rates": {"web_searches": "0.01"}}
    ]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ([], "steps"),
        ([steps(5, input_uncached="1")], "steps[0].above_input_tokens"),
        ([steps(input_uncached="1"), steps(0, input_uncached="1")], "steps[1].above_input_tokens"),
        ([steps()], "steps[0].rates"),
        ([steps(input_uncached="-1")], "steps[0].rates.input_uncached"),
        ([steps(input_uncached="NaN")], "steps[0].rates.input_uncached"),
        ([steps(input_uncached="Infinity")], "steps[0].rates.input_uncached"),
        ([steps(input_uncached="1000001")], "steps[0].rates.input_uncached"),
        ([steps(input_tokens="1")], "steps[0].rates.input_tokens"),
    ],
)
def test_bad_prices_name_their_field(bad: list[object], field: str) -> None:
    with pytest.raises(PriceInvalid) as refused:
        steps_as_kept(bad)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_discounts_are_between_nothing_and_everything() -> None:
    assert percent(Decimal("12.5")) == Decimal("12.5")
    for bad in ("-1", "100.01", "NaN", "0.00001"):
        with pytest.raises(PriceInvalid):
            percent(Decimal(bad))


def test_currencies_and_periods() -> None:
    assert currency(" eur ", field="currency") == "EUR"
    with pytest.raises(CurrencyUnknown):
        currency("XYZ", field="currency")
    period(date(2026, 1, 1), None)
    with pytest.raises(PeriodInvalid):
        period(date(2026, 1, 1), date(2026, 1, 1))


@pytest.mark.parametrize(
    ("given_rate", "field"),
    [
        (GivenRate(date(2026, 1, 1), "EUR", "EUR", Decimal(1)), "to_currency"),
        (GivenRate(date(2026, 1, 1), "EUR", "USD", Decimal(0)), "rate"),
        (GivenRate(date(2026, 1, 1), "EUR", "USD", Decimal("1E-13")), "rate"),
        (GivenRate(date(2026, 1, 1), "EUR", "USD", Decimal("1E+12")), "rate"),
        (GivenRate(date(2026, 1, 1), "Euro", "USD", Decimal(1)), "from_currency"),
    ],
)
def test_bad_rates_name_their_field(given_rate: GivenRate, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        exchange_rate(given_rate)
    assert refused.value.field == f"rates[0].{field}"


def test_a_file_of_rates() -> None:
    text = "\ufeffRate,Day,To,From\n1.08,2026-11-02,usd,eur\n1.3,2026-11-02,USD,GBP\n"
    assert read_rates_csv(text, source="bank") == [
        GivenRate(date(2026, 11, 2), "EUR", "USD", Decimal("1.08"), "bank"),
        GivenRate(date(2026, 11, 2), "GBP", "USD", Decimal("1.3"), "bank"),
    ]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("day,from,to\n", "line 1"),
        ("", "line 1"),
        ("day,from,to,rate\n2026-13-01,EUR,USD,1\n", "line 2, day"),
        ("day,from,to,rate\n2026-11-01,EUR,USD,1\n2026-11-02,EUR,USD,one\n", "line 3, rate"),
        ("day,from,to,rate\n2026-11-01,EUR,USD,-1\n", "line 2.rate"),
        ("day,from,to,rate\n2026-11-01,EUR\n", "line 2, rate"),
        ('day,from,to,rate\n"2026-11-01,EUR,USD,1\n', "line 2"),
        ("day,from,to,rate\n\x00", "line 1"),
    ],
)
def test_a_bad_file_names_its_first_bad_line(text: str, field: str) -> None:
    with pytest.raises(RatesUnreadable) as refused:
        read_rates_csv(text)
    assert refused.value.field == field


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(RatesUnreadable):
        read_rates_csv(text)
