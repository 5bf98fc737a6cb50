"""Deciding in memory: a lease is free, held or spent, to the last picodollar, and nothing is promised twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.budgets.hot import Leases, NotOpen, Settled, Slot, slice_wanted

ACME, BOB = 1, 2


def leases(**granted: int) -> Leases:
    made = Leases()
    for name, amount in granted.items():
        made.granted({"acme": ACME, "bob": BOB}[name], amount)
    return made


def shown(slot: Slot | None) -> tuple[int, int] | None:
    return (slot.free, slot.held) if slot else None


def test_a_call_holds_its_worst_case_in_every_account_or_in_none() -> None:
    house = leases(acme=100, bob=10)
    assert house.hold("call-1", [ACME, BOB], 8) == []
    assert house.hold("call-2", [ACME, BOB], 8) == [BOB]
    assert shown(house.slot(ACME)) == (92, 8)
    assert shown(house.slot(BOB)) == (2, 8)


def test_what_a_call_did_not_cost_is_free_again_at_once() -> None:
    house = leases(acme=10)
    house.hold("call-1", [ACME], 10)
    assert house.settle("call-1", 4) == Settled((ACME,), 4, 0)
    assert shown(house.slot(ACME)) == (6, 0)
    with pytest.raises(NotOpen):
        house.settle("call-1", 4)


def test_what_went_beyond_its_hold_is_told_and_never_hidden() -> None:
    house = leases(acme=10)
    house.hold("call-1", [ACME], 6)
    assert house.settle("call-1", 9) == Settled((ACME,), 6, 3)
    assert shown(house.slot(ACME)) == (4, 0)


def test_a_broken_stream_stays_held_until_its_figure_comes() -> None:
    house = leases(acme=10)
    house.hold("call-1", [ACME], 8)
    assert house.settle_part("call-1", 3) == Settled((ACME,), 3, 0)
    assert shown(house.slot(ACME)) == (2, 5)
    assert house.settle("call-1", 4) == Settled((ACME,), 1, 0)
    assert shown(house.slot(ACME)) == (6, 0)


def test_asking_twice_for_the_same_call_holds_once() -> None:
    house = leases(acme=10)
    assert house.hold("call-1", [ACME], 6) == house.hold("call-1", [ACME], 6) == []
    assert shown(house.slot(ACME)) == (4, 6)


def test_only_what_was_never_promised_goes_back() -> None:
    house = leases(acme=10)
    house.hold("call-1", [ACME], 3)
    assert house.give_back(ACME) == 7
    assert house.give_back(ACME) == house.give_back(BOB) == 0
    assert shown(house.slot(ACME)) == (0, 3)


def test_what_is_all_spent_is_forgotten() -> None:
    house = leases(acme=10)
    house.hold("call-1", [ACME], 10)
    house.settle("call-1", 10)
    assert house.slot(ACME) is None


@pytest.mark.parametrize(("amount", "per_second", "wanted"), [(5, 0, 320), (5, 1_000, 90_000), (5_000, 1_000, 320_000)])
def test_a_slice_lasts_a_while(amount: int, per_second: int, wanted: int) -> None:
    assert slice_wanted(amount, per_second=per_second) == wanted


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["grant", "hold", "settle", "part", "back"]),
        st.integers(0, 5),
        st.integers(0, 40),
        st.sampled_from([(ACME,), (BOB,), (ACME, BOB)]),
    ),
    max_size=60,
)


@given(ACTS)
def test_a_lease_is_never_more_nor_less_than_was_granted(acts: list[tuple[str, int, int, tuple[int, ...]]]) -> None:
    house = Leases()
    granted = dict.fromkeys((ACME, BOB), 0)

    def spend(said: Settled) -> None:
        for account in said.accounts:
            granted[account] -= said.spent

    for act, call, amount, accounts in acts:
        name = f"call-{call}"
        if act == "grant":
            for account in accounts:
                house.granted(account, amount)
                granted[account] += amount
        elif act == "hold":
            house.hold(name, accounts, amount)
        elif act == "back":
            granted[accounts[0]] -= house.give_back(accounts[0])
        elif name in house.holds and act == "settle":
            spend(house.settle(name, amount))
        elif name in house.holds and act == "part":
            spend(house.settle_part(name, amount))
        for account, total in granted.items():
            slot = house.slot(account)
            assert (slot.free + slot.held if slot else 0) == total
            if slot:
                assert min(slot.free, slot.held) >= 0
                assert slot.held == sum(hold.amount for hold in house.holds.values() if account in hold.accounts)
