"""The most a call can cost is never less than what it does cost, whatever the provider makes of its tokens."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.budgets.rules.worst import Bounds, Prices, Unpriced, Worst, text_tokens
from finops.core.money import convert_pico
from finops.core.tokens import METER_INDEX, METERS
from finops.pricing.rules import Found, Pricer, rate
from finops.pricing.types import RateCard, RateStep
from tests.factories.pricing import counts, real_catalogue, real_content

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEXT_IN = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
TEXT_OUT = ("output_text", "output_reasoning")


def rates(**prices: int) -> tuple[int, ...]:
    return tuple(prices.get(meter, 0) for meter in METERS)


def card(*steps: tuple[int, tuple[int, ...]], missing: tuple[str, ...] = (), **window: time) -> RateCard:
    made = tuple(RateStep(above, prices, prices) for above, prices in steps)
    return RateCard(1, 0, "USD", made, frozenset(METER_INDEX[meter] for meter in missing), **window)


MODELS = [(one.provider, model.model) for one in real_content().providers for model in one.models]
PLAIN = rates(
    input_uncached=10, cache_read=1, cache_write_5m=12, cache_write_1h=20, output_text=50, output_reasoning=50
)
LONG = rates(input_uncached=20, cache_read=2, cache_write_5m=25, cache_write_1h=40, output_text=75, output_reasoning=75)


def found(*cards: RateCard) -> Found:
    return Found("anthropic", "claude", tuple(cards), "" if cards else "model_unknown")


def split(total: int, cuts: list[float], names: tuple[str, ...]) -> dict[str, int]:
    """A total divided among meters by cuts between 0 and 1."""
    marks = [0, *sorted(int(total * cut) for cut in cuts[: len(names) - 1]), total]
    return {name: high - low for name, (low, high) in zip(names, pairwise(marks), strict=False)}


@given(
    input_text=st.integers(0, 500_000),
    output_text=st.integers(0, 64_000),
    cuts=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    less=st.floats(0, 1),
    at=st.times(),
)
def test_no_way_to_count_its_tokens_costs_more(
    input_text: int, output_text: int, cuts: list[float], less: float, at: time
) -> None:
    night = card((0, rates(input_uncached=5, output_text=25)), daily_from=time(16), daily_to=time(0, 30))
    prices = found(night, card((0, PLAIN), (200_000, LONG)))
    used = split(int(input_text * less), cuts, TEXT_IN) | split(int(output_text * less), cuts, TEXT_OUT)
    worst = Prices([prices]).worst(Bounds(input_text=input_text, output_text=output_text))
    actual = rate(prices, counts(requests=1, **used), NOON.replace(hour=at.hour, minute=at.minute))
    assert actual.effective_pico <= worst.amount


@given(
    named=st.sampled_from(MODELS),
    input_text=st.integers(1, 300_000),
    output_text=st.integers(1, 32_000),
    cuts=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_nor_does_it_for_any_model_of_the_real_price_book(
    named: tuple[str, str], input_text: int, output_text: int, cuts: list[float]
) -> None:
    prices = Pricer(real_catalogue()).find(*named, "", "", NOON.date())
    used = split(input_text, cuts, TEXT_IN) | split(output_text, cuts, TEXT_OUT)
    try:
        worst = Prices([prices]).worst(Bounds(input_text=input_text, output_text=output_text))
    except Unpriced:
        return
    actual = rate(prices, counts(requests=1, **used), NOON)
    assert not actual.priced or actual.effective_pico <= worst.amount


def test_the_long_context_step_is_reached_by_what_the_prompt_may_be() -> None:
    prices = found(card((0, PLAIN), (200_000, LONG)))
    assert Prices([prices]).worst(Bounds(input_text=200_000, output_text=0)).amount == 200_000 * 20
    assert Prices([prices]).worst(Bounds(input_text=200_001, output_text=0)).amount == 200_001 * 40


def test_of_several_tiers_the_dearest_counts() -> None:
    cheap, dear = found(card((0, PLAIN))), found(card((0, LONG)))
    assert Prices([cheap, dear]).worst(Bounds(input_text=10, output_text=1)).amount == 10 * 40 + 75


def test_fees_sounds_and_pictures_count() -> None:
    prices = rates(input_audio=100, input_image=30, output_audio=200, web_searches=10_000, requests=7, output_text=1)
    bounds = Bounds(input_text=0, output_text=5, input_audio=3, input_image=2, output_audio=1, web_searches=4)
    assert Prices([found(card((0, prices)))]).worst(bounds).amount == 5 + 300 + 60 + 200 + 40_000 + 7


@pytest.mark.parametrize(
    ("prices", "bounds"),
    [
        (found(), Bounds(input_text=1, output_text=1)),
        (found(card((0, PLAIN), missing=("output_text",))), Bounds(input_text=1, output_text=1)),
        (found(card((0, PLAIN), missing=("web_searches",))), Bounds(input_text=1, output_text=1, web_searches=1)),
        (found(card((0, PLAIN), missing=("input_audio",))), Bounds(input_text=1, output_text=1, input_audio=1)),
    ],
)
def test_what_nobody_has_a_price_for_is_refused(prices: Found, bounds: Bounds) -> None:
    with pytest.raises(Unpriced):
        Prices([prices]).worst(bounds)


def test_how_much_output_an_amount_affords() -> None:
    worst = Prices([found(card((0, PLAIN)))]).worst(Bounds(input_text=10, output_text=100))
    assert (worst.fixed, worst.per_output, worst.amount) == (200, 50, 5_200)
    assert [worst.affordable(amount) for amount in (199, 200, 249, 250, 5_199, 5_200, 9_999)] == [
        -1,
        0,
        0,
        1,
        99,
        100,
        100,
    ]


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**5), st.decimals("0.0001", "999", places=6))
def test_in_another_currency_it_is_no_less(fixed: int, per_output: int, output: int, by: Decimal) -> None:
    worst = Worst(fixed, per_output, output, "USD")
    assert worst.converted(by).amount >= convert_pico(worst.amount, by)


@given(st.text(), st.integers(0, 50))
def test_a_text_has_no_more_tokens_than_bytes(text: str, messages: int) -> None:
    assert text_tokens([text], messages=messages) >= len(text.encode("utf-8", "surrogatepass"))


def test_tools_bring_instructions_with_them() -> None:
    assert text_tokens(["x"], tools=1) - text_tokens(["x"]) > 735


def test_the_day_s_price_is_that_of_today() -> None:
    prices = Pricer(real_catalogue()).find("anthropic", "claude-opus-4-5", "", "", date(2026, 11, 22))
    worst = Prices([prices]).worst(Bounds(input_text=1_000, output_text=1_000))
    assert worst.amount == 1_000 * 10_000_000 + 1_000 * 25_000_000
