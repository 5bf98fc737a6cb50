"""Two gateways at their desks, with the real database between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from psycopg import OperationalError

from finops.budgets import bank
from finops.budgets.bank import Accounted, Bank, Standing, Want
from finops.budgets.desk import Allowed, Desk, Refused
from finops.budgets.lines import Busy
from finops.budgets.models import Budget
from finops.budgets.rules.worst import Worst
from finops.budgets.selectors import terms_of
from finops.budgets.services import accounts
from finops.budgets.services.budgets import change_budget
from finops.budgets.services.leases import account_for
from finops.budgets.types import Account
from finops.core.money import from_pico, to_pico
from tests.factories.budgets import ACCOUNTS, budget, database_address, impatient_address, in_the_way, standing
from tests.factories.ledger import AT
from tests.factories.orgs import HOUSE, Cast, the_cast
from tests.waiting import until

Open = Callable[[str], Desk]
# Waits for no lock longer than a moment.
IMPATIENT = "gateway-in-a-hurry"


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return the_cast()


@pytest.fixture
def cap(cast: Cast) -> Budget:
    """A hundred picodollars."""
    return budget(cast.acme.id, str(from_pico(100)), at=AT)


@pytest.fixture
def desk(cast: Cast) -> Iterator[Open]:
    opened = []

    def opens(name: str) -> Desk:
        made = Desk(Bank(impatient_address() if name == IMPATIENT else database_address(), uuid4(), name))
        opened.append(made)
        return made

    yield opens
    for one in opened:
        one.close()


def opened(cap: Budget) -> int:
    wanted = [(terms_of(cap), Account(cap.id, "", cap.starts_at))]
    found = accounts.open_accounts(organization_id=cap.organization_id, wanted=wanted, at=AT)
    return int(next(iter(found.values())))


def lowered(cap: Budget, limit: int) -> None:
    change_budget(organization_id=cap.organization_id, budget_id=cap.id, limit_amount=from_pico(limit), by=HOUSE, at=AT)


def end_connections(last_said: str = "%") -> None:
    """As a restart of the database does: all but the test's own, where they last said such a thing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s",
            [last_said],
        )


def worst(fixed: int, per_output: int = 0, output: int = 0) -> Worst:
    return Worst(fixed, per_output, output, "USD")


def test_calls_are_allowed_up_to_the_cap_and_what_they_did_not_cost_is_there_for_the_next(
    cap: Budget, desk: Open
) -> None:
    account, house = opened(cap), desk("gateway-1")
    assert house.authorize("call-1", [account], worst(60)) == Allowed(60, 0)
    refused = house.authorize("call-2", [account], worst(60))
    assert isinstance(refused, Refused)
    assert [one.account_id for one in refused.short] == [account]
    house.settle("call-1", 30)
    assert house.authorize("call-2", [account], worst(60)) == Allowed(60, 0)
    assert house.authorize("call-2", [account], worst(60)) == Allowed(60, 0)


