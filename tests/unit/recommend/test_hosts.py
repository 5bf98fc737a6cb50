"""The same model at another place: a matter of price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from routing.recommend.hosts import Offer, cheaper, same_name
from routing.recommend.types import Volume
from routing.rules.rules import read
from routing.rules.types import Use

SPENT = Volume(calls=100, spend=Decimal(50), currency="USD")


def offer(place: str, cost: str, **given: Any) -> Offer:
    usual: dict[str, Any] = {"model": "llama", "rank": 0, "weight": 1, "currency": "USD", "sold": "llama-3"}
    return Offer(place=place, cost=Decimal(cost), **usual | given)


def test_the_cheapest_is_asked_first() -> None:
    found = cheaper([offer("dear", "0.5"), offer("cheap", "0.2", rank=1), offer("middle", "0.3", rank=1)], SPENT)
    assert found is not None
    assert (found.kind, found.incumbent, found.candidate, found.verdict) == ("host", "llama", "cheap", "price")
    assert found.saving.amount == Decimal(30)
    rule = read(found.rule)
    assert (rule.when.models, rule.use, rule.within.order) == (("llama",), (Use(model="llama"),), ("cheap",))


def test_where_several_share_the_calls_it_is_what_they_cost_on_average() -> None:
    found = cheaper([offer("a", "0.4", weight=3), offer("b", "0.2", weight=1)], SPENT)
    assert found is not None
    # 0.35 on average, 0.2 at the cheaper one.
    assert found.candidate == "b"
    assert round(found.saving.amount, 2) == Decimal("21.43")


def test_nothing_is_said_where_nothing_is_cheaper_the_same_or_comparable() -> None:
    assert cheaper([offer("a", "0.2"), offer("b", "0.5", rank=1)], SPENT) is None
    assert cheaper([offer("a", "0.2"), offer("b", "0.199", rank=1)], SPENT) is None
    assert cheaper([offer("a", "0.5"), offer("b", "0.2", currency="EUR", rank=1)], SPENT) is None
    assert cheaper([offer("a", "0.5"), offer("b", "0.2", rank=1)], Volume()) is None
    assert cheaper([offer("a", "0"), offer("b", "0", rank=1)], SPENT) is None
    # A fallback under the same name is another model.
    assert cheaper([offer("a", "0.5"), offer("b", "0.2", sold="llama-1", rank=1)], SPENT) is None
    assert cheaper([offer("a", "0.5"), offer("b", "0.2", sold="llama-1")], SPENT) is None
    assert cheaper([], SPENT) is None


def test_sellers_write_one_model_in_several_ways() -> None:
    assert same_name("meta-llama/Llama-3.1-70B") == same_name(" llama-3.1-70b ") == "llama-3.1-70b"


def test_another_price_is_another_basis() -> None:
    one = cheaper([offer("a", "0.5"), offer("b", "0.2", rank=1)], SPENT)
    other = cheaper([offer("a", "0.5"), offer("b", "0.21", rank=1)], SPENT)
    assert one is not None
    assert other is not None
    assert one.basis != other.basis
