"""Before a call's money is asked for: is somebody stopped, is the model allowed, has a breaker tripped?"""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from finops.budgets.guard import Guard, GuardRules, LimitTerms, ModelNotAllowed, RateLimited, Stopped
from finops.budgets.guard.guard import NoRules
from finops.runtime.places import CHECKOUT
from tests.unit.budgets.guard.cast import (
    ACME,
    ANA,
    BEN,
    BY_DEFAULT,
    CHAT,
    KEY,
    PLATFORM,
    REVIEWER,
    SEARCH,
    breaker,
    call,
    guard,
    made,
    stop,
)


def test_a_gateway_has_all_of_it_without_django() -> None:
    program = "import sys, finops.budgets.guard, finops.budgets.pulse; assert 'django' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=CHECKOUT)


def test_the_rules_go_from_process_to_process() -> None:
    said = (LimitTerms("key", "", ("gpt-4o*",), 60, None),)
    rules = GuardRules(ACME, "v1", "USD", {SEARCH: (PLATFORM, SEARCH)}, said, BY_DEFAULT)
    for wire in (msgspec.json, msgspec.msgpack):
        assert wire.decode(wire.encode(rules), type=GuardRules) == rules


def test_without_the_organizations_rules_nothing_is_decided() -> None:
    with pytest.raises(NoRules):
        Guard("gateway-1").check(ACME, "call-1", call(), tokens=1, now=0.0)
    with pytest.raises(NoRules):
        Guard("gateway-1").adopted(ACME, "call-1", call(), 0.0)


# --- Stops ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("dimension", "subject"),
    [
        ("organization", ""),
        ("team", str(SEARCH)),
        ("team", str(PLATFORM)),
        ("person", str(ANA)),
        ("project", "7"),
        ("agent", str(REVIEWER)),
        ("customer", "8"),
        ("key", str(KEY)),
        ("session", "s-1"),
    ],
)
def test_whoever_is_stopped_makes_no_call(dimension: str, subject: str) -> None:
    house, who = guard(), call(project=7, customer=8, agent=REVIEWER, session="s-1")
    house.stopped(stop(dimension, subject), 0.0)
    said = made(house, "call-1", who, 1.0)
    assert said == Stopped(dimension, subject, "manual", "it loops", None, None)
    assert said.code == "budgets.stopped"
    house.lifted(stop(dimension, subject))
    assert made(house, "call-1", who, 1.0) is None


def test_others_go_on() -> None:
    house = guard()
    for one in (stop("team", str(CHAT)), stop("person", "22", id=2), stop("session", "s-2", id=3)):
        house.stopped(one, 0.0)
    assert made(house, "call-1", call(session="s-1"), 1.0) is None
    house.stopped(stop("organization", id=4)._replace(organization_id=2), 0.0)
    assert made(house, "call-2", call(session="s-1"), 1.0) is None


def test_a_stop_is_over_when_its_time_is() -> None:
    house = guard()
    house.stopped(stop("key", str(KEY), until="2026-11-05T09:10:00+00:00", left_s=60.0), 100.0)
    said = made(house, "call-1", call(), 130.0)
    assert isinstance(said, Stopped)
    assert (said.until, said.left_s) == ("2026-11-05T09:10:00+00:00", 30.0)
    assert made(house, "call-1", call(), 160.0) is None


def test_a_stop_names_the_calls_under_way_that_are_to_be_cut() -> None:
    house = guard()
    house.check(ACME, "anas", call(), tokens=1, now=0.0)
    house.check(ACME, "chats", call(team=CHAT, person=22, key=42), tokens=1, now=0.0)
    assert house.stopped(stop("team", str(SEARCH)), 1.0) == ["anas"]
    assert house.stopped(stop("team", str(PLATFORM), id=2), 1.0) == ["anas", "chats"]
    house.settled("anas", amount=1, tokens=1, now=2.0)
    assert house.stopped(stop("organization", id=3), 2.0) == ["chats"]


