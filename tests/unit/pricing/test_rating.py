"""What a call costs, to the last picodollar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finops.core.money import to_price
from finops.core.tokens import INPUT_METERS, METERS
from finops.pricing.rules import Found, explain, rate
from finops.pricing.rules.pricer import card, own_card
from finops.pricing.rules.rating import choose_card, input_tokens
from finops.pricing.types import ContractTerms, PriceVersion, Rated, StepRates
from tests.factories.pricing import counts, steps, terms

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
prices = st.decimals(0, 1000, places=6, allow_nan=False)


@st.composite
def step_lists(draw: st.DrawFn) -> tuple[StepRates, ...]:
    thresholds = sorted({0, *draw(st.lists(st.integers(1, 400_000), max_size=3))})
    meters = st.sets(st.sampled_from(METERS), min_size=1)
    return tuple(StepRates(above, {meter: draw(prices) for meter in sorted(draw(meters))}) for above in thresholds)


@st.composite
def contracts(draw: st.DrawFn) -> ContractTerms | None:
    kind = draw(st.sampled_from(["", "discount", "committed"]))
    if not kind:
        return None
    if kind == "discount":
        return terms(percent=draw(st.decimals(0, 100, places=4)))
    return terms(kind=kind, steps=draw(step_lists()))


def version(*given_steps: StepRates, **more: Any) -> PriceVersion:
    usual: dict[str, Any] = {
        "id": 7, "provider": "openai", "model": "gpt-test", "tier": "", "window": "", "effective_from": None,
        "effective_to": None, "currency": "USD", "steps": given_steps,
    }  # fmt: skip
    return PriceVersion(**usual | more)


def found(*versions: PriceVersion, agreed: ContractTerms | None = None) -> Found:
    return Found("openai", "gpt-test", tuple(card(one, agreed) for one in versions))


@given(step_lists(), contracts(), st.lists(st.integers(0, 10**9), min_size=len(METERS), max_size=len(METERS)))
def test_the_explained_lines_add_up_to_the_rated_call(
    given_steps: tuple[StepRates, ...], agreed: ContractTerms | None, used: list[int]
) -> None:
    known = found(version(*given_steps), agreed=agreed)
    rated, lines = rate(known, used, NOON), explain(known, used, NOON)
    if not rated.priced:
        assert lines == []
        assert (rated.list_pico, rated.contracted_pico, rated.effective_pico) == (0, 0, 0)
        assert rated.reason == "meter_unpriced"
        return
    assert sum(line.list_pico for line in lines) == rated.list_pico
    assert sum(line.contracted_pico for line in lines) == rated.contracted_pico
    assert sum(line.effective_pico for line in lines) == rated.effective_pico == rated.contracted_pico
    for line in lines:
        assert line.list_rate * line.count / line.per == Decimal(line.list_pico).scaleb(-12)


@given(prices, st.decimals(0, 100, places=4))
def test_a_discounted_price_is_rounded_once_to_six_places(price: Decimal, percent: Decimal) -> None:
    known = found(version(steps(input_uncached=price)), agreed=terms(percent=percent))
    rated = rate(known, counts(input_uncached=1_000_000), NOON)
    assert Decimal(rated.list_pico).scaleb(-12) == price
    assert Decimal(rated.contracted_pico).scaleb(-12) == to_price(price * (100 - percent) / 100)
    assert rated.contracted_pico <= rated.list_pico


def test_a_long_prompt_moves_the_whole_call_over_the_cliff() -> None:
    known = found(
        version(steps(input_uncached="3", cache_read="0.3", output_text="15"),
                steps(200_000, input_uncached="6", cache_read="0.6", output_text="22.5"))
    )  # fmt: skip
    at_the_edge = rate(known, counts(input_uncached=100_000, cache_read=100_000, output_text=10), NOON)
    past_it = rate(known, counts(input_uncached=100_000, cache_read=100_001, output_text=10), NOON)
    assert at_the_edge.list_pico == 3 * 10**11 + 3 * 10**10 + 150 * 10**6
    assert past_it.list_pico == 6 * 10**11 + 600_000 * 100_001 + 225 * 10**6


def test_a_thousand_short_prompts_in_one_record_are_no_long_one() -> None:
    known = found(
        version(steps(input_uncached="3", output_text="15"), steps(200_000, input_uncached="6", output_text="22.5"))
    )
    together = rate(known, counts(input_uncached=300_000, output_text=10, requests=1_000), NOON)
    assert together.list_pico == 3 * 300_000 * 10**6 + 150 * 10**6
    each_long = rate(known, counts(input_uncached=600_000, requests=2), NOON)
    assert each_long.list_pico == 6 * 600_000 * 10**6


def test_everything_in_the_prompt_counts_for_the_threshold() -> None:
    assert input_tokens(counts(**dict.fromkeys(INPUT_METERS, 3), output_text=1_000, requests=1)) == 3 * len(
        INPUT_METERS
    )


def test_a_meter_without_a_price_makes_the_call_unpriced_and_never_free() -> None:
    known = found(version(steps(input_uncached="1", output_text="2")))
    assert rate(known, counts(input_uncached=5, requests=1), NOON).priced
    searched = rate(known, counts(input_uncached=5, web_searches=1), NOON)
    assert (searched.priced, searched.reason, searched.effective_pico) == (False, "meter_unpriced", 0)


def test_a_request_is_free_where_tokens_are_priced_and_unknown_where_nothing_is() -> None:
    by_the_hour = found(version(steps()))
    assert rate(by_the_hour, counts(requests=1), NOON).reason == "meter_unpriced"
    with_fee = found(version(steps(input_uncached="1", requests="5000")))
    assert rate(with_fee, counts(requests=2), NOON).list_pico == 10**10


def test_no_price_at_all_says_why() -> None:
    nothing = Found("openai", "gpt-next", (), "model_unknown")
    assert rate(nothing, counts(input_uncached=9), NOON) == Rated(False, 0, 0, "USD", 0, 0, 0, "model_unknown")
    assert explain(nothing, counts(input_uncached=9), NOON) == []
    assert not nothing.priced


def test_off_peak_hours_go_before_the_day_and_may_pass_midnight() -> None:
    day, night = version(steps(input_uncached="2")), version(steps(input_uncached="1"), id=8, window="16:30-00:30")
    known = found(night, day)
    costs = {
        hour: rate(known, counts(input_uncached=10**6), datetime(2026, 11, 3, *hour, tzinfo=UTC)).list_pico
        for hour in [(16, 29), (16, 30), (23, 59), (0, 0), (0, 29), (0, 30), (12, 0)]
    }
    assert [hour for hour, cost in costs.items() if cost == 10**12] == [(16, 30), (23, 59), (0, 0), (0, 29)]
    assert choose_card(known.cards[:1], NOON) is None
    assert (known.cards[0].daily_from, known.cards[0].daily_to) == (time(16, 30), time(0, 30))
    assert rate(Found("openai", "gpt-test", known.cards[:1]), counts(input_uncached=1), NOON).priced is False


def test_committed_prices_replace_the_meters_they_name() -> None:
    agreed = terms(kind="committed", model="gpt-test", steps=(steps(input_uncached="0.5", web_searches="4000"),))
    known = found(version(steps(input_uncached="1", output_text="2")), agreed=agreed)
    rated = rate(known, counts(input_uncached=10**6, output_text=10**6, web_searches=1), NOON)
    # The list has no price for a search; what was agreed is then the only price there is.
    assert rated.list_pico == (1 + 2) * 10**12 + 4 * 10**9
    assert rated.contracted_pico == 25 * 10**11 + 4 * 10**9
    assert rated.contract_id == 1


def test_committed_prices_with_thresholds_of_their_own() -> None:
    agreed = terms(kind="committed", steps=(steps(input_uncached="0.5"), steps(50, input_uncached="0.4")))
    known = found(version(steps(input_uncached="1"), steps(100, input_uncached="2")), agreed=agreed)
    per_token = [
        (rated.list_pico // size, rated.contracted_pico // size)
        for size in (50, 51, 100, 101)
        for rated in [rate(known, counts(input_uncached=size), NOON)]
    ]
    million = 10**6
    assert per_token == [
        (million, million // 2),
        (million, 4 * million // 10),
        (million, 4 * million // 10),
        (2 * million, 4 * million // 10),
    ]


def test_an_own_model_has_one_price_in_its_own_currency() -> None:
    made = own_card(terms(id=4, kind="custom", currency="EUR", steps=(steps(output_text="0.9"),)))
    rated = rate(Found("vllm", "llama", (made,)), counts(output_text=10), NOON)
    assert (rated.currency, rated.price_id, rated.contract_id) == ("EUR", 0, 4)
    assert rated.list_pico == rated.contracted_pico == 9_000_000
    assert explain(Found("vllm", "llama", (made,)), counts(output_text=10, requests=1), NOON)[1].per == 1
    assert date(2020, 1, 1) == terms().effective_from
