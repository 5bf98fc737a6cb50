"""What becomes of recommendations that are there, what sending calls at random would save, and names of rules."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.recommend import rules, writing
from routing.recommend.mixing import frontier, random_mix
from routing.recommend.rules import Standing
from routing.recommend.types import Advice, Point, State, Volume
from routing.rules.rules import LONGEST_NAME, check
from routing.rules.types import Rule, Use
from tests.factories.recommend import CHEAP, STRONG, advised, coins, tried, worked_out


@pytest.fixture(scope="module")
def advice() -> Advice:
    [one] = advised(worked_out(tried(coins({STRONG: 0.9, CHEAP: 0.9}, 800))))
    return one


def there(advice: Advice, state: State, *, basis: str | None = None, alive: bool = False) -> Standing:
    return Standing(7, advice.key, state.value, advice.basis if basis is None else basis, alive)


@pytest.mark.parametrize(
    ("state", "basis", "alive", "said"),
    [
        (State.OPEN, None, False, "renewed"),
        (State.OPEN, "other", False, "renewed"),
        (State.DISMISSED, None, False, "silent"),
        (State.DISMISSED, "other", False, "fresh"),
        (State.EXPIRED, None, False, "silent"),
        (State.EXPIRED, "other", False, "fresh"),
        (State.APPLIED, None, False, "silent"),
        (State.APPLIED, "other", True, "silent"),
        (State.APPLIED, "other", False, "fresh"),
    ],
)
def test_what_is_wanted_beside_what_is_there(
    advice: Advice, state: State, basis: str | None, alive: bool, said: str
) -> None:
    found = rules.changes([advice], [there(advice, state, basis=basis, alive=alive)], {})
    expected = {
        "renewed": rules.Changes((), {7: advice}, {}), "silent": rules.Changes((), {}, {}),
        "fresh": rules.Changes((advice,), {}, {}),
    }  # fmt: skip
    assert found == expected[said]


def test_what_is_not_wanted_any_more_goes_and_only_if_it_is_open(advice: Advice) -> None:
    for state in State:
        found = rules.changes([], [there(advice, state)], {})
        assert list(found.gone) == ([7] if state is State.OPEN else [])


def test_why_something_goes() -> None:
    good = worked_out(tried(coins({STRONG: 0.9, CHEAP: 0.9}, 800)))
    bad = worked_out(tried(coins({STRONG: 0.9, CHEAP: 0.6}, 800)))
    [switch], [keep] = advised(good), advised(bad)
    assert rules.why_gone(switch.key, [keep], {"triage": bad}) == f"{CHEAP}: it is worse by more than the margin."
    assert rules.why_gone(keep.key, [switch], {"triage": good}) == "There is something better to do with 'triage' now."
    assert "nothing is known" in rules.why_gone(switch.key, [], {}).lower()
    trial = ("experiment", "triage", STRONG, CHEAP)
    assert "it is as good" in rules.why_gone(trial, [switch], {"triage": good})
    assert "it is worse" in rules.why_gone(trial, [keep], {"triage": bad})
    other = ("switch", "triage", "older", CHEAP)
    assert rules.why_gone(other, [switch], {"triage": good}) == (
        "strong is what is used for 'triage' now, and not older."
    )


def test_a_volume_says_something_new_when_it_moves_by_a_twentieth() -> None:
    def volume(spend: str, calls: int = 10, currency: str = "USD") -> Volume:
        return Volume(calls=calls, spend=Decimal(spend), currency=currency)

    assert not rules.moved(volume("100"), volume("104"))
    assert rules.moved(volume("100"), volume("106"))
    assert rules.moved(volume("100"), volume("0"))
    assert rules.moved(volume("0"), volume("100"))
    assert rules.moved(volume("100"), volume("100", currency="EUR"))
    assert not rules.moved(Volume(), Volume())
    assert rules.moved(volume("0", calls=0), volume("0", calls=3))


def test_a_reason_is_one_line_that_says_something() -> None:
    assert rules.check_reason("  no budget ") == "no budget"
    for said in ("", "  ", "two\nlines", "x" * 501):
        with pytest.raises(rules.RecommendationInvalid) as raised:
            rules.check_reason(said)
        assert raised.value.field == "reason"


def point(model: str, quality: float, cost: float | None) -> Point:
    return Point(model=model, tasks=100, quality=quality, cost=cost)


def test_a_random_mix_is_what_a_coin_saves() -> None:
    points = [point("strong", 0.8, 1.0), point("weak", 0.4, 0.0), point("told", 0.7, None)]
    # Three of four calls stay: three quarters of the way down to half the quality is a quarter of it.
    assert random_mix(points, "strong", kept=0.875) == pytest.approx(0.25)
    assert random_mix(points, "strong", kept=1.0) == 0.0
    assert random_mix(points, "strong", kept=0.875, without="weak") == 0.0
    assert random_mix(points, "nobody", kept=0.9) is None
    assert random_mix([point("strong", 0.8, 0.0)], "strong", kept=0.9) is None


def test_on_the_frontier_nothing_is_better_without_costing_more() -> None:
    points = [
        point("a", 0.5, 1.0),
        point("b", 0.7, 2.0),
        point("c", 0.6, 3.0),
        point("d", 0.7, 4.0),
        point("e", 0.9, None),
    ]
    assert frontier(points) == ["a", "b"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 10)), max_size=12))
def test_everything_measured_is_on_the_frontier_or_beaten_by_it(found: list[tuple[float, float]]) -> None:
    points = [point(str(place), *one) for place, one in enumerate(found)]
    best = [one for one in points if one.model in frontier(points)]
    for one in points:
        assert any(of.quality >= one.quality and (of.cost or 0) <= (one.cost or 0) for of in best)


@given(st.lists(st.text(max_size=80), min_size=1, max_size=4))
def test_a_rule_of_any_words_has_a_name_that_rules_may_have(words: list[str]) -> None:
    name = writing.named("switch", *words)
    assert len(name) <= LONGEST_NAME
    check(Rule(name=name, use=(Use(model="m"),)))


def test_names_say_effort_at_their_end_alone() -> None:
    assert writing.effort_of("gpt-5@low") == ("gpt-5", "low")
    assert writing.effort_of("gpt-5@2026-01-01") == ("gpt-5@2026-01-01", "")
