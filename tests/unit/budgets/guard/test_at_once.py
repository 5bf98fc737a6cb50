"""Calls at once: exact in one process, and of others as they last told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.budgets.guard import Guard, GuardRules, Lacking, LimitTerms, ModelNotAllowed
from finops.budgets.guard.answers import RateLimited
from finops.budgets.guard.under_way import AGAIN_S, FORGOTTEN_S
from tests.unit.budgets.guard.cast import ACME, ANA, BEN, CHAT, KEY, PLATFORM, call, guard

TWO_A_KEY = LimitTerms("key", "", max_concurrent=2)


def begins(house: Guard, name: str, now: float = 0.0, **who: int) -> bool:
    found = house.check(ACME, name, call(**who), tokens=1, now=now)
    if found is None:
        house.allowed(name, now)
    else:
        assert isinstance(found, RateLimited)
        assert (found.measure, found.wanted, found.retry_after_s) == ("concurrent", 1, 1.0)
        assert found.code == "budgets.rate_limited"
    return found is None


def tell(speaker: Guard, *listeners: Guard, now: float) -> None:
    while delta := speaker.delta():
        for one in listeners:
            one.merge(delta, now)


@pytest.mark.parametrize("ends", ["settled", "void"])
def test_as_many_as_the_limit_and_when_one_is_over_another(ends: str) -> None:
    house = guard(TWO_A_KEY)
    assert [begins(house, f"call-{n}") for n in range(3)] == [True, True, False]
    assert begins(house, "call-1"), "asking again for a call that may changes nothing"
    if ends == "settled":
        house.settled("call-0", amount=5, tokens=None, now=0.1)
        house.settled("call-0", amount=5, tokens=None, now=0.2)
    else:
        house.void("call-0", 0.1)
        house.void("call-0", 0.2)
    assert [begins(house, f"again-{n}", 0.3) for n in range(2)] == [True, False]
    assert begins(house, "others", 0.3, key=KEY + 1), "each key has its own"


def test_a_team_shares_its_limit_and_one_goes_before_each() -> None:
    house = guard(
        LimitTerms("team", str(PLATFORM), max_concurrent=2),
        LimitTerms("person", "", max_concurrent=1),
        LimitTerms("person", str(ANA), max_concurrent=5),
    )
    assert begins(house, "call-1")
    assert begins(house, "call-2", team=CHAT, person=BEN)
    assert not begins(house, "call-3")
    house.settled("call-1", amount=0, tokens=None, now=1.0)
    assert not begins(house, "call-4", 1.0, team=CHAT, person=BEN)
    assert begins(house, "call-5", 1.0)


def test_what_is_refused_for_another_reason_takes_no_place() -> None:
    house = guard(TWO_A_KEY, LimitTerms("person", "", ("gpt-*",)))
    for number in range(5):
        assert isinstance(house.check(ACME, f"call-{number}", call(), tokens=1, now=0.0), ModelNotAllowed)
    house.rules_are(GuardRules(ACME, "v2", "USD", {}, (TWO_A_KEY, LimitTerms("key", "", requests_per_minute=10))))
    for number in range(5):
        assert isinstance(house.check(ACME, f"call-{number}", call(), tokens=1, now=0.0), Lacking)
    house.rules_are(GuardRules(ACME, "v3", "USD", {}, (TWO_A_KEY,)))
    assert [begins(house, f"last-{n}") for n in range(3)] == [True, True, False]


def test_another_process_counts_what_it_is_told_and_no_more_once_it_is_over() -> None:
    first, second = guard(TWO_A_KEY), guard(TWO_A_KEY, name="gateway-2")
    assert begins(first, "a-1")
    assert begins(first, "a-2")
    tell(first, second, now=0.2)
    assert not begins(second, "b-1", 0.2)
    first.settled("a-1", amount=0, tokens=None, now=0.3)
    tell(first, second, now=0.4)
    assert [begins(second, f"b-{n}", 0.4) for n in range(2)] == [True, False]
    tell(second, first, now=0.6)
    assert not begins(first, "a-3", 0.6)


def test_those_of_a_process_that_died_count_no_longer_and_those_of_one_that_lives_do() -> None:
    living, dead, asked = (guard(TWO_A_KEY, name=name) for name in ("living", "dead", "asked"))
    assert begins(living, "a-1")
    assert begins(dead, "b-1")
    for one in (living, dead):
        tell(one, asked, now=0.0)
    assert not begins(asked, "c-1", FORGOTTEN_S - 0.1)
    now = 0.0
    while now < 2 * FORGOTTEN_S:
        now += AGAIN_S
        living.unused(now)
        asked.unused(now)
        tell(living, asked, now=now)
    assert [begins(asked, f"c-{n}", now) for n in range(2)] == [True, False]


def test_more_subjects_than_a_notification_holds_are_told_in_several() -> None:
    first, second = guard(TWO_A_KEY), guard(TWO_A_KEY, name="gateway-2")
    for number in range(1_000):
        assert begins(first, f"call-{number}", key=1_000 + number)
        assert begins(first, f"more-{number}", key=1_000 + number)
    deltas = []
    while delta := first.delta():
        deltas.append(delta)
    assert all(len(delta) * 4 / 3 < 8_000 for delta in deltas)
    for delta in deltas:
        second.merge(delta, 0.1)
    assert not any(begins(second, f"call-{number}", 0.1, key=1_000 + number) for number in range(1_000))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["begin", "begin", "end", "void", "tell"]), st.integers(0, 9)),
        max_size=60,
    )
)
def test_one_process_is_exact_and_several_are_not_beyond_what_each_may(acts: list[tuple[int, str, int]]) -> None:
    limit = 3
    houses = [guard(LimitTerms("key", "", max_concurrent=limit), name=f"gateway-{n}") for n in range(3)]
    open_: list[set[str]] = [set(), set(), set()]
    for step, (which, act, one) in enumerate(acts):
        house, now = houses[which], step / 100
        name = f"{which}-{one}"
        if act == "begin" and begins(house, name, now):
            open_[which].add(name)
        elif act == "end":
            house.settled(name, amount=0, tokens=None, now=now)
            open_[which].discard(name)
        elif act == "void":
            house.void(name, now)
            open_[which].discard(name)
        elif act == "tell":
            tell(house, *(other for other in houses if other is not house), now=now)
        assert all(len(one) <= limit for one in open_)
    now = len(acts) / 100
    for house in houses:
        tell(house, *(other for other in houses if other is not house), now=now)
    room = limit - sum(map(len, open_))
    assert begins(houses[0], "the last", now) is (room > 0)