def test_a_call_that_was_stopped_while_it_waited_for_its_money_is_cut_when_it_has_it() -> None:
    house = guard()
    house.check(ACME, "anas", call(), tokens=1, now=0.0)
    house.stopped(stop("person", str(ANA)), 0.1)
    assert house.late() == []
    house.allowed("anas", 0.2)
    assert house.late() == [("anas", stop("person", str(ANA)))]
    assert house.late() == []


def test_a_call_that_was_taken_over_is_cut_by_stops_of_before_and_after_and_takes_its_place() -> None:
    house = guard(LimitTerms("key", "", max_concurrent=1))
    house.stopped(stop("person", str(ANA)), 0.1)
    house.adopted(ACME, "anas", call(), 0.2)
    assert house.late() == [("anas", stop("person", str(ANA)))]
    assert house.stopped(stop("team", str(SEARCH), id=2), 0.3) == ["anas"]
    assert isinstance(made(house, "chats", call(team=CHAT, person=BEN), 0.4), RateLimited)
    house.settled("anas", amount=1, tokens=1, now=0.5)
    assert made(house, "chats", call(team=CHAT, person=BEN), 0.6) is None


def test_who_could_not_hear_for_a_while_learns_what_is_stopped_and_what_is_not_any_more() -> None:
    house = guard()
    house.stopped(stop("person", str(ANA)), 0.0)
    house.stops_are([stop("session", "s-1", id=2)], 10.0)
    assert made(house, "call-1", call(), 10.0) is None
    assert isinstance(made(house, "call-2", call(session="s-1"), 10.0), Stopped)


def test_lifting_one_stop_leaves_another_that_came_since() -> None:
    house = guard()
    house.stopped(stop("key", str(KEY), id=2), 0.0)
    house.lifted(stop("key", str(KEY), id=1))
    assert isinstance(made(house, "call-1", call(), 1.0), Stopped)


# --- Models -----------------------------------------------------------------------------------------------------------
def test_every_list_that_holds_must_have_the_model() -> None:
    house = guard(
        LimitTerms("person", "", ("claude-*", "gpt-4o-mini")),
        LimitTerms("team", str(PLATFORM), ("anthropic/*",)),
    )
    assert made(house, "call-1", call(), 0.0) is None
    said = made(house, "call-2", call(provider="openai", model="gpt-4o-mini"), 0.0)
    assert said == ModelNotAllowed("team", str(PLATFORM), "gpt-4o-mini", ("anthropic/*",))
    assert said.code == "budgets.model_not_allowed"
    said = made(house, "call-3", call(model="opus-9"), 0.0)
    assert isinstance(said, ModelNotAllowed)
    assert (said.dimension, said.subject) == ("person", str(ANA))


def test_of_many_calls_at_once_stops_and_lists_are_asked_alone() -> None:
    house = guard(LimitTerms("key", "", ("claude-*",), 1, 1))
    for _ in range(3):
        assert house.forbids(ACME, call(), 0.0) is None
    assert isinstance(house.forbids(ACME, call(model="gpt-4o"), 0.0), ModelNotAllowed)
    house.stopped(stop("person", str(ANA)), 0.0)
    assert isinstance(house.forbids(ACME, call(), 1.0), Stopped)
    with pytest.raises(NoRules):
        house.forbids(2, call(), 0.0)


def test_a_cheaper_model_is_asked_about_before_it_is_taken() -> None:
    house = guard(LimitTerms("person", "", ("claude-*",)))
    assert house.allows_model(ACME, call())
    assert not house.allows_model(ACME, call(model="gpt-4o-mini"))
    assert not house.allows_model(2, call())


def test_what_is_said_of_one_goes_before_what_is_said_of_each() -> None:
    house = guard(LimitTerms("person", "", ("claude-haiku*",)), LimitTerms("person", str(ANA), ("claude-*",)))
    assert made(house, "anas", call(), 0.0) is None
    assert isinstance(made(house, "bens", call(person=22), 0.0), ModelNotAllowed)


