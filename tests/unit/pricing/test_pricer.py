"""Which price holds on which day, for whom."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from finops.pricing.rules import Catalogue, Overrides, Pricer, rate
from finops.pricing.rules.catalogue import read
from finops.pricing.types import AliasRule, ContractTerms
from tests.factories.pricing import catalogue_of, counts, from_day, provider, real_catalogue, steps, terms

NOVEMBER = date(2026, 11, 3)
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
MILLION = counts(input_uncached=10**6)
CUT = date(2026, 3, 1)


def small() -> Catalogue:
    """Two providers; gpt's price halves on 1 March 2026; azure offers what openai has."""
    prices = [(None, {"input_mtok": "10", "output_mtok": "20"}), (from_day(CUT), {"input_mtok": "5"})]
    return catalogue_of(
        read(
            [
                provider("openai", {"gpt": prices, "gpt-mini": {"input_mtok": "1"}}),
                provider("azure", {}, fallbacks=["openai"]),
                provider("together", {"llama": {"input_mtok": "0.2"}}),
            ]
        )
    )


def pricer(*contracts: ContractTerms, aliases: tuple[AliasRule, ...] = ()) -> Pricer:
    return Pricer(small(), Overrides(contracts, aliases))


def contracted(
    one: Pricer, model: str = "gpt", day: date = NOVEMBER, provider: str = "openai", tier: str = "", host: str = ""
) -> Decimal:
    """What a million input tokens cost after what was agreed, in dollars."""
    rated = rate(one.find(provider, model, tier, host, day), MILLION, NOON)
    assert rated.priced, rated
    return Decimal(rated.contracted_pico).scaleb(-12)


def test_the_price_of_the_day_holds_and_the_first_reaches_back_to_the_beginning() -> None:
    one = pricer()
    for day, cost in [(date(1990, 1, 1), 10), (CUT - timedelta(days=1), 10), (CUT, 5), (date(2090, 1, 1), 5)]:
        assert contracted(one, day=day) == cost


def test_days_with_the_same_price_share_one_answer() -> None:
    one = pricer()
    assert one.find("openai", "gpt", "", "", NOVEMBER) is one.find("OpenAI", "GPT", "default", "", date(2026, 12, 1))
    assert one.find("openai", "gpt", "", "", NOVEMBER) is not one.find("openai", "gpt", "", "", date(2026, 1, 1))


def test_a_name_nobody_knows_is_unknown_and_kept_as_it_came() -> None:
    found = pricer().find("openai", "GPT-Next", "", "", NOVEMBER)
    assert (found.provider, found.model, found.reason, found.cards) == ("openai", "GPT-Next", "model_unknown", ())
    assert pricer().find("Nobody", "x", "", "", NOVEMBER).provider == "nobody"


def test_a_tier_nobody_priced_is_unknown() -> None:
    assert pricer().find("openai", "gpt", "batch", "", NOVEMBER).reason == "tier_unknown"


def test_azure_sells_openais_models_under_its_own_name() -> None:
    found = pricer().find("azure_openai", "gpt", "", "", NOVEMBER)
    assert (found.provider, found.model) == ("azure", "gpt")
    assert contracted(pricer(terms(provider="azure", percent=Decimal(20))), provider="azure") == 4
    assert contracted(pricer(terms(provider="openai", percent=Decimal(20))), provider="azure") == 5


def test_the_host_is_who_is_paid_and_an_unknown_host_has_no_public_price() -> None:
    one = pricer()
    assert one.find("meta", "llama", "", "together", NOVEMBER).provider == "together"
    assert one.find("together", "llama", "", "gpu-7.internal", NOVEMBER).reason == "model_unknown"


def test_discounts_the_most_specific_holds() -> None:
    one = pricer(
        terms(id=1, percent=Decimal(10)),
        terms(id=2, model="gpt", percent=Decimal(20)),
        terms(id=3, model="gpt", tier="", percent=Decimal(30)),
    )
    assert contracted(one) == Decimal("3.5")
    assert contracted(one, "gpt-mini") == Decimal("0.9")
    without = pricer(terms(id=1, percent=Decimal(10)), terms(id=2, model="gpt", percent=Decimal(20)))
    assert contracted(without) == 4


def test_a_committed_price_goes_before_a_discount_for_the_same_model() -> None:
    one = pricer(
        terms(id=1, model="gpt", percent=Decimal(50)),
        terms(id=2, kind="committed", model="gpt", steps=(steps(input_uncached="4.2"),)),
    )
    assert contracted(one) == Decimal("4.2")


def test_a_contract_holds_from_its_first_day_until_before_its_last() -> None:
    one = pricer(terms(percent=Decimal(10), effective_from=date(2026, 6, 1), effective_to=date(2026, 9, 1)))
    on = {day: contracted(one, day=date.fromisoformat(day)) for day in
          ("2026-05-31", "2026-06-01", "2026-08-31", "2026-09-01")}  # fmt: skip
    assert list(on.values()) == [5, Decimal("4.5"), Decimal("4.5"), 5]


def test_own_models_by_host_and_day_and_before_the_catalogue() -> None:
    own = terms(id=1, kind="custom", provider="vllm", model="Llama-8B", steps=(steps(input_uncached="0.05"),))
    there = terms(id=2, kind="custom", provider="vllm", model="llama-8b", host="gpu-7.internal",
                  steps=(steps(input_uncached="0.03"),), effective_to=date(2027, 1, 1))  # fmt: skip
    one = pricer(own, there)
    assert contracted(one, "llama-8b", provider="vllm") == Decimal("0.05")
    assert contracted(one, "LLAMA-8b", provider="VLLM", host="gpu-7.internal") == Decimal("0.03")
    assert contracted(one, "llama-8b", provider="vllm", host="gpu-7.internal", day=date(2027, 1, 1)) == Decimal("0.05")
    assert contracted(one, "llama-8b", provider="vllm", host="elsewhere", tier="batch") == Decimal("0.05")
    replaced = pricer(terms(kind="custom", provider="openai", model="gpt", steps=(steps(input_uncached="7"),)))
    assert contracted(replaced) == 7


def test_aliases_name_deployments_and_the_organizations_go_first() -> None:
    ours = AliasRule("exact", "azure", "prod-chat", "", "gpt")
    common = AliasRule("exact", "", "prod-chat", "", "gpt-mini")
    both = Pricer(
        Catalogue(small().names, [], [common]),
        Overrides(),
    )
    assert both.find("openai", "prod-chat", "", "", NOVEMBER).model == "gpt-mini"
    found = pricer(aliases=(ours,)).find("azure", "Prod-Chat", "", "", NOVEMBER)
    assert (found.provider, found.model, found.reason) == ("azure", "gpt", "")


def test_a_gateway_is_looked_behind() -> None:
    real = Pricer(real_catalogue())
    assert real.find("litellm", "openai/gpt-4o", "", "", NOVEMBER).provider == "openai"
    assert real.find("", "claude-opus-4-1", "", "", NOVEMBER).provider == "anthropic"
    assert real.find("litellm", "in-house", "", "", NOVEMBER).reason == "model_unknown"


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.text(max_size=20), st.text(max_size=20), st.text(max_size=8))
def test_any_words_on_any_day_get_an_answer(day: date, said: str, model: str, tier: str) -> None:
    found = PRICER.find(said, model, tier, "", day)
    assert bool(found.cards) != bool(found.reason)


PRICER = Pricer(real_catalogue())
