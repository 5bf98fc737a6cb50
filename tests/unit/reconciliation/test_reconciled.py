"""What was billed is shared among what was seen, to the last picodollar."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finops.reconciliation.rules import not_seen, reconciled
from finops.reconciliation.types import NOBODY, Day, Group, Kind, Owner, Use

ALICE: Owner = (1, 11, 0, 0, 0, 0)
BOB: Owner = (1, 12, 0, 0, 0, 0)
SEARCH: Owner = (0, 0, 21, 0, 0, 0)
CHAT: Owner = (0, 0, 22, 0, 0, 0)
ALICE_IN_SEARCH: Owner = (1, 11, 21, 0, 0, 0)
GPT, MINI = Group("", "gpt"), Group("", "gpt-mini")
OWNERS = st.sampled_from([ALICE, BOB, SEARCH, CHAT, ALICE_IN_SEARCH, NOBODY])
NAMES = (("a", "gpt"), ("b", "gpt"), ("a", "mini"), ("", "gpt"), ("x", "old"), ("a", ""), ("", ""))
KINDS = st.sampled_from(["input_uncached", "cache_read", "output"])
COUNTS = st.dictionaries(KINDS, st.integers(0, 10**9), max_size=3)
GROUPS = st.sampled_from([Group(account, model) for account, model in NAMES])
USED = st.dictionaries(OWNERS, st.builds(Use, st.integers(0, 10**18), COUNTS), min_size=1, max_size=4)
DAYS = st.builds(
    Day,
    money=st.dictionaries(
        GROUPS,
        st.dictionaries(st.one_of(KINDS, st.just("")), st.integers(-(10**15), 10**18), min_size=1, max_size=4),
        max_size=4,
    ),
    reported=st.dictionaries(GROUPS, USED, max_size=4),
    seen=st.dictionaries(GROUPS, USED, max_size=4),
)


def day(money: Any, reported: Any = None, seen: Any = None) -> Day:
    """Of gpt alone."""
    told = {} if reported is None else {GPT: {owner: Use(0, counts) for owner, counts in reported.items()}}
    return Day({GPT: money}, told, {} if seen is None else {GPT: seen})


def lines(found: Day, **given: Any) -> list[tuple[Kind, Owner, int]]:
    return [(line.kind, line.owner, line.pico) for line in reconciled(found, **given)]


@given(DAYS)
def test_charges_of_a_day_sum_to_what_was_billed(found: Day) -> None:
    billed = sum(pico for kinds in found.money.values() for pico in kinds.values())
    stood = sum(seen.pico for owners in found.seen.values() for seen in owners.values())
    assert stood + sum(line.pico for line in reconciled(found)) == billed


@given(DAYS)
def test_where_a_bill_is_not_the_whole_models_without_money_keep_what_they_stand_at(found: Day) -> None:
    models = {group.model for group in found.money}
    billed = sum(pico for kinds in found.money.values() for pico in kinds.values())
    stood = sum(seen.pico for group, owners in found.seen.items() if group.model in models for seen in owners.values())
    lines = reconciled(found, whole=False)
    assert {line.group.model for line in lines} <= models
    if all(group.model not in models or group in found.money for group in found.seen):
        assert stood + sum(line.pico for line in lines) == billed


@given(st.dictionaries(OWNERS, st.integers(0, 10**9)), st.dictionaries(OWNERS, st.integers(0, 10**9)))
def test_what_nobody_saw_is_what_was_reported_less_what_was_seen(
    reported: dict[Owner, int], seen: dict[Owner, int]
) -> None:
    missing = not_seen(reported, seen)
    assert sum(missing.values()) == max(sum(reported.values()) - sum(seen.values()), 0)
    assert all(0 <= count <= reported[owner] for owner, count in missing.items())


def test_tokens_seen_cost_what_was_billed_for_each_and_the_rest_is_nobodys() -> None:
    """A thousand tokens for ten cents; six hundred were seen, which stood at three."""
    found = day(
        {"output": 100}, {NOBODY: {"output": 1_000}}, {ALICE: Use(20, {"output": 400}), BOB: Use(10, {"output": 200})}
    )
    assert lines(found) == [
        (Kind.CORRECTION, ALICE, 20),
        (Kind.CORRECTION, BOB, 10),
        (Kind.UNSEEN, NOBODY, 40),
    ]
    assert reconciled(found)[-1].counts == {"output": 400}


def test_what_stands_right_is_not_corrected() -> None:
    found = day({"output": 60}, {NOBODY: {"output": 600}}, {ALICE: Use(60, {"output": 600})})
    assert lines(found) == []


def test_more_calls_than_were_reported_share_what_was_billed() -> None:
    """A source that counts a call twice makes nobody pay more."""
    found = day(
        {"output": 60}, {NOBODY: {"output": 300}}, {ALICE: Use(60, {"output": 400}), BOB: Use(30, {"output": 200})}
    )
    assert lines(found) == [(Kind.CORRECTION, ALICE, -20), (Kind.CORRECTION, BOB, -10)]


def test_a_key_whose_calls_were_all_seen_leaves_nothing_to_its_project() -> None:
    found = day(
        {"output": 150}, {SEARCH: {"output": 100}, CHAT: {"output": 50}}, {ALICE_IN_SEARCH: Use(100, {"output": 100})}
    )
    assert lines(found) == [(Kind.UNSEEN, CHAT, 50)]


def test_without_calls_money_goes_where_the_report_says_it_was_used() -> None:
    found = day({"output": 90, "": 7}, {SEARCH: {"output": 100}, CHAT: {"output": 50}})
    assert lines(found) == [(Kind.UNSEEN, NOBODY, 7), (Kind.UNSEEN, SEARCH, 60), (Kind.UNSEEN, CHAT, 30)]


def test_money_that_says_no_tokens_is_shared_by_what_those_are_worth() -> None:
    told = {SEARCH: Use(60, {"output": 6}), CHAT: Use(40, {"output": 4})}
    found = Day({GPT: {"": 200}}, {GPT: told}, {GPT: {ALICE_IN_SEARCH: Use(50, {"output": 5})}})
    assert lines(found) == [
        (Kind.CORRECTION, ALICE_IN_SEARCH, 50),
        (Kind.UNSEEN, SEARCH, 20),
        (Kind.UNSEEN, CHAT, 80),
    ]


def test_where_no_tokens_are_reported_calls_keep_what_they_stand_at_as_far_as_the_money_goes() -> None:
    seen = {ALICE: Use(60, {"output": 6}), BOB: Use(30, {"output": 3})}
    assert lines(day({"": 100}, None, seen)) == [(Kind.UNSEEN, NOBODY, 10)]
    assert lines(day({"": 45}, None, seen)) == [(Kind.CORRECTION, ALICE, -30), (Kind.CORRECTION, BOB, -15)]


def test_calls_of_a_model_that_is_not_billed_cost_nothing_where_the_bill_is_the_whole() -> None:
    found = Day({GPT: {"": 5}}, {}, {MINI: {ALICE: Use(8, {"output": 1})}})
    assert lines(found) == [(Kind.UNSEEN, NOBODY, 5), (Kind.CORRECTION, ALICE, -8)]
    assert lines(found, whole=False) == [(Kind.UNSEEN, NOBODY, 5)]


def test_money_of_no_model_pays_for_calls_that_have_none_of_their_own() -> None:
    seen = {GPT: {ALICE: Use(60, {})}, MINI: {ALICE: Use(10, {}), BOB: Use(30, {})}}
    found = Day({Group("", ""): {"output": 20, "input_uncached": 40}, GPT: {"": 50}}, {}, seen)
    assert [(line.group, line.kind, line.owner, line.pico) for line in reconciled(found)] == [
        (Group("", ""), Kind.UNSEEN, NOBODY, 20),
        (GPT, Kind.CORRECTION, ALICE, -10),
    ]
    less = Day({Group("", ""): {"output": 20}}, {}, {MINI: seen[MINI]})
    assert lines(less) == [(Kind.CORRECTION, ALICE, -5), (Kind.CORRECTION, BOB, -15)]
    # Calls that name no model either are among those it pays for.
    nameless = Day({Group("", ""): {"": 3}}, {}, {GPT: {ALICE: Use(3, {})}, Group("", ""): {ALICE: Use(3, {})}})
    assert sum(line.pico for line in reconciled(nameless)) == 3 - 6


def test_calls_that_say_no_account_are_compared_with_all_accounts_together() -> None:
    one, two = Group("wrk-1", "gpt"), Group("wrk-2", "gpt")
    found = Day(
        {one: {"output": 30}, two: {"output": 30}},
        {one: {NOBODY: Use(0, {"output": 300})}, two: {NOBODY: Use(0, {"output": 300})}},
        {GPT: {ALICE: Use(50, {"output": 500})}},
    )
    assert [(line.group, line.kind, line.owner, line.pico) for line in reconciled(found)] == [
        (GPT, Kind.UNSEEN, NOBODY, 10)
    ]


def test_a_credit_lowers_what_is_nobodys() -> None:
    assert lines(day({"": -12})) == [(Kind.UNSEEN, NOBODY, -12)]
