"""Where a call may go, and in which order."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest

from routing.configuration.wire import Deployment, Upstream
from routing.gateway.proxy.candidates import (
    Candidate,
    Deployments,
    NoDeployment,
    Price,
    Wishes,
    WishInvalid,
    ordered,
    wishes_of,
)

DAY = date(2026, 11, 1)
ANYWHERE = Wishes()


def upstream(number: int, name: str, **given: Any) -> Upstream:
    usual = {"dialect": "openai", "base_url": f"https://{name}.example/v1", "provider": name}
    return Upstream(upstream_id=number, name=name, **usual | given)


OPENAI = upstream(1, "openai", any_model=True)
AZURE = upstream(2, "azure", provider="openai", host="azure")
TOGETHER = upstream(3, "together", provider="meta", host="together")
ANTHROPIC = upstream(4, "anthropic", dialect="anthropic", any_model=True)
ROUTER = upstream(5, "openrouter", any_model=True)


def deployment(upstream_id: int, model: str, sent: str = "", **given: Any) -> Deployment:
    return Deployment(
        deployment_id=upstream_id * 10, upstream_id=upstream_id, model=model, upstream_model=sent or model, **given
    )


def house(*deployments: Deployment) -> Deployments:
    def priced(provider: str, model: str, _: date) -> bool:
        return (provider, model) in {("openai", "gpt"), ("meta", "llama")}

    return Deployments([OPENAI, AZURE, TOGETHER, ANTHROPIC, ROUTER], deployments, priced)


def names(found: Any) -> list[tuple[str, str]]:
    return [(one.upstream.name, one.model) for one in found]


def test_auto_is_nobodys_model_until_it_is_deployed_as_one() -> None:
    with pytest.raises(NoDeployment, match="no rule makes it here"):
        house().of("openai", "auto", DAY)
    assert names(house(deployment(2, "auto", "gpt-eu-1")).of("openai", "auto", DAY)) == [("azure", "gpt-eu-1")]
    # Somebody's own choice of a model is asked for by whose it is.
    assert names(house().of("openai", "openrouter/auto", DAY)) == [("openrouter", "auto")]


def test_a_model_is_where_it_is_deployed() -> None:
    own = house(deployment(2, "gpt", "gpt-eu-1"), deployment(3, "llama", "meta-llama/llama"))
    assert names(own.of("openai", "gpt", DAY)) == [("azure", "gpt-eu-1")]
    assert names(own.of("openai", "llama", DAY)) == [("together", "meta-llama/llama")]


def test_what_is_deployed_nowhere_goes_to_who_takes_any_and_knows_its_price() -> None:
    assert names(house().of("openai", "gpt", DAY)) == [("openai", "gpt")]
    assert names(house().of("openai", "unheard-of", DAY)) == [("openai", "unheard-of"), ("openrouter", "unheard-of")]
    assert names(house().of("anthropic", "claude", DAY)) == [("anthropic", "claude")]


def test_a_prefix_names_an_upstream_a_provider_or_a_host() -> None:
    own = house(deployment(2, "gpt", "gpt-eu-1"), deployment(3, "llama"))
    assert names(own.of("openai", "azure/gpt", DAY)) == [("azure", "gpt-eu-1")]
    assert names(own.of("openai", "openai/gpt", DAY)) == [("azure", "gpt-eu-1"), ("openai", "gpt")]
    assert names(own.of("openai", "meta/llama", DAY)) == [("together", "llama")]


def test_nobody_serves_it() -> None:
    with pytest.raises(NoDeployment) as refused:
        Deployments([AZURE], [], lambda *_: True).of("openai", "gpt", DAY)
    assert (refused.value.status, refused.value.field) == (404, "model")


def in_order(
    candidates: list[Candidate], wishes: Wishes = ANYWHERE, *, key: str = "session-1", **given: Any
) -> list[str]:
    usual: dict[str, Any] = {"usable": lambda _: True, "price": lambda _: None, "pace": lambda _: float("inf")}
    return [one.upstream.name for one in ordered(candidates, wishes, key=key, **usual | given)]


TWO = [Candidate(OPENAI, "gpt"), Candidate(AZURE, "gpt")]


def test_a_session_stays_where_its_caches_are_and_weights_decide_how_many_do() -> None:
    assert len({tuple(in_order(TWO, key="session-1")) for _ in range(20)}) == 1
    weighted = [Candidate(OPENAI, "gpt", 0, 3), Candidate(AZURE, "gpt", 0, 1)]
    first = Counter(in_order(weighted, key=f"session-{n}")[0] for n in range(4_000))
    assert 0.70 < first["openai"] / 4_000 < 0.80


def test_a_lower_rank_goes_first_and_what_is_paused_last() -> None:
    ranked = [Candidate(OPENAI, "gpt", 1), Candidate(AZURE, "gpt", 0)]
    assert all(in_order(ranked, key=f"s{n}") == ["azure", "openai"] for n in range(20))
    assert in_order(ranked, usable=lambda one: one.upstream is OPENAI) == ["openai", "azure"]
    assert len(in_order(ranked, usable=lambda _: False)) == 2


def test_the_cheapest_or_the_fastest_first() -> None:
    prices = {"openai": Price(2.0, 4.0), "azure": Price(1.0, 8.0)}

    def price(one: Candidate) -> Price | None:
        return prices.get(one.upstream.name)

    assert in_order(TWO, Wishes("floor"), price=price)[0] == "azure"
    assert in_order([*TWO, Candidate(ROUTER, "gpt")], Wishes("floor"), price=price)[2] == "openrouter"
    assert in_order(TWO, Wishes("nitro"), pace=lambda one: 0.1 if one.upstream is OPENAI else 0.3)[0] == "openai"
    assert in_order(TWO, Wishes(most=5), price=price) == ["openai"]
    with pytest.raises(NoDeployment):
        in_order(TWO, Wishes(most=1), price=price)


def test_an_order_of_providers_and_only_those() -> None:
    every = [*TWO, Candidate(ROUTER, "gpt")]
    assert in_order(every, Wishes(order=("openrouter", "azure"))) == ["openrouter", "azure", "openai"]
    assert in_order(every, Wishes(order=("azure",), only=True)) == ["azure"]
    with pytest.raises(NoDeployment):
        in_order(every, Wishes(order=("nobody",), only=True))


def test_wishes_are_read_from_the_model_and_from_headers() -> None:
    assert wishes_of("gpt:floor", {}) == ("gpt", Wishes("floor"))
    assert wishes_of("llama3:8b", {}) == ("llama3:8b", Wishes())
    headers = {"x-capstan-only": "azure, openai", "x-capstan-max-price": "2.5"}
    assert wishes_of("gpt:nitro", headers) == ("gpt", Wishes("nitro", ("azure", "openai"), True, 2_500_000))


@pytest.mark.parametrize("said", ["", "much", "-1", "nan", "1e99"])
def test_a_price_that_is_none_is_refused_by_name(said: str) -> None:
    with pytest.raises(WishInvalid) as refused:
        wishes_of("gpt", {"x-capstan-max-price": said})
    assert refused.value.field == "x-capstan-max-price"
