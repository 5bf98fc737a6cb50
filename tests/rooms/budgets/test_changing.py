"""Budgets that are made, tried and changed: what may be said of them, and what becomes of their accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from finops.audit.models import AuditEvent
from finops.budgets.models import Increase
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.selectors import terms_of
from finops.budgets.services import accounts
from finops.budgets.services.budgets import Archived, archive_budget, change_budget, draft_terms
from finops.budgets.services.history import try_budget
from finops.budgets.services.increases import ask_increase, transfer
from finops.budgets.types import Account, Period
from tests.factories.budgets import budget, draft, standing
from tests.factories.ledger import AT, PRICE, Book, event
from tests.factories.orgs import HOUSE

DAY = timedelta(days=1)


def test_a_budget_does_not_end_before_its_period_began(book: Book) -> None:
    with pytest.raises(BudgetInvalid) as refused:
        budget(book.organization.id, ends_at=AT - DAY, at=AT)
    assert refused.value.field == "ends_at"


@pytest.mark.parametrize("year", [1999, 2201, 9999])
def test_a_budget_starts_and_ends_in_years_that_calendars_have(book: Book, year: int) -> None:
    far = datetime(year, 12, 31, tzinfo=UTC)
    with pytest.raises(BudgetInvalid):
        budget(book.organization.id, starts_at=far, at=AT)


@pytest.mark.parametrize("period", [Period.DAY, Period.TOTAL])
def test_a_draft_is_tried_on_all_of_the_days_not_on_its_present_period(book: Book, period: Period) -> None:
    for days in (10, 11):
        book.take(event(f"{days} days ago", occurred_at=AT - days * DAY))
    terms = draft_terms(organization_id=book.organization.id, draft=draft(str(PRICE / 2), period=period), at=book.now())
    found = try_budget(terms, days=30, at=AT)
    assert (found.stops, found.calls) == ({Period.DAY: 2, Period.TOTAL: 1}[period], 2)


@pytest.mark.parametrize("after", [timedelta(0), 2 * DAY], ids=["before it ended", "after it ended"])
def test_accounts_end_when_the_budget_does_now(book: Book, after: timedelta) -> None:
    cap = budget(book.organization.id, ends_at=AT + DAY, at=AT)
    book.take(event(occurred_at=AT))
    assert standing(cap, AT).ends_at == AT + DAY
    change_budget(
        organization_id=cap.organization_id,
        budget_id=cap.id,
        ends_at=AT + 9 * DAY,
        limit_amount=Decimal(2),
        by=HOUSE,
        at=AT + after,
    )
    later = standing(cap, AT + 5 * DAY)
    assert (later.ends_at, later.limit_amount, later.observed) == (AT + 9 * DAY, Decimal(2), PRICE)


def test_saying_again_what_is_so_is_no_change(book: Book) -> None:
    cap = budget(book.organization.id, at=AT)
    change_budget(organization_id=cap.organization_id, budget_id=cap.id, limit_amount=Decimal(1), by=HOUSE, at=AT)
    assert not AuditEvent.objects.filter(verb="budget.changed").exists()


def test_nobody_asks_or_moves_from_a_budget_that_was_archived(book: Book) -> None:
    cap, other = budget(book.organization.id, at=AT), budget(book.organization.id, at=AT)
    archive_budget(organization_id=cap.organization_id, budget_id=cap.id, by=HOUSE, at=AT)
    with pytest.raises(Archived):
        ask_increase(organization_id=cap.organization_id, budget_id=cap.id, amount=Decimal(1), by=HOUSE, at=AT)
    with pytest.raises(Archived):
        transfer(
            organization_id=cap.organization_id,
            source=(other.id, ""),
            target=(cap.id, ""),
            amount=Decimal("0.1"),
            by=HOUSE,
            at=AT,
        )


def test_what_is_asked_for_is_kept_in_ledger_places(book: Book) -> None:
    cap = budget(book.organization.id, at=AT)
    asked = ask_increase(
        organization_id=cap.organization_id, budget_id=cap.id, amount=Decimal("1.00000000000049"), by=HOUSE, at=AT
    )
    assert asked.amount == Increase.objects.get(id=asked.id).amount == Decimal(1)


def test_an_account_nobody_opened_stands_as_it_would_be_opened(book: Book) -> None:
    cap = budget(book.organization.id, "5", each="team", rollover_amount=Decimal(1), at=AT - 40 * DAY)
    wanted = [(terms_of(cap), Account(cap.id, "7", AT.replace(hour=0)))]
    told = accounts.standing(organization_id=cap.organization_id, wanted=wanted, at=AT)[wanted[0][1]]
    # October was not spent from either, so the dollar that may be carried over is.
    assert (told.id, told.limit_amount, told.carried, told.left) == (0, Decimal(6), Decimal(1), Decimal(6))
    opened = accounts.open_accounts(organization_id=cap.organization_id, wanted=wanted, at=AT)
    again = accounts.standing(organization_id=cap.organization_id, wanted=wanted, at=AT)[wanted[0][1]]
    assert again == told._replace(id=opened[wanted[0][1]])
