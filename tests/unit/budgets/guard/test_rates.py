"""Limits by the minute: whatever the processes do, no sixty seconds see more than the limit."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.budgets.guard import Guard, Lacking, LimitTerms, RateLimited, Refusal
from finops.budgets.guard.answers import RateKey
from finops.budgets.guard.slices import WINDOW_S, Granted, Taken
from tests.unit.budgets.guard.cast import ACME, ANA, KEY, PLATFORM, SEARCH, call, give, guard

REQUESTS = RateKey(ACME, "key", str(KEY), "requests")
TOKENS = RateKey(ACME, "key", str(KEY), "tokens")


class Minutes:
    """What the database does with slices, as `sql/0010_guard.sql` says; the two are compared in tests/rooms."""

    def __init__(self) -> None:
        self.given: dict[RateKey, dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def fetch(self, house: Guard, lacking: Lacking, asked_at: float, now: float) -> RateLimited | None:
        bucket = int(now)
        free = [
            want.limit - sum(amount for at, amount in self.given[want.key].items() if at >= bucket - (WINDOW_S - 1))
            for want in lacking.wants
        ]
        enough = all(one >= want.least for one, want in zip(free, lacking.wants, strict=True))
        grants = []
        for one, want in zip(free, lacking.wants, strict=True):
            amount = max(want.least, min(want.most, one // 8)) if enough else 0
            self.given[want.key][bucket] += amount
            grants.append(Granted(want.key, bucket, amount, one - amount, 1.0))
        return house.granted(grants, lacking.wants, asked_at=asked_at)

    def take_back(self, unused: list[Taken]) -> None:
        for one in unused:
            self.given[one.key][one.bucket] -= one.amount

    def check(self, house: Guard, name: str, now: float, **given: Any) -> Refusal | None:
        for _ in range(9):
            found = house.check(ACME, name, call(), **{"tokens": 1, "now": now} | given)
            if not isinstance(found, Lacking):
                return found
            refused = self.fetch(house, found, now, now)
            if refused is not None:
                return refused
        raise AssertionError("it asks for ever")


def test_a_call_lacks_its_part_of_the_minute_until_the_database_gives_some() -> None:
    house = guard(LimitTerms("key", "", None, 60, 1_000))
    lacking = house.check(ACME, "call-1", call(), tokens=300, now=0.0)
    assert isinstance(lacking, Lacking)
    assert [(want.key, want.limit, want.least) for want in lacking.wants] == [(REQUESTS, 60, 1), (TOKENS, 1_000, 300)]
    give(house, lacking, 0.0)
    assert house.check(ACME, "call-1", call(), tokens=300, now=0.0) is None
    assert house.check(ACME, "call-1", call(), tokens=300, now=0.0) is None
    assert isinstance(house.check(ACME, "call-2", call(), tokens=300, now=0.0), Lacking)


def test_as_many_requests_as_the_limit_and_the_next_waits() -> None:
    house, minutes = guard(LimitTerms("key", str(KEY), None, 5, None)), Minutes()
    said = [minutes.check(house, f"call-{n}", float(n)) for n in range(6)]
    assert said[:5] == [None] * 5
    assert said[5] == RateLimited("key", str(KEY), "requests", 5, 1, 1.0)
    assert said[5].code == "budgets.rate_limited"
    # The loop that goes on is told at once, without asking the database.
    again = house.check(ACME, "call-7", call(), tokens=1, now=5.1)
    assert isinstance(again, RateLimited)
    assert minutes.check(house, "call-8", 63.5) is None


def test_a_call_of_more_tokens_than_the_limit_need_not_wait() -> None:
    house = guard(LimitTerms("key", "", None, None, 1_000), LimitTerms("team", str(PLATFORM), None, None, 500))
    said = house.check(ACME, "call-1", call(), tokens=501, now=0.0)
    assert said == RateLimited("team", str(PLATFORM), "tokens", 500, 501, None)
    assert house.token_ceiling(ACME, call()) == 500
    assert house.token_ceiling(ACME, call(team=0)) == 1_000
    assert guard().token_ceiling(ACME, call()) is None


def test_tokens_that_were_not_used_are_free_again_in_their_own_minute() -> None:
    house, minutes = guard(LimitTerms("key", "", None, None, 1_000)), Minutes()
    assert minutes.check(house, "call-1", 0.0, tokens=1_000) is None
    assert isinstance(minutes.check(house, "call-2", 0.5, tokens=400), RateLimited)
    house.allowed("call-1", 0.6, tokens=600)
    assert minutes.check(house, "call-2", 0.9, tokens=400) is None
    house.settled("call-1", amount=0, tokens=50, now=30.0)
    minutes.take_back(house.unused(30.0))
    assert minutes.given[TOKENS] == {0: 450}
    assert minutes.check(house, "call-3", 31.0, tokens=550) is None
    assert isinstance(minutes.check(house, "call-4", 32.0, tokens=1), RateLimited)


def test_what_went_beyond_its_bound_is_counted_too() -> None:
    house, minutes = guard(LimitTerms("key", "", None, None, 1_000)), Minutes()
    assert minutes.check(house, "call-1", 0.0, tokens=100) is None
    house.settled("call-1", amount=0, tokens=400, now=1.0)
    minutes.take_back(house.unused(10.0))
    assert minutes.given[TOKENS] == {0: 400}


def test_what_nobody_knows_counts_as_its_bound() -> None:
    house, minutes = guard(LimitTerms("key", "", None, None, 1_000)), Minutes()
    assert minutes.check(house, "call-1", 0.0, tokens=1_000) is None
    house.settled("call-1", amount=0, tokens=None, now=1.0)
    minutes.take_back(house.unused(10.0))
    assert minutes.given[TOKENS] == {0: 1_000}


def test_a_call_that_never_happened_leaves_its_place_to_the_next() -> None:
    house, minutes = guard(LimitTerms("person", str(ANA), None, 1, None)), Minutes()
    assert minutes.check(house, "call-1", 0.0) is None
    house.void("call-1", 0.1)
    assert minutes.check(house, "call-2", 0.2) is None


def test_a_slice_goes_back_when_nobody_used_it_up() -> None:
    house, minutes = guard(LimitTerms("key", "", None, 800, None)), Minutes()
    for n in range(9):
        assert minutes.check(house, f"call-{n}", n / 100) is None
    assert minutes.given[REQUESTS][0] > 9
    minutes.take_back(house.unused(5.0))
    assert minutes.given[REQUESTS] == {0: 9}


def test_teams_above_share_their_limit_and_one_of_its_own_goes_before_each() -> None:
    house = guard(
        LimitTerms("team", "", None, 100, None),
        LimitTerms("team", str(SEARCH), None, None, 7_000),
        LimitTerms("team", str(PLATFORM), None, 300, None),
    )
    lacking = house.check(ACME, "call-1", call(), tokens=5, now=0.0)
    assert isinstance(lacking, Lacking)
    assert {(want.key.subject, want.key.measure, want.limit) for want in lacking.wants} == {
        (str(SEARCH), "requests", 100),
        (str(SEARCH), "tokens", 7_000),
        (str(PLATFORM), "requests", 300),
    }


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["call", "call", "call", "settle", "void", "pulse"]),
        st.integers(1, 40),
        st.floats(0, 9),
    ),
    max_size=120,
)


@settings(max_examples=300)
@given(STEPS, st.integers(1, 60), st.integers(1, 400))
def test_no_minute_sees_more_than_the_limit(
    steps: list[tuple[int, str, int, float]], requests: int, tokens: int
) -> None:
    """Three processes, any order of calls, corrections and returns, at any pace."""
    houses = [guard(LimitTerms("key", "", None, requests, tokens), name=f"gateway-{n}") for n in range(3)]
    minutes = Minutes()
    admitted: dict[str, list[float]] = {}
    open_calls: list[list[str]] = [[], [], []]
    now = 1_000.0
    for number, (who, act, size, wait) in enumerate(steps):
        now += wait
        if act == "call":
            name = f"call-{number}"
            said = minutes.check(houses[who], name, now, tokens=size)
            if said is None:
                admitted[name] = [now, size]
                open_calls[who].append(name)
        elif act == "pulse":
            minutes.take_back(houses[who].unused(now))
        elif open_calls[who]:
            name = open_calls[who].pop(0)
            if act == "void":
                houses[who].void(name, now)
                del admitted[name]
            else:
                admitted[name][1] = min(size, admitted[name][1])
                houses[who].settled(name, amount=0, tokens=int(admitted[name][1]), now=now)
    for begin, _ in admitted.values():
        within = [size for at, size in admitted.values() if begin <= at < begin + 60]
        assert len(within) <= requests
        assert sum(within) <= tokens


@pytest.mark.parametrize("limit", [60, 600])
@pytest.mark.parametrize("processes", [1, 4])
def test_a_steady_stream_has_nearly_all_of_its_limit(limit: int, processes: int) -> None:
    """Asked twice as often as the limit allows for 21 minutes, at one process or at four in turn."""
    houses = [guard(LimitTerms("key", "", None, limit, None), name=f"gateway-{n}") for n in range(processes)]
    minutes = Minutes()
    made = 0
    for n in range(42 * limit):
        now, house = 1_000 + n * 30 / limit, houses[n % processes]
        if minutes.check(house, f"call-{n}", now) is None:
            made += 1
            house.settled(f"call-{n}", amount=0, tokens=1, now=now)
        minutes.take_back(house.unused(now))
    assert 0.94 * 21 * limit <= made <= 21 * limit
