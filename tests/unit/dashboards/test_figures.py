"""Numbers dressed for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.templatetags import figures as f

D = Decimal
amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=12, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (D("1234567.891"), "USD", "$1,234,567.89"),
        (D("-42.5"), "USD", "−$42.50"),
        (D("12"), "CHF", "CHF\u00a012.00"),
        (D("1234.5"), "JPY", "¥1,234"),
        (D("0"), "EUR", "€0.00"),
        (D("0.000123"), "USD", "< $0.01"),
        (D("-0.000123"), "USD", "> −$0.01"),
        (None, "USD", "n/a"),
    ],
)
def test_money_reads_as_finance_writes_it(value: Decimal | None, currency: str, text: str) -> None:
    assert f.money(value, currency) == text


def test_a_tile_shortens_and_the_exact_amount_does_not() -> None:
    assert f.money_short(D("1240118.402913")) == "$1.24M"
    assert f.money_exact(D("1240118.402913")) == "$1,240,118.402913"
    assert f.money_exact(D("5.000000000000")) == "$5.00"
    assert f.money_exact(D("0")) == "$0.00"
    assert f.money_exact(D("1E+3")) == "$1,000.00"


@given(amounts)
def test_the_exact_amount_is_exact(value: Decimal) -> None:
    text = f.money_exact(value).replace("$", "").replace(",", "").replace(f.MINUS, "-")
    assert Decimal(text) == value


@given(st.lists(amounts, max_size=40), st.sampled_from([0, 2, 6]))
def test_a_rounded_column_adds_up_to_its_rounded_total(values: list[Decimal], places: int) -> None:
    unit = D(1).scaleb(-places)
    shown = f.tied(values, places)
    assert sum(shown, D(0)) == sum(values, D(0)).quantize(unit)
    assert all(abs(one - value) < unit for one, value in zip(shown, values, strict=True))


def test_counts_shorten_only_where_they_are_long() -> None:
    assert f.count_short(9_999) == "9,999"
    assert f.count_short(12_400_000) == "12.4M"
    assert f.count(12_400_001) == "12,400,001"


def test_a_small_share_is_not_nothing_and_no_share_of_nothing_is_shown() -> None:
    assert f.percent(D("0.412")) == "41.2\u202f%"
    assert f.percent(D("0.00001")) == "< 0.1\u202f%"
    assert f.percent(f.share(D(1), D(0))) == "n/a"


def test_no_percentage_on_a_base_too_small_to_mean_anything() -> None:
    assert f.change(D("3"), D("0.40")) is None
    assert f.change(D("3"), D("2")) == D("0.5")


@pytest.mark.parametrize(
    ("passed", "text"),
    [(5, "just now"), (61, "1 minute ago"), (7_300, "2 hours ago"), (86_400, "1 day ago"), (900_000, "10 days ago")],
)
def test_how_long_ago(passed: int, text: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert f.ago(now - timedelta(seconds=passed), now) == text


def test_instants_are_told_in_utc() -> None:
    assert "22 Nov 2026 05:16 UTC" in f.when(datetime(2026, 11, 22, 5, 16, tzinfo=UTC))