@pytest.mark.parametrize(
    ("pattern", "model", "fits"),
    [
        ("GPT-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("*", "anything\nat all", True),
        ("gpt-*-mini", "gpt-4o-mini", True),
        ("gpt.4o", "gpt-4o", False),
        ("openai/gpt-4o", "gpt-4o", True),
        ("azure/gpt-4o", "gpt-4o", False),
        ("meta-llama/llama-3", "meta-llama/llama-3", True),
    ],
)
def test_patterns_are_names_with_stars_and_nothing_else(pattern: str, model: str, *, fits: bool) -> None:
    house = guard(LimitTerms("key", "", (pattern,)))
    assert (made(house, "call-1", call(provider="openai", model=model), 0.0) is None) is fits


def test_an_empty_list_allows_nothing() -> None:
    assert isinstance(made(guard(LimitTerms("key", "", ())), "call-1", call(), 0.0), ModelNotAllowed)


def test_whoever_leaves_out_their_name_is_nobody_and_limited_as_everybody_is() -> None:
    house = guard(LimitTerms("person", "", ("claude-haiku*",)))
    assert isinstance(made(house, "call-1", call(person=0), 0.0), ModelNotAllowed)


# --- Breakers ---------------------------------------------------------------------------------------------------------
def test_identical_calls_in_a_row_trip_the_sessions_breaker() -> None:
    house = guard(breaker("identical_calls", 3))
    said = [made(house, f"call-{n}", call(session="s-1"), n / 50, fingerprint="same") for n in range(5)]
    assert said[:3] == [None] * 3
    assert said[3] == Stopped("session", "s-1", "breaker", "more than 3 identical calls in a row", None, 900.0)
    assert isinstance(said[4], Stopped)
    (trip,) = house.trips()
    assert (trip.dimension, trip.subject, trip.measure, trip.threshold, trip.seen) == (
        "session", "s-1", "identical_calls", 3, 4,
    )  # fmt: skip
    assert house.trips() == []
    assert made(house, "other", call(session="s-2"), 0.2, fingerprint="same") is None


def test_another_call_between_or_a_long_pause_ends_a_row() -> None:
    house = guard(breaker("identical_calls", 2))
    for n, word in enumerate(("same", "same", "other", "same", "same", "", "same")):
        assert made(house, f"call-{n}", call(session="s-1"), float(n), fingerprint=word) is None
    assert made(house, "late", call(session="s-1"), 400.0, fingerprint="same") is None
    assert made(house, "later", call(session="s-1"), 401.0, fingerprint="same") is None
    assert isinstance(made(house, "latest", call(session="s-1"), 402.0, fingerprint="same"), Stopped)


def test_calls_in_a_minute_trip_the_agents_breaker_and_slower_ones_do_not() -> None:
    house = guard(breaker("calls_per_minute", 10, dimension="agent"))
    slow = [made(house, f"slow-{n}", call(agent=REVIEWER), n * 6.2) for n in range(50)]
    assert slow == [None] * 50
    quick = [made(house, f"quick-{n}", call(agent=REVIEWER), 400 + n * 5.0) for n in range(12)]
    assert [type(one) for one in quick[:10]] == [type(None)] * 10
    assert isinstance(quick[10], Stopped)


def test_money_in_a_minute_trips_the_keys_breaker_when_it_was_spent() -> None:
    house = guard(breaker("amount_per_minute", 100, dimension="key"))
    assert made(house, "call-1", call(), 0.0, amount=60) is None
    assert made(house, "call-2", call(), 1.0, amount=60) is None
    assert [one.reason for one in house.trips()] == ["more than 0.00 USD spent in a minute"]
    assert isinstance(made(house, "call-3", call(), 2.0), Stopped)


def test_a_session_is_bounded_in_depth_calls_minutes_and_money() -> None:
    deep = guard(breaker("depth", 3))
    assert made(deep, "call-1", call(session="s-1"), 0.0, depth=3) is None
    assert isinstance(made(deep, "call-2", call(session="s-1"), 0.0, depth=4), Stopped)
    many = guard(breaker("session_calls", 5))
    said = [made(many, f"call-{n}", call(session="s-1"), n * 100.0) for n in range(6)]
    assert [one is None for one in said] == [True] * 5 + [False]
    long = guard(breaker("session_minutes", 10))
    said = [made(long, f"call-{n}", call(session="s-1"), n * 60.0) for n in range(12)]
    assert [one is None for one in said] == [True] * 11 + [False]
    dear = guard(breaker("session_amount", 100))
    said = [made(dear, f"call-{n}", call(session="s-1"), n * 100.0, amount=40) for n in range(4)]
    assert [one is None for one in said] == [True, True, True, False]


def test_a_session_that_rested_begins_anew() -> None:
    house = guard(breaker("session_minutes", 10))
    times = [0.0, 300.0, 590.0, 3_000.0, 3_300.0, 3_590.0]
    assert [made(house, f"call-{at}", call(session="s-1"), at) for at in times] == [None] * 6


def test_without_a_session_there_is_none_to_break() -> None:
    house = guard(breaker("identical_calls", 2), breaker("depth", 1))
    assert [made(house, f"call-{n}", call(), 0.0, fingerprint="same", depth=9) for n in range(9)] == [None] * 9


def test_the_sessions_of_one_agent_may_have_a_breaker_of_their_own_or_none() -> None:
    house = guard(
        breaker("session_calls", 2),
        breaker("session_calls", 4, subject=str(REVIEWER)),
        breaker("session_calls", None, subject="32"),
    )
    for agent, most in ((0, 2), (REVIEWER, 4)):
        said = [made(house, f"{agent}-{n}", call(agent=agent, session=f"s-{agent}"), 0.0) for n in range(6)]
        assert [one is None for one in said].count(True) == most
    assert [made(house, f"free-{n}", call(agent=32, session="s-32"), 0.0) for n in range(6)] == [None] * 6


@pytest.mark.parametrize("how", ["lifted", "over"])
def test_after_a_stop_a_breaker_counts_anew(how: str) -> None:
    house = guard(breaker("session_calls", 2))
    for n in range(3):
        made(house, f"call-{n}", call(session="s-1"), 0.0)
    tripped = stop("session", "s-1", id=7, kind="breaker", left_s=900.0)
    house.stopped(tripped, 0.1)
    if how == "lifted":
        house.lifted(tripped)
    now = 1.0 if how == "lifted" else 901.0
    said = [made(house, f"again-{n}", call(session="s-1"), now) for n in range(3)]
    assert [one is None for one in said] == [True, True, False]


def test_a_breaker_that_could_not_be_written_holds_here_all_the_same() -> None:
    house = guard(breaker("session_calls", 1))
    made(house, "call-1", call(session="s-1"), 0.0)
    made(house, "call-2", call(session="s-1"), 0.0)
    house.stops_are([], 1.0)
    assert isinstance(made(house, "call-3", call(session="s-1"), 1.0), Stopped)


def test_a_call_is_known_from_its_check_to_its_end() -> None:
    house = guard()
    assert not house.has("call-1")
    house.check(ACME, "call-1", call(), tokens=1, now=0.0)
    assert house.has("call-1")
    house.void("call-1", 0.0)
    assert not house.has("call-1")


def test_a_call_whose_money_was_not_there_is_not_counted() -> None:
    house = guard(breaker("identical_calls", 2))
    for n in range(9):
        assert house.check(ACME, f"call-{n}", call(session="s-1"), tokens=1, fingerprint="same", now=0.0) is None
        house.void(f"call-{n}", 0.0)
    house.allowed("call-1", 0.0)
    house.void("call-1", 0.0)
    house.settled("call-1", amount=5, tokens=5, now=0.0)
    assert house.trips() == []


def test_by_default_a_runaway_trips_at_once_and_a_slow_loop_within_its_sessions_limit() -> None:
    house = guard(*BY_DEFAULT)
    trips = [made(house, f"call-{n}", call(session="fast"), n / 50, fingerprint="same") for n in range(50)]
    assert trips.index(next(one for one in trips if one)) / 50 < 0.5
    loop = (
        made(house, f"loop-{n}", call(session="slow"), n * 5.0, fingerprint=f"history {n}", amount=n * 10**7)
        for n in range(3_000)
    )
    said = next(one for one in loop if one is not None)
    assert isinstance(said, Stopped)
    assert said.reason == "more than 2,000 calls in one session"
