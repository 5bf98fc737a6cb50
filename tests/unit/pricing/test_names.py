"""Names as they come: each rule with the names it was written for, over the real catalogue."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.pricing.rules.names import apply_aliases, canonical_tier, compile_clause
from finops.pricing.types import AliasRule
from tests.factories.pricing import real_catalogue

NAMES = real_catalogue().names


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("openai", "openai"), ("OpenAI", "openai"), (" openai ", "openai"),
        ("azure_openai", "azure"), ("azure.ai.openai", "azure"), ("azure-eastus", "azure"),
        ("aws.bedrock", "aws"), ("bedrock", "aws"), ("Amazon", "aws"),
        ("gcp.vertex_ai", "google"), ("gemini", "google"), ("vertex_ai_beta", "google"),
        ("xai", "x-ai"), ("mistral_ai", "mistral"), ("together_ai", "together"), ("fireworks_ai", "fireworks"),
        ("litellm", None), ("", None), ("somebody-else", None),
    ],
)  # fmt: skip
def test_providers(said: str, meant: str | None) -> None:
    assert NAMES.provider(said) == meant


@pytest.mark.parametrize(
    ("provider", "said", "meant"),
    [
        ("openai", "gpt-4o", ("openai", "gpt-4o")),
        ("openai", "GPT-4o", ("openai", "gpt-4o")),
        ("openai", "openai/gpt-4o", ("openai", "gpt-4o")),
        # The date written the other way is the same version …
        ("openai", "gpt-4o-20240806", ("openai", "gpt-4o")),
        ("anthropic", "claude-sonnet-4-5-2025-09-29", ("anthropic", "claude-sonnet-4-5")),
        # … another version may cost something else, and this one does.
        ("openai", "gpt-4o-2024-05-13", ("openai", "gpt-4o-2024-05-13")),
        ("openai", "gpt-4o-2031-01-01", None),
        ("openai", "anthropic/claude-sonnet-4-5", None),
        ("azure", "azure/gpt-4o", ("openai", "gpt-4o")),
        ("google", "models/gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("google", "publishers/google/models/gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("openrouter", "anthropic/claude-sonnet-4.5", ("openrouter", "anthropic/claude-sonnet-4.5")),
        ("nobody", "gpt-4o", None),
        ("openai", "", None),
    ],
)  # fmt: skip
def test_models(provider: str, said: str, meant: tuple[str, str] | None) -> None:
    assert NAMES.model(provider, said) == meant


def test_bedrock_names_in_all_their_wrappings_are_one_model() -> None:
    plain = NAMES.model("aws", "anthropic.claude-3-5-sonnet-20240620-v1:0")
    assert plain is not None
    for wrapped in (
        "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
        "bedrock/converse/anthropic.claude-3-5-sonnet-20240620-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0",
    ):
        assert NAMES.model("aws", wrapped) == plain


def test_a_global_and_a_regional_inference_profile_stay_apart_because_they_cost_different_amounts() -> None:
    name = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    assert NAMES.model("aws", f"global.{name}") != NAMES.model("aws", f"us.{name}")
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
    assert NAMES.model("aws", f"{arn}us.{name}") == NAMES.model("aws", f"us.{name}")


def test_a_private_deployment_is_nobodys_public_model() -> None:
    for kind in ("application-inference-profile", "provisioned-model", "custom-model"):
        arn = f"arn:aws:bedrock:us-east-1:123456789012:{kind}/anthropic.claude-3-haiku-20240307-v1:0"
        assert NAMES.model("aws", arn) is None


def test_behind_a_gateway_the_model_says_whose_it_is() -> None:
    assert NAMES.provider_of_model("openai/gpt-4o") == "openai"
    assert NAMES.provider_of_model("bedrock/us.anthropic.claude") == "aws"
    assert NAMES.provider_of_model("claude-opus-4-1") == "anthropic"
    assert NAMES.provider_of_model("in-house-7b") is None


@settings(max_examples=300)
@given(st.sampled_from(["openai", "aws", "google", "openrouter", "azure"]), st.text(max_size=60))
def test_any_text_is_known_or_unknown_and_never_an_error(provider: str, said: str) -> None:
    NAMES.model(provider, said)
    NAMES.provider(said)
    NAMES.provider_of_model(said)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("", ""), ("Default", ""), ("on_demand", ""), ("batches", "batch"), ("Flex", "flex"), ("scale", "scale")],
)
def test_tiers(said: str, meant: str) -> None:
    assert canonical_tier(said) == meant


def test_aliases_exact_before_prefix_long_before_short_named_provider_before_any() -> None:
    rules = [
        AliasRule("prefix", "", "prod-", "", "any-prod"),
        AliasRule("prefix", "azure", "prod-", "openai", "azure-prod"),
        AliasRule("prefix", "", "prod-chat", "", "any-chat"),
        AliasRule("exact", "", "PROD-chat-eu", "", "exactly"),
    ]
    assert apply_aliases(rules, "azure", "prod-chat-eu") == ("", "exactly")
    assert apply_aliases(rules, "azure", "Prod-chat-us") == ("", "any-chat")
    assert apply_aliases(rules, "azure", "prod-x") == ("openai", "azure-prod")
    assert apply_aliases(rules, "openai", "prod-x") == ("", "any-prod")
    assert apply_aliases(rules, "openai", "dev-x") is None


def test_every_kind_of_clause() -> None:
    clause = {
        "or": [
            {"and": [{"starts_with": "Gpt"}, {"ends_with": "-mini"}]},
            {"contains": "sonnet"},
            {"regex": "^o[134]"},
            {"equals": "TTS-1"},
        ]
    }
    matches = compile_clause(clause)
    assert all(matches(name) for name in ("gpt-5-mini", "claude-sonnet", "o3-pro", "tts-1"))
    assert not any(matches(name) for name in ("gpt-5", "o2", "tts-1-hd"))
    with pytest.raises(ValueError, match="unknown match clause"):
        compile_clause({"sounds_like": "gpt"})
