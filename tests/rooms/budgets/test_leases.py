"""Leases: the database gives out what is left, never more, and takes back what was not spent."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from finops.budgets.bank import Accounted, Standing, Want
from finops.budgets.models import Budget
from finops.budgets.selectors import terms_of
from finops.budgets.services import accounts
from finops.budgets.services.budgets import change_budget
from finops.budgets.services.leases import account_for, grant, register_holder
from finops.budgets.types import Account
from finops.core.money import PICO
from tests.factories.budgets import budget, standing
from tests.factories.ledger import AT, Book
from tests.factories.orgs import HOUSE


@pytest.fixture
def cap(book: Book) -> Budget:
    return budget(book.organization.id, "1", at=AT)


@pytest.fixture
def gateway(db: None) -> UUID:
    holder = uuid4()
    register_holder(holder_id=holder, name="gateway-1", at=AT)
    return holder


def opened(cap: Budget) -> int:
    wanted = [(terms_of(cap), Account(cap.id, "", cap.starts_at))]
    found = accounts.open_accounts(organization_id=cap.organization_id, wanted=wanted, at=AT)
    return int(next(iter(found.values())))


def ask(holder: UUID, account_id: int, least: int, most: int) -> Standing:
    (found,) = grant(holder_id=holder, wants=[Want(account_id, least * PICO // 100, most * PICO // 100)])
    return found


def cents(amount: int) -> int:
    return amount * (PICO // 100)


def test_a_lease_is_what_is_needed_and_of_the_rest_a_share(cap: Budget, gateway: UUID) -> None:
    account_id = opened(cap)
    assert ask(gateway, account_id, 60, 60).granted == cents(60)
    assert ask(gateway, account_id, 1, 40).granted == cents(5)
    assert ask(gateway, account_id, 35, 60).granted == cents(35)
    refused = ask(gateway, account_id, 1, 60)
    assert (refused.granted, refused.free, refused.leased) == (0, 0, cents(100))


def test_of_several_accounts_all_are_leased_or_none(cap: Budget, gateway: UUID) -> None:
    small = budget(cap.organization_id, "0.05", at=AT)
    first, second = opened(cap), opened(small)
    wants = [Want(first, cents(10), cents(10)), Want(second, cents(10), cents(10))]
    assert [one.granted for one in grant(holder_id=gateway, wants=wants)] == [0, 0]
    assert [one.granted for one in grant(holder_id=gateway, wants=[wants[0], Want(0, 1, 1)])] == [0]
    assert standing(cap, AT).leased == 0


def test_what_was_observed_leaves_less_to_lease(cap: Budget, gateway: UUID, book: Book) -> None:
    account_id = opened(cap)
    accounts.observe(
        organization_id=cap.organization_id, amounts={(terms_of(cap), Account(cap.id, "", cap.starts_at)): cents(70)},
        at=AT,
    )  # fmt: skip
    found = ask(gateway, account_id, 30, 60)
    assert (found.granted, found.observed) == (cents(30), cents(70))


def test_credits_do_not_lift_a_cap(cap: Budget, gateway: UUID) -> None:
    account_id = opened(cap)
    accounts.observe(
        organization_id=cap.organization_id, amounts={(terms_of(cap), Account(cap.id, "", cap.starts_at)): -cents(70)},
        at=AT,
    )  # fmt: skip
    assert ask(gateway, account_id, 100, 500).granted == cents(100)


def test_spent_becomes_authorised_and_the_rest_comes_back(cap: Budget, gateway: UUID) -> None:
    account_id = opened(cap)
    ask(gateway, account_id, 60, 60)
    account_for(holder_id=gateway, lines=[Accounted(account_id, cents(25), cents(15))])
    found = standing(cap, AT)
    assert (found.authorised, found.leased, found.left) == (Decimal("0.25"), Decimal("0.20"), Decimal("0.55"))


@pytest.mark.parametrize(("spent", "returned"), [(61, 0), (0, 61), (30, 31)])
def test_nobody_accounts_for_more_than_they_have(cap: Budget, gateway: UUID, spent: int, returned: int) -> None:
    account_id = opened(cap)
    ask(gateway, account_id, 60, 60)
    line = Accounted(account_id, cents(spent), cents(returned))
    with pytest.raises(DatabaseError), transaction.atomic():
        account_for(holder_id=gateway, lines=[line])
    with pytest.raises(DatabaseError), transaction.atomic():
        account_for(holder_id=uuid4(), lines=[Accounted(account_id, 0, 0)])
    assert standing(cap, AT).leased == Decimal("0.60")


def test_a_lower_limit_leaves_what_was_given_out_and_gives_no_more(cap: Budget, gateway: UUID) -> None:
    account_id = opened(cap)
    ask(gateway, account_id, 60, 60)
    change_budget(organization_id=cap.organization_id, budget_id=cap.id, limit_amount=Decimal("0.20"), by=HOUSE, at=AT)
    assert ask(gateway, account_id, 1, 1).granted == 0
    account_for(holder_id=gateway, lines=[Accounted(account_id, cents(5), cents(50))])
    assert ask(gateway, account_id, 10, 60).granted == cents(10)


def test_the_database_itself_refuses_to_pass_a_cap(cap: Budget) -> None:
    account_id = opened(cap)
    with pytest.raises(DatabaseError, match="never_over"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE budgets_account SET leased = 1.000000000001 WHERE id = %s", [account_id])
