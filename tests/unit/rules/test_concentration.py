"""How much of the spend goes to one maker, who has too much, and what comes last for it; as plainly reckoned."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.rules.concentration import put_last, shares_of, why_last
from routing.rules.types import Within

makers = st.sampled_from(["", "anthropic", "mistral", "openai", "qwen"])
amounts = st.decimals(min_value=-10, max_value=10_000_000, places=12)


@pytest.mark.parametrize(
    ("spend", "shares"),
    [
        ({}, {}),
        ({"openai": "0"}, {}),
        ({"openai": "-3"}, {}),
        ({"openai": "60", "anthropic": "30", "": "10"}, {"anthropic": 30, "openai": 60}),
        # A half counts, and what is less is nothing.
        ({"openai": "0.5", "mistral": "0.4999", "anthropic": "99.0001"}, {"anthropic": 99, "openai": 1}),
        # What was given back takes nothing from the others.
        ({"openai": "-50", "anthropic": "1", "mistral": "1"}, {"anthropic": 50, "mistral": 50}),
        ({"": "7"}, {}),
    ],
)
def test_shares_are_whole_percents_of_all_there_is(spend: dict[str, str], shares: dict[str, int]) -> None:
    assert shares_of({maker: Decimal(amount) for maker, amount in spend.items()}) == shares


@given(st.dictionaries(makers, amounts))
def test_no_share_is_off_by_more_than_half_a_percent(spend: dict[str, Decimal]) -> None:
    shares = shares_of(spend)
    whole = sum((Fraction(max(one, Decimal(0))) for one in spend.values()), Fraction(0))
    assert "" not in shares
    for maker, amount in spend.items():
        if maker and whole:
            exact = Fraction(max(amount, Decimal(0))) / whole * 100
            assert abs(shares.get(maker, 0) - exact) <= Fraction(1, 2)
    assert all(0 < share <= 100 for share in shares.values())


def test_who_has_more_than_the_strictest_limit_is_last_and_it_is_told() -> None:
    shares = {"anthropic": 52, "openai": 40, "mistral": 8}
    limits = (Within(), Within(most_share=0.6), Within(most_share=0.4, origins=("US",)))
    assert why_last(("anthropic",), shares, limits) == (
        "anthropic has 52 % of the spend of 30 days, and 40 % is the most"
    )
    # As much as is allowed is not too much, nobody is not anybody, and who had nothing has nothing.
    for within in ("openai", "mistral", "", "qwen"):
        assert why_last((within,), shares, limits) == ""
    assert why_last(("anthropic",), shares, (Within(vendors=("anthropic",)),)) == ""
    assert why_last(("anthropic",), {}, limits) == ""


@pytest.mark.parametrize("share", range(1, 100))
def test_a_limit_of_whole_percents_is_what_it_says(share: int) -> None:
    limit = (Within(most_share=share / 100),)
    assert not why_last(("openai",), {"openai": share}, limit)
    assert f"{share} % is the most" in why_last(("openai",), {"openai": share + 1}, limit)


def test_what_several_made_is_last_only_where_all_have_too_much() -> None:
    shares, limit = {"anthropic": 45, "openai": 45, "mistral": 10}, (Within(most_share=0.3),)
    assert why_last({"openai", "anthropic"}, shares, limit) == (
        "anthropic has 45 % and openai has 45 % of the spend of 30 days, and 30 % is the most"
    )
    for some in ({"openai", "mistral"}, {"openai", ""}, set()):
        assert why_last(some, shares, limit) == ""


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "too much"]))))
def test_what_is_last_keeps_its_order_and_is_told_of_where_others_go_before(every: list[tuple[int, str]]) -> None:
    found, passed = put_last(every, lambda one: one[1])
    assert found == [one for one in every if not one[1]] + [one for one in every if one[1]]
    assert passed == [
        (one, one[1]) for place, one in enumerate(every) if one[1] and any(not later[1] for later in every[place:])
    ]
