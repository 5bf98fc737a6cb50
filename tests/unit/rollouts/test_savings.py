"""What a rule saved, against a truth that the simulation knows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from routing.rollouts.savings import LEAST_SESSIONS, verified
from routing.rollouts.types import Means, Sums, Verified

# What a session has of calls and tokens, what it would cost, and what it costs where it is treated.
Drawn = tuple[int, float, float, float]


def sums_of(treated: list[Drawn], stayed: list[tuple[Drawn, float]], beside: str = "0") -> Sums:
    """`stayed` with their weights."""
    total = Sums(
        treated_sessions=len(treated),
        treated_calls=sum(calls for calls, *_ in treated),
        treated_tokens=sum(tokens for _, tokens, *_ in treated),
        treated_cost=_money(sum(cost for *_, cost in treated)),
        beside_cost=Decimal(beside),
    )
    for (calls, tokens, cost, _), weight in stayed:
        c, n, x = weight * cost, weight * calls, weight * tokens
        own = {name: value / weight for name, value in _products(c, n, x).items()}
        said: dict[str, Any] = _products(c, n, x) | {f"own_{name}": value for name, value in own.items()}
        total = total.plus(Sums(stayed_sessions=1, stayed_calls=calls, stayed_cost=_money(cost), c=c, n=n, x=x, **said))
    return total


def _products(c: Any, n: Any, x: Any) -> dict[str, Any]:
    return {"cc": c * c, "cn": c * n, "nn": n * n, "cx": c * x, "xx": x * x}


def month(drawn: np.random.Generator, sessions: int, stages: tuple[float, ...]) -> tuple[Sums, float]:
    """Sessions of one to many calls, long and short ones, whose calls grow dearer from stage to stage. The truth is of
    those that were treated.
    """
    place = np.repeat(np.arange(len(stages)), sessions // len(stages))
    share = np.array(stages)[place]
    calls = drawn.geometric(0.3, place.size)
    tokens = np.bincount(np.repeat(np.arange(place.size), calls), drawn.lognormal(6.0, 1.0, calls.sum()))
    usual = tokens * 1e-5 * (1 + place) * drawn.lognormal(0.0, 0.2, place.size)
    cost = usual * drawn.uniform(0.1, 0.3, place.size)
    treated = drawn.random(place.size) < share
    weight = (share / (1 - share))[~treated]
    c, n, x = (weight * values[~treated] for values in (usual, calls, tokens))
    own = {f"own_{name}": float((values / weight).sum()) for name, values in _products(c, n, x).items()}
    said: dict[str, Any] = {name: float(values.sum()) for name, values in _products(c, n, x).items()} | own
    sums = Sums(
        treated_sessions=int(treated.sum()), treated_calls=int(calls[treated].sum()),
        treated_tokens=float(tokens[treated].sum()), treated_cost=_money(cost[treated].sum()),
        stayed_sessions=int((~treated).sum()), stayed_calls=int(calls[~treated].sum()),
        stayed_cost=_money(usual[~treated].sum()), c=float(c.sum()), n=float(n.sum()), x=float(x.sum()), **said,
    )  # fmt: skip
    return sums, float((usual - cost)[treated].sum())


def _money(value: Any) -> Decimal:
    return Decimal(repr(round(float(value), 9)))


@pytest.mark.parametrize(("stages", "sessions"), [((0.95,), 2_000), ((0.05, 0.25, 0.5, 0.95), 4_000), ((0.5,), 200)])
def test_the_truth_is_within_the_interval(stages: tuple[float, ...], sessions: int) -> None:
    drawn = np.random.default_rng(3)
    within = widths = 0.0
    times = 400
    for _ in range(times):
        sums, truth = month(drawn, sessions, stages)
        found = verified(sums)
        assert found.lower is not None
        assert found.upper is not None
        within += float(found.lower) <= truth <= float(found.upper)
        widths += float(found.upper - found.lower) / truth / times
    assert within >= 0.9 * times, f"{stages}: {within / times:.1%} within"
    # It is within because it is right, and not because it says nothing.
    assert widths <= 0.3, f"{stages}: {widths:.1%} of the truth wide"


def test_a_share_that_grows_while_calls_grow_dearer_does_not_mislead() -> None:
    drawn = np.random.default_rng(4)
    found = [month(drawn, 4_000, (0.05, 0.95)) for _ in range(30)]
    # The means alone compare cheap days with dear ones.
    naive = np.mean([
        (float(one.stayed_cost) / one.stayed_calls * one.treated_calls - float(one.treated_cost)) / truth
        for one, truth in found
    ])  # fmt: skip
    mine = np.mean([float(verified(one).saved or 0) / truth for one, truth in found])
    assert abs(mine - 1) < 0.05 < abs(naive - 1)


def test_tokens_say_more_than_calls_where_long_calls_cost_more() -> None:
    drawn = np.random.default_rng(5)
    sums, _ = month(drawn, 2_000, (0.9,))
    assert verified(sums).by == Means.TOKENS
    # Nothing follows from tokens that nobody counted.
    assert verified(sums._replace(x=0.0)).by == Means.CALLS


def test_what_is_spent_beside_is_taken_off() -> None:
    one: Drawn = (1, 100.0, 0.02, 0.005)
    found = verified(sums_of([one] * 100, [(one, 1.0)] * 100, beside="0.5"))
    assert (found.expected, found.saved, found.net) == (Decimal(2), Decimal("1.5"), Decimal(1))
    # All of them cost the same: nothing can be otherwise.
    assert found.lower == found.upper == found.saved
    assert found.net_lower == found.net_upper == found.net


def test_without_enough_that_stayed_nothing_is_verified() -> None:
    one: Drawn = (1, 100.0, 0.02, 0.005)
    assert verified(Sums()).why == "No call was treated."
    found = verified(sums_of([one] * 10, []))
    assert found.saved is None
    assert found.why.startswith("No hold-back, no verified saving")
    few = verified(sums_of([one] * 10, [(one, 1.0)] * (LEAST_SESSIONS - 1)))
    assert few.saved is None
    assert "19 of 20 sessions" in few.why
    assert verified(sums_of([one] * 10, [(one, 1.0)] * LEAST_SESSIONS)).saved is not None


def test_days_may_be_added() -> None:
    drawn = np.random.default_rng(6)
    first, second = (month(drawn, 400, (0.5,))[0] for _ in range(2))
    both = first.plus(second)
    assert both.treated_calls == first.treated_calls + second.treated_calls
    assert _width(verified(both)) < _width(verified(first))


def _width(found: Verified) -> Decimal:
    assert found.lower is not None
    assert found.upper is not None
    assert found.saved is not None
    return (found.upper - found.lower) / found.saved
