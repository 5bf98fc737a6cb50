"""Our prices against genai-prices' own arithmetic, over every model it lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, data
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.core.money import PICO, from_pico
from finops.core.tokens import INPUT_METERS, METERS, OUTPUT_METERS
from finops.pricing.rules import Found, rate
from finops.pricing.rules.pricer import card
from tests.factories.pricing import real_catalogue, real_content

MODELS = [(provider, model) for provider in data.providers for model in provider.models]
START = datetime(2023, 1, 1, tzinfo=UTC)
CONTEXTS = {
    "": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
# Fields that take part in one of our meters; a model priced by others is not priced by our meters at all.
moments = st.integers(0, 5 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
amounts = st.one_of(st.just(0), st.integers(0, 300_000))


@st.composite
def usages(draw: st.DrawFn) -> dict[str, int]:
    return {meter: 1 if meter == "requests" else draw(amounts) for meter in METERS}


def theirs(used: dict[str, int]) -> Usage:
    """Disjoint meters in the package's inclusive convention. Zeros are said, or it refuses to guess."""
    return Usage(
        input_tokens=sum(used[meter] for meter in INPUT_METERS),
        output_tokens=sum(used[meter] for meter in OUTPUT_METERS),
        cache_read_tokens=used["cache_read"] + used["cache_read_audio"],
        cache_write_tokens=used["cache_write_5m"] + used["cache_write_1h"],
        cache_write_5m_tokens=used["cache_write_5m"],
        cache_write_1h_tokens=used["cache_write_1h"],
        input_audio_tokens=used["input_audio"] + used["cache_read_audio"],
        cache_audio_read_tokens=used["cache_read_audio"],
        input_image_tokens=used["input_image"],
        cache_image_read_tokens=0,
        input_video_tokens=0,
        cache_video_read_tokens=0,
        output_audio_tokens=used["output_audio"],
        output_image_tokens=used["output_image"],
        output_video_tokens=0,
        output_reasoning_tokens=used["output_reasoning"],
        output_citation_tokens=0,
        web_searches=used["web_searches"],
        storage_searches=used["tool_calls"],
    )


def check(provider: Any, model: Any, used: dict[str, int], at: datetime, tier: str) -> bool:
    """Ours equals theirs, or ours says unpriced and is right to. True when there was a price to compare."""
    versions = real_catalogue().on(provider.id, model.id, tier, at.date())
    if not versions:
        named = [variant.when for variant in model.price_variants or ()]
        assert tier, "every model has a standard price on every day"
        assert {"processing": tier} not in named
        assert {"service_tier": tier} not in named
        return False
    cards = tuple(card(version, None) for version in versions)
    ours = rate(Found(provider.id, model.id, cards), tuple(used[meter] for meter in METERS), at)
    if not ours.priced:
        missing = {METERS[index] for one in cards for index in one.missing}
        assert any(used[meter] for meter in missing)
        return False
    answer = model.calc_price(
        theirs(used), provider, genai_request_timestamp=at, price_context=CONTEXTS[tier]
    ).total_price
    # Each rate was rounded by at most half a millionth, so each unit counted by at most half a picodollar.
    slack = Decimal(sum(used.values())) / 2 / PICO if finer_than_ours(provider.id, model.id) else Decimal(0)
    assert abs(from_pico(ours.list_pico) - answer) <= slack, (provider.id, model.id, tier, at, used)
    return True


def finer_than_ours(provider: str, model: str) -> bool:
    return (provider, model) in FINER


def _finer() -> set[tuple[str, str]]:
    found = set()
    for draft in real_content().drafts:
        for price in draft.raw.values():
            numbers = [price] if isinstance(price, str) else [price["base"], *(tier[1] for tier in price["tiers"])]
            if any(-int(Decimal(number).normalize().as_tuple().exponent) > 6 for number in numbers):
                found.add((draft.provider, draft.model))
    return found


FINER = _finer()


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(range(len(MODELS))), usages(), moments, st.sampled_from(sorted(CONTEXTS)))
def test_any_call_of_any_model_costs_what_genai_prices_says(
    number: int, used: dict[str, int], at: datetime, tier: str
) -> None:
    provider, model = MODELS[number]
    check(provider, model, used, at, tier)


@pytest.mark.parametrize("tier", sorted(CONTEXTS))
def test_every_model_in_each_tier_on_three_days(tier: str) -> None:
    used = dict.fromkeys(METERS, 0) | {
        "input_uncached": 150_001, "cache_read": 90_002, "cache_write_5m": 30_003, "cache_write_1h": 20_005,
        "output_text": 1_007, "output_reasoning": 511, "requests": 1,
    }  # fmt: skip
    compared = 0
    for provider, model in MODELS:
        for at in (START, datetime(2026, 10, 13, 2, tzinfo=UTC), datetime(2027, 6, 1, 8, 30, tzinfo=UTC)):
            compared += check(provider, model, used, at, tier)
            compared += check(provider, model, used | {"input_uncached": 10}, at, tier)
    # Models without an output price, or priced by the hour or page, have nothing to compare.
    assert compared > (0.8 * 6 * len(MODELS) if not tier else 100)


def test_names_resolve_as_genai_prices_resolves_them() -> None:
    snapshot = get_snapshot()
    names = real_catalogue().names
    tried = 0
    for provider in real_content().providers:
        for model in provider.models:
            for name in equal_names(model.match):
                _, expected = snapshot.find_provider_model(name, None, provider.provider, None)
                assert names.model(provider.provider, name) == (provider.provider, expected.id)
                tried += 1
    assert tried > 2_500


def test_a_canonical_name_means_itself() -> None:
    names = real_catalogue().names
    for provider in real_content().providers:
        assert names.provider(provider.provider) == provider.provider
        for model in provider.models:
            assert names.model(provider.provider, model.model) == (provider.provider, model.model)


def equal_names(clause: dict[str, Any]) -> list[str]:
    [(kind, value)] = clause.items()
    if kind == "or":
        return [name for part in value for name in equal_names(part)]
    return [value] if kind == "equals" else []