def test_less_output_is_offered_before_a_call_is_refused(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    assert house.authorize("call-1", [account], worst(10, 3, 1_000)) == Allowed(100, 30)
    house.void("call-1")
    assert isinstance(house.authorize("call-2", [account], worst(10, 3, 1_000), least_output=31), Refused)


def test_asking_again_for_a_call_gives_the_first_answer_and_holds_no_more(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    house.authorize("call-0", [account], worst(60))
    first = house.authorize("call-1", [account], worst(10, 3, 20))
    assert first == Allowed(40, 10)
    house.void("call-0")
    assert house.authorize("call-1", [account], worst(10, 3, 20)) == first
    assert house.leased()[account] == (60, 40)
    house.settle("call-1", 40)
    assert house.authorize("call-1", [account], worst(10, 3, 20)) == first
    assert house.leased()[account] == (60, 0)


def test_a_call_that_waits_for_money_keeps_no_other_waiting(cast: Cast, cap: Budget, desk: Open) -> None:
    rich = opened(budget(cast.acme.id, "1", at=AT))
    account, house, other = opened(cap), desk("gateway-1"), desk("gateway-2")
    other.authorize("theirs", [account], worst(100))
    began = threading.Event()
    recall = house._bank.recall

    def recalls(accounts: Sequence[int]) -> bool:
        began.set()
        return recall(accounts)

    house._bank.recall = recalls  # type: ignore[method-assign]
    waiting = threading.Thread(target=house.authorize, args=("poor", [account], worst(50)))
    waiting.start()
    began.wait()
    assert house.authorize("rich", [rich], worst(50)) == Allowed(50, 0)
    assert waiting.is_alive()
    waiting.join()


def test_connections_that_the_database_closed_are_made_anew_and_no_call_notices(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    end_connections()
    assert house.authorize("call-1", [account], worst(60)) == Allowed(60, 0)
    assert not house.in_doubt


def test_what_was_under_way_when_the_connection_was_lost_is_not_tried_again(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    with pytest.raises(OperationalError), house._bank._cursor() as cursor:
        end_connections()
        cursor.execute("SELECT 1")
    assert house.authorize("call-1", [account], worst(60)) == Allowed(60, 0)


def test_while_others_are_in_the_way_nothing_is_granted_and_nothing_is_in_doubt(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk(IMPATIENT)
    with in_the_way(ACCOUNTS), pytest.raises(Busy):
        house.authorize("call-1", [account], worst(60))
    assert not house.in_doubt
    assert house.authorize("call-1", [account], worst(60)) == Allowed(60, 0)


def test_what_others_kept_from_being_given_back_is_in_doubt(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk(IMPATIENT)
    house.authorize("call-1", [account], worst(60))
    house.settle("call-1", 5)
    with in_the_way(ACCOUNTS), pytest.raises(Busy):
        house.give_back()
    assert house.leased() == {}
    assert house.in_doubt


def test_who_is_in_the_way_once_is_waited_for_again(cap: Budget, desk: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    account, house = opened(cap), desk(IMPATIENT)
    really, turns = bank.grant, []

    def grants(*given: Any) -> list[Standing]:
        turns.append(given)
        if len(turns) == 2:
            other.rollback()
        return really(*given)

    monkeypatch.setattr(bank, "grant", grants)
    with in_the_way(ACCOUNTS) as other:
        assert house.authorize("call-1", [account], worst(60)) == Allowed(60, 0)
    assert len(turns) == 2


def test_a_recall_is_heard_whatever_connection_it_comes_by(cap: Budget, desk: Open) -> None:
    account, first, second = opened(cap), desk("gateway-1"), desk("gateway-2")
    first.authorize("call-1", [account], worst(90))
    first.settle("call-1", 5)
    # After a restart of the database another's connection may have the number that one of ours had.
    second._bank._free.put(first._bank._free.get())
    first._bank._free.put(None)
    assert second.authorize("call-2", [account], worst(95)) == Allowed(95, 0)


def test_a_limit_that_was_lowered_while_nothing_was_heard_is_made_up_for(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    house.authorize("call-1", [account], worst(60))
    house.settle("call-1", 5)
    assert house.leased()[account] == (55, 0)
    end_connections("LISTEN%")
    lowered(cap, 20)
    until(lambda: to_pico(standing(cap, AT).leased) == 5)
    assert house.authorize("call-2", [account], worst(15)) == Allowed(15, 0)


def test_money_that_lies_idle_elsewhere_is_called_home(cap: Budget, desk: Open) -> None:
    account, first, second = opened(cap), desk("gateway-1"), desk("gateway-2")
    first.authorize("call-1", [account], worst(90))
    first.settle("call-1", 5)
    assert second.authorize("call-2", [account], worst(95)) == Allowed(95, 0)
    assert account not in first.leased()


def test_what_calls_give_free_under_a_lowered_limit_is_not_used_again_before_there_is_room(
    cap: Budget, desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, house = opened(cap), desk("gateway-1")
    house.authorize("long", [account], worst(60))
    house.authorize("longer", [account], worst(40))
    lowered(cap, 30)
    house._recalled([account])
    house.settle("long", 10)
    account_for = house._bank.account_for

    def meanwhile_another_ends(lines: Sequence[Accounted]) -> None:
        account_for(lines)
        if house.held("longer"):
            house.settle("longer", 0)

    monkeypatch.setattr(house._bank, "account_for", meanwhile_another_ends)
    assert isinstance(house.authorize("next", [account], worst(30)), Refused)
    assert house.authorize("smaller", [account], worst(20)) == Allowed(20, 0)


def test_an_answer_that_is_older_than_a_recall_is_good_for_the_call_that_asked_and_for_no_other(
    cap: Budget, desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, house = opened(cap), desk("gateway-1")
    lowered(cap, 1_000)
    grant = house._bank.grant

    def meanwhile_the_limit_falls(wants: Sequence[Want]) -> list[Standing]:
        answered = grant(wants)
        monkeypatch.undo()
        lowered(cap, 15)
        house._recalled([account])
        return answered

    monkeypatch.setattr(house._bank, "grant", meanwhile_the_limit_falls)
    assert house.authorize("first", [account], worst(10)) == Allowed(10, 0)
    assert house.leased()[account] > (10, 10)
    assert house.at_once("second", [account], worst(10)) is None
    assert isinstance(house.authorize("second", [account], worst(10)), Refused)
    assert house.authorize("third", [account], worst(5)) == Allowed(5, 0)


def test_what_was_observed_and_not_yet_added_counts_when_a_limit_is_lowered(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    house.authorize("call-1", [account], worst(60))
    house.settle("call-1", 5)
    amounts = {(terms_of(cap), Account(cap.id, "", cap.starts_at)): 30}
    accounts.observe(organization_id=cap.organization_id, amounts=amounts, at=AT)
    lowered(cap, 70)
    until(lambda: to_pico(standing(cap, AT).leased) == 5)


def test_what_a_call_gives_free_that_another_process_held_is_not_used_again_beyond_a_lowered_limit(
    cap: Budget, desk: Open
) -> None:
    account, dead, house = opened(cap), desk("gateway-1"), desk("gateway-2")
    said = dead.authorize("call-1", [account], worst(60))
    assert isinstance(said, Allowed)
    lowered(cap, 20)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT budgets_adopt(%s, %s, ARRAY[%s::bigint], ARRAY[%s::numeric], ARRAY[0::numeric])",
            [dead._bank.holder_id, house._bank.holder_id, account, from_pico(60)],
        )
    house.adopt("call-1", [account], said, charged=0)
    house.settle("call-1", 10)
    assert isinstance(house.authorize("call-2", [account], worst(30)), Refused)
    assert house.authorize("call-3", [account], worst(10)) == Allowed(10, 0)


def test_a_call_that_costs_nothing_is_allowed_whatever_was_called_home(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    house.authorize("long", [account], worst(60))
    house._recalled([account])
    assert house.at_once("free", [account], worst(0)) == Allowed(0, 0)


def test_two_who_each_have_half_of_what_each_needs(cap: Budget, desk: Open) -> None:
    account = opened(cap)
    houses = [desk("gateway-1"), desk("gateway-2")]
    for n, house in enumerate(houses):
        house.authorize(f"early-{n}", [account], worst(50))
        house.void(f"early-{n}")
    said: list[Allowed | Refused] = []
    threads = [
        threading.Thread(
            target=lambda n=n, house=house: said.append(house.authorize(f"late-{n}", [account], worst(80)))
        )
        for n, house in enumerate(houses)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in said) == ["Allowed", "Refused"]


def test_what_was_spent_stays_leased_until_the_ledger_has_it(cap: Budget, desk: Open) -> None:
    account, house = opened(cap), desk("gateway-1")
    house.authorize("call-1", [account], worst(60))
    house.settle("call-1", 40)
    house.give_back()
    assert to_pico(standing(cap, AT).leased) == 40
    account_for(holder_id=house._bank.holder_id, lines=[Accounted(account, 40, 0)])
    found = standing(cap, AT)
    assert (to_pico(found.authorised), to_pico(found.leased)) == (40, 0)
    assert house.leased() == {}


def test_an_account_nobody_opened_is_refused(desk: Open) -> None:
    assert isinstance(desk("gateway-1").authorize("call-1", [2**40], worst(1)), Refused)
