"""What kind of model a model is, from its name, what an organization says, and the real price catalogue."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.pricing.rules import Pricer
from routing.tiers import rules
from routing.tiers.hot import Register
from routing.tiers.rules import ModelTierInvalid
from routing.tiers.selectors import list_prices
from routing.tiers.types import Entry, Tier
from tests.factories.pricing import real_catalogue, real_content

FRONTIER, MID, LIGHT = Tier.FRONTIER, Tier.MID, Tier.LIGHT


@cache
def real() -> Register:
    return Register(prices=list_prices(Pricer(real_catalogue()), date(2026, 11, 23)))


@pytest.mark.parametrize(
    ("model", "vendor", "origin", "tier", "open_weights", "by"),
    [
        ("claude-opus-4-8", "anthropic", "US", FRONTIER, False, "register"),
        ("claude-3-opus-latest", "anthropic", "US", FRONTIER, False, "register"),
        ("claude-sonnet-5-5", "anthropic", "US", MID, False, "register"),
        ("claude-haiku-5-5", "anthropic", "US", LIGHT, False, "register"),
        ("gpt-5.5", "openai", "US", FRONTIER, False, "register"),
        ("gpt-6.1-terra", "openai", "US", MID, False, "register"),
        ("gpt-5.4-mini", "openai", "US", LIGHT, False, "register"),
        ("gpt-6-luna", "openai", "US", LIGHT, False, "register"),
        ("o3-mini", "openai", "US", MID, False, "register"),
        ("gpt-oss-120b", "openai", "US", LIGHT, True, "price"),
        ("gemini-3.1-pro-preview", "google", "US", FRONTIER, False, "register"),
        ("gemini-3.8-flash", "google", "US", MID, False, "register"),
        ("gemini-3.5-flash-lite", "google", "US", LIGHT, False, "register"),
        ("mistral-medium-3-5", "mistral", "FR", MID, False, "register"),
        ("mistral-large-2512", "mistral", "FR", MID, True, "price"),
        ("deepseek-v4-pro", "deepseek", "CN", MID, True, "price"),
        ("deepseek-v4-flash", "deepseek", "CN", LIGHT, True, "price"),
        ("kimi-k3", "moonshotai", "CN", FRONTIER, True, "price"),
        ("GLM-5.3", "zai", "CN", MID, True, "price"),
        ("qwen/qwen3.8-max-0902", "alibaba", "CN", FRONTIER, False, "price"),
        ("grok-4-fast-reasoning", "xai", "US", LIGHT, False, "price"),
        ("command-r", "cohere", "CA", LIGHT, True, "price"),
        ("nvidia/llama-9.9-nemotron-70b", "nvidia", "US", MID, True, "name"),
        ("llama-3.1-sonar-large-128k-online", "perplexity", "US", MID, False, "price"),
        ("our-own-thing", "", "", MID, False, "name"),
        ("our-own-thing-8b", "", "", LIGHT, False, "name"),
    ],
)
def test_what_is_known_of_a_model(
    model: str, vendor: str, origin: str, tier: Tier, open_weights: bool, by: str
) -> None:
    known = real().of(model)
    assert (known.model, known.vendor, known.origin, known.tier, known.open_weights, known.by) == (
        model, vendor, origin, tier, open_weights, by,
    )  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [
        "claude-opus-4-8",
        "Claude-Opus-4-8",
        "anthropic/claude-opus-4-8",
        "openrouter/anthropic/claude-opus-4-8:batch",
        "us.anthropic.claude-opus-4-8-v1:0",
        "global.anthropic.claude-opus-4-8-v1:0",
        "claude-opus-4-8@low",
        "databricks-claude-opus-4-8",
    ],
)
def test_one_model_under_many_names(written: str) -> None:
    known = Register().of(written)
    assert (known.model, known.vendor, known.tier) == (written, "anthropic", FRONTIER)


def test_whose_it_is_may_stand_in_front_of_a_name_that_says_nothing() -> None:
    assert Register().of("bytedance-seed/brand-new").vendor == "bytedance"
    # Who serves it is not who made it.
    assert Register().of("nvidia/GLM-5.3-Flash-NVFP4").vendor == "zai"
    assert Register().of("fireworks/brand-new").vendor == ""


def test_the_lines_between_prices() -> None:
    assert rules.tier_by_price(Decimal(3)) is FRONTIER
    assert rules.tier_by_price(Decimal("2.999999")) is MID
    assert rules.tier_by_price(Decimal("0.6")) is MID
    assert rules.tier_by_price(Decimal("0.599999")) is LIGHT


def test_the_makers_price_goes_before_the_sellers() -> None:
    asked: list[tuple[str, str]] = []

    def prices(provider: str, model: str) -> Decimal | None:
        asked.append((provider, model))
        return {"zai": Decimal(2), "aws": Decimal(4)}.get(provider)

    assert Register(prices=prices).of("global.zai.glm-9", "aws").tier is MID
    assert asked == [("zai", "glm-9")]
    assert Register(prices=prices).of("unheard-of", "aws").tier is FRONTIER


def test_what_an_organization_says_goes_first_and_leaves_the_rest() -> None:
    register = Register([
        Entry(model="gpt-5*", tier=LIGHT),
        Entry(model="gpt-5.5", origin="IE"),
        Entry(model="gpt-5.5-pro*", tier=MID, vendor="acme", open_weights=True),
    ])  # fmt: skip
    whole = register.of("gpt-5.5")
    # The exact name speaks, and what it does not say is the register's: no other entry is mixed in.
    assert (whole.tier, whole.by, whole.vendor, whole.origin) == (FRONTIER, "register", "openai", "IE")
    longer = register.of("gpt-5.5-pro-2026")
    assert (longer.tier, longer.by, longer.vendor, longer.origin, longer.open_weights) == (
        MID, "organization", "acme", "", True,
    )  # fmt: skip
    assert register.of("openrouter/openai/gpt-5").tier is LIGHT
    assert Register([Entry(model="local-one", vendor="mistral")]).of("local-one").origin == "FR"


@given(st.text(max_size=300), st.text(max_size=20))
def test_any_name_has_an_answer_and_the_same_one(model: str, provider: str) -> None:
    register = Register()
    assert register.of(model, provider) == Register().of(model, provider)
    assert register.of(model, provider).model == model


def test_every_chat_model_of_the_catalogues_makers_has_a_maker_here() -> None:
    """A price-book update that brings a new family fails here, until somebody has said whose it is."""
    makers = {"anthropic", "openai", "google", "mistral", "deepseek", "moonshotai", "zai", "x-ai", "cohere", "meta"}
    # Not text models: nobody routes by their tier.
    other = ("moderation", "embed-v", "mistral-embed")
    strangers = []
    for one in real_content().providers:
        if one.provider in makers:
            strangers += [
                model.model
                for model in one.models
                if not real().of(model.model).vendor and not model.model.startswith(other)
            ]
    assert strangers == []


def test_no_tier_of_a_family_that_is_named_goes_by_its_name() -> None:
    """Of the models of makers with prices, hardly any is guessed."""
    guessed, everything = [], 0
    for one in real_content().providers:
        if one.provider in {"anthropic", "openai", "deepseek", "zai", "x-ai", "moonshotai", "cohere"}:
            everything += len(one.models)
            guessed += [model.model for model in one.models if real().of(model.model, one.provider).by == "name"]
    assert len(guessed) < everything * 0.06, guessed


@pytest.mark.parametrize(
    "wrong",
    [
        {"acme": {"title": "Acme", "origin": "USA", "models": ["a*"]}},
        {"acme": {"title": "Acme", "origin": "US", "models": ["A*"]}},
        {"acme": {"title": "Acme", "origin": "US", "models": ["a/b"]}},
        {"acme": {"title": "Acme", "origin": "US", "models": ["a*"], "tiny": ["a*"]}},
        {
            "acme": {"title": "Acme", "origin": "US", "models": ["a*"], "also": ["x"]},
            "globex": {"title": "Globex", "origin": "US", "models": ["b*"], "also": ["x"]},
        },
    ],
)
def test_a_register_that_says_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        rules.read(wrong)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("model", Entry(model=" ", tier=MID)),
        ("model", Entry(model="a b", tier=MID)),
        ("model", Entry(model="a*b", tier=MID)),
        ("model", Entry(model="*", tier=MID)),
        ("model", Entry(model="a" * 201, tier=MID)),
        ("vendor", Entry(model="a", vendor="two words")),
        ("origin", Entry(model="a", origin="EUR")),
        ("origin", Entry(model="a", origin="1A")),
        (None, Entry(model="a")),
    ],
)
def test_what_cannot_be_said(field: str | None, wrong: Entry) -> None:
    with pytest.raises(ModelTierInvalid) as refused:
        rules.check(wrong)
    assert refused.value.field == field


def test_what_is_said_is_kept_in_one_form() -> None:
    said = rules.check(Entry(model=" GPT-5* ", vendor=" OpenAI ", origin=" us "))
    assert said == Entry(model="gpt-5*", vendor="openai", origin="US")
    assert rules.check(said) == said
