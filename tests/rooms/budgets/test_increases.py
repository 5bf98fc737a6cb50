"""More for a while, and money moved between budgets."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops.audit.models import AuditEvent
from finops.budgets.models import Budget
from finops.budgets.rules import Matcher
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.selectors import terms_of
from finops.budgets.services import accounts
from finops.budgets.services.increases import (
    MOST_WAITING_EACH,
    Decided,
    NotEnough,
    TooManyWaiting,
    ask_increase,
    decide_increase,
    transfer,
    withdraw_increase,
)
from finops.budgets.types import Call
from finops.core.actors import system
from tests.factories.budgets import budget, standing
from tests.factories.ledger import AT, PRICE, Book, event
from tests.factories.orgs import HOUSE


@pytest.fixture
def cap(book: Book) -> Budget:
    made = budget(book.organization.id, "1", at=AT)
    book.take(event("one", occurred_at=AT))
    return made


def ask(cap: Budget, amount: str = "2", **given: Any) -> int:
    return ask_increase(
        organization_id=cap.organization_id, budget_id=cap.id, amount=Decimal(amount), by=HOUSE, at=AT, **given
    ).id


def decide(cap: Budget, increase_id: int, *, approve: bool) -> None:
    decide_increase(organization_id=cap.organization_id, increase_id=increase_id, approve=approve, by=HOUSE, at=AT)


def test_an_increase_counts_once_it_is_approved_and_until_it_is_over(cap: Budget) -> None:
    asked = ask(cap, expires_at=AT + timedelta(hours=2))
    assert standing(cap, AT).limit_amount == 1
    decide(cap, asked, approve=True)
    assert standing(cap, AT).limit_amount == 3
    later = AT + timedelta(hours=3)
    assert [accounts.follow_increases(since=AT, at=later) for _ in range(2)] == [1, 1]
    found = standing(cap, AT)
    assert (found.limit_amount, found.observed) == (Decimal(1), PRICE)


def test_what_was_refused_or_withdrawn_counts_nothing_and_is_decided_once(cap: Budget) -> None:
    refused, withdrawn = ask(cap), ask(cap)
    decide(cap, refused, approve=False)
    withdraw_increase(organization_id=cap.organization_id, increase_id=withdrawn, by=HOUSE, at=AT)
    for one in (refused, withdrawn):
        with pytest.raises(Decided):
            decide(cap, one, approve=True)
    assert standing(cap, AT).limit_amount == 1
    verbs = AuditEvent.objects.filter(subject_kind="increase").values_list("verb", flat=True)
    assert set(verbs) == {"budget.increase_asked", "budget.increase_refused", "budget.increase_withdrawn"}


def test_an_increase_is_over_with_its_period_at_the_latest(cap: Budget) -> None:
    asked = ask(cap, expires_at=AT + timedelta(days=90))
    decide(cap, asked, approve=True)
    december = AT + timedelta(days=30)
    wanted = Matcher([terms_of(cap)], {}).accounts(Call(), december)
    accounts.open_accounts(organization_id=cap.organization_id, wanted=wanted, at=december)
    assert standing(cap, december).limit_amount == 1


@pytest.mark.parametrize("amount", ["0", "-1", "NaN"])
def test_nobody_asks_for_nothing(cap: Budget, amount: str) -> None:
    with pytest.raises(BudgetInvalid):
        ask(cap, amount)


def test_one_who_asks_without_end_keeps_nobody_else_from_asking(cap: Budget) -> None:
    first, *_ = [ask(cap) for _ in range(MOST_WAITING_EACH)]
    with pytest.raises(TooManyWaiting):
        ask(cap)
    ask_increase(
        organization_id=cap.organization_id, budget_id=cap.id, amount=Decimal(1), by=system("somebody else"), at=AT
    )
    decide(cap, first, approve=False)
    ask(cap)


def test_money_moves_between_budgets_and_their_sum_stays(cap: Budget) -> None:
    other = budget(cap.organization_id, "5", scope={"model": ("gpt-mini",)}, at=AT)
    move: dict[str, Any] = {
        "organization_id": cap.organization_id,
        "source": (cap.id, ""),
        "target": (other.id, ""),
        "by": HOUSE,
    }
    transfer(**move, amount=Decimal("0.4"), at=AT)
    assert (standing(cap, AT).limit_amount, standing(other, AT).limit_amount) == (Decimal("0.6"), Decimal("5.4"))
    decide(cap, ask(cap, "3"), approve=True)
    with pytest.raises(NotEnough):
        transfer(**move, amount=Decimal("0.59"), at=AT)
    assert standing(cap, AT).limit_amount == Decimal("3.6")
