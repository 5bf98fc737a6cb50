"""Shared costs are split to the last picodollar, and each share says why."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.attribution.rules import percentage_weights, split
from finops.attribution.rules.allocation import BadSplit
from finops.attribution.types import AllocationLine, Method, SharedCost, WhenEmpty

SEARCH, CHAT, OPS = 1, 2, 3
CLUSTER = (5, "USD")


def shared(method: Method, **changes: Any) -> SharedCost:
    given: dict[str, Any] = {
        "rule_id": 1,
        "version_id": 100,
        "number": 1,
        "name": "shared cluster",
        "pool": {"project": (9,)},
        "method": method,
        "dimension": "team",
        "from_month": date(2026, 10, 1),
    }
    return SharedCost(**(given | changes))


def shares(lines: list[AllocationLine]) -> dict[int, int]:
    return {line.target_id: line.pico for line in lines}


def test_an_even_split_gives_the_last_picodollar_to_somebody() -> None:
    lines = split(shared(Method.EVEN), pools={CLUSTER: 100}, targets=(SEARCH, CHAT, OPS), usage={})
    assert shares(lines) == {0: -100, SEARCH: 34, CHAT: 33, OPS: 33}
    assert lines[1] == AllocationLine(100, 5, "USD", "team", SEARCH, 34, 1, 3)


def test_a_split_by_usage_follows_the_usage() -> None:
    lines = split(shared(Method.USAGE), pools={CLUSTER: 1000}, targets=(SEARCH, CHAT, OPS), usage={SEARCH: 3, CHAT: 1})
    assert shares(lines) == {0: -1000, SEARCH: 750, CHAT: 250}


def test_a_target_in_credit_weighs_nothing() -> None:
    lines = split(shared(Method.USAGE), pools={CLUSTER: 10}, targets=(SEARCH, CHAT), usage={SEARCH: 2, CHAT: -5})
    assert shares(lines) == {0: -10, SEARCH: 10}


@pytest.mark.parametrize(
    ("when_empty", "expected"), [(WhenEmpty.EVEN, {0: -10, SEARCH: 5, CHAT: 5}), (WhenEmpty.KEEP, {})]
)
def test_when_nobody_used_anything(when_empty: WhenEmpty, expected: dict[int, int]) -> None:
    rule = shared(Method.USAGE, when_empty=when_empty)
    assert shares(split(rule, pools={CLUSTER: 10}, targets=(SEARCH, CHAT), usage={})) == expected


def test_what_fixed_percentages_leave_stays_in_the_pool() -> None:
    rule = shared(Method.FIXED, percentages={SEARCH: Decimal(60), CHAT: Decimal("33.3333")})
    lines = split(rule, pools={CLUSTER: 1_000_000}, targets=(), usage={})
    assert shares(lines) == {0: -933_333, SEARCH: 600_000, CHAT: 333_333}
    assert [line.weight_total for line in lines] == [1_000_000] * 3


def test_pools_of_two_currencies_never_meet() -> None:
    pools = {(5, "USD"): 10, (5, "EUR"): 6, (6, "USD"): -4, (7, "USD"): 0}
    lines = split(shared(Method.EVEN), pools=pools, targets=(SEARCH, CHAT), usage={})
    assert [(line.source_id, line.currency, line.target_id, line.pico) for line in lines] == [
        (5, "EUR", 0, -6),
        (5, "EUR", SEARCH, 3),
        (5, "EUR", CHAT, 3),
        (5, "USD", 0, -10),
        (5, "USD", SEARCH, 5),
        (5, "USD", CHAT, 5),
        # A credit is shared as a credit.
        (6, "USD", 0, 4),
        (6, "USD", SEARCH, -2),
        (6, "USD", CHAT, -2),
    ]


def test_nobody_to_share_with_leaves_the_cost_where_it_is() -> None:
    assert split(shared(Method.EVEN), pools={CLUSTER: 10}, targets=(), usage={}) == []


@pytest.mark.parametrize(
    ("percentages", "path"),
    [
        ({}, "percentages"),
        ({SEARCH: Decimal(0)}, "percentages.1"),
        ({SEARCH: Decimal(-1)}, "percentages.1"),
        ({SEARCH: Decimal("100.0001")}, "percentages.1"),
        ({SEARCH: Decimal("33.33333")}, "percentages.1"),
        ({SEARCH: Decimal("NaN")}, "percentages.1"),
        ({SEARCH: Decimal("Infinity")}, "percentages.1"),
        ({SEARCH: Decimal(60), CHAT: Decimal("40.0001")}, "percentages"),
    ],
)
def test_percentages_that_are_none(percentages: dict[int, Decimal], path: str) -> None:
    with pytest.raises(BadSplit) as caught:
        percentage_weights(percentages)
    assert caught.value.field == path


@given(
    st.sampled_from(Method),
    st.dictionaries(
        st.tuples(st.integers(1, 3), st.sampled_from(["USD", "EUR"])), st.integers(-(10**20), 10**20), max_size=4
    ),
    st.sets(st.integers(1, 40), max_size=12),
    st.data(),
)
def test_before_and_after_are_the_same_total(
    method: Method, pools: dict[tuple[int, str], int], targets: set[int], data: st.DataObject
) -> None:
    usage = {target: data.draw(st.integers(-5, 10**15)) for target in targets}
    parts = {target: Decimal(data.draw(st.integers(1, 80_000))).scaleb(-4) for target in targets}
    rule = shared(method, percentages=parts if method is Method.FIXED else {})
    if method is Method.FIXED and not parts:
        return
    lines = split(rule, pools=pools, targets=tuple(sorted(targets)), usage=usage)
    for pool, amount in pools.items():
        mine = [line for line in lines if (line.source_id, line.currency) == pool]
        assert sum(line.pico for line in mine) == 0
        given_out = [line.pico for line in mine if line.target_id]
        assert all((pico > 0) == (amount > 0) for pico in given_out)
        assert abs(sum(given_out)) <= abs(amount)
        if method is not Method.FIXED and targets and amount:
            assert sum(given_out) == amount
        assert all(line.version_id == 100 for line in mine)
