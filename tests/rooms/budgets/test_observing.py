"""However spend changes, every account concerned knows: what came before the budget, and all that comes after."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from finops.budgets.services.budgets import archive_budget, change_budget, set_exception
from finops.budgets.services.leases import fold_observed
from finops.budgets.types import Enforcement, Period
from finops.connectors.types import Dimensions, UsageEvent
from tests.factories.budgets import budget, standing
from tests.factories.ledger import AT, PRICE, Book, event, rows
from tests.factories.orgs import HOUSE, Cast

TODAY = AT - timedelta(hours=2)


def now(external_id: str, **given: Any) -> UsageEvent:
    return event(external_id, occurred_at=TODAY, **given)


def test_what_was_spent_before_a_budget_counts_and_so_does_what_comes_after(book: Book) -> None:
    book.take(event("october"), now("early"))
    cap = budget(book.organization.id, at=book.now())
    assert standing(cap, AT).observed == PRICE
    book.take(now("late"), now("late"), event("october late"))
    assert standing(cap, AT).observed == 2 * PRICE


def test_a_duplicate_a_conflict_and_a_reversal_are_told_as_the_ledger_tells_them(book: Book) -> None:
    cap = budget(book.organization.id, at=book.now())
    book.take(now("one"), now("two"))
    book.take(now("one"), now("two", model="gpt-mini"))
    assert standing(cap, AT).observed == 2 * PRICE
    book.reverse(*book.standing()[:1])
    assert standing(cap, AT).observed == PRICE


def test_a_source_that_revises_itself_moves_what_was_observed(book: Book) -> None:
    cap = budget(book.organization.id, at=book.now())
    book.take(now("bucket"), source="report", revises=True)
    book.take(now("bucket", model="gpt-mini"), source="report", revises=True)
    ((spent,),) = rows("SELECT sum(reporting_cost) FROM ledger_charge")
    assert standing(cap, AT).observed == spent == PRICE / 10


def test_each_person_has_an_account_from_the_first_call_on(book: Book, cast: Cast) -> None:
    cap = budget(book.organization.id, each="person", at=book.now())
    assert rows("SELECT count(*) FROM budgets_account") == [(0,)]
    book.take(
        now("bob", dimensions=Dimensions(person=cast.bob.slug)),
        now("bob again", dimensions=Dimensions(person=cast.bob.slug)),
        now("nobody"),
    )
    assert standing(cap, AT, str(cast.bob.id)).observed == 2 * PRICE
    assert standing(cap, AT, "0").observed == PRICE


def test_a_team_s_budget_counts_the_teams_below_it_also_once_they_are_moved_there(book: Book, cast: Cast) -> None:
    cap = budget(book.organization.id, scope={"team": (str(cast.search.id),)}, at=book.now())
    book.take(now("search", dimensions=Dimensions(team="search")), now("chat", dimensions=Dimensions(team="chat")))
    assert standing(cap, AT).observed == PRICE
    cast.chat.parent = cast.search
    cast.chat.save()
    book.take(now("chat below", dimensions=Dimensions(team="chat")))
    assert standing(cap, AT).observed == 2 * PRICE


def test_a_model_a_session_and_a_day_of_their_own(book: Book) -> None:
    organization_id, at = book.organization.id, book.now()
    mini = budget(organization_id, scope={"model": ("gpt-mini",)}, at=at)
    sessions = budget(organization_id, period=Period.SESSION, each="session", starts_at=AT - timedelta(days=1), at=at)
    daily = budget(organization_id, period=Period.DAY, timezone="Asia/Kolkata", at=at)
    book.take(now("one", session="s-1"), now("two", session="s-1", model="gpt-mini"), event("then", session="s-1"))
    assert standing(mini, AT).observed == PRICE / 10
    assert standing(sessions, AT, "s-1").observed == PRICE + PRICE / 10
    assert standing(daily, AT).starts_at.isoformat() == "2026-10-31T18:30:00+00:00"


def test_a_limit_changes_and_what_was_spent_stays(book: Book) -> None:
    cap = budget(book.organization.id, each="person", at=book.now())
    book.take(now("one"))
    change_budget(
        organization_id=book.organization.id, budget_id=cap.id, limit_amount=Decimal(5),
        enforcement=Enforcement.ALERT, by=HOUSE, at=book.now(),
    )  # fmt: skip
    found = standing(cap, AT, "0")
    assert (found.limit_amount, found.observed) == (Decimal(5), PRICE)
    set_exception(
        organization_id=book.organization.id, budget_id=cap.id, subject="0", limit_amount=Decimal(9), by=HOUSE,
        at=book.now(),
    )  # fmt: skip
    assert standing(cap, AT, "0").limit_amount == 9


def test_who_is_let_off_is_not_counted_and_an_archived_budget_counts_nobody(book: Book) -> None:
    cap = budget(book.organization.id, each="person", at=book.now())
    whole = budget(book.organization.id, at=book.now())
    set_exception(
        organization_id=book.organization.id, budget_id=cap.id, subject="0", limit_amount=None, by=HOUSE, at=book.now()
    )
    archive_budget(organization_id=book.organization.id, budget_id=whole.id, by=HOUSE, at=book.now())
    book.take(now("one"))
    assert rows("SELECT count(*) FROM budgets_observed") == [(0,)]


def test_what_was_not_spent_is_carried_over_within_bounds(book: Book) -> None:
    cap = budget(book.organization.id, period=Period.DAY, rollover_amount=Decimal("0.995"), at=book.now())
    book.take(now("today"))
    tomorrow = AT + timedelta(days=1)
    book.at = tomorrow
    book.take(event("tomorrow", occurred_at=tomorrow))
    found = standing(cap, tomorrow)
    assert (found.carried, found.limit_amount) == (1 - PRICE, 2 - PRICE)


def test_folding_changes_nothing_that_can_be_seen(book: Book) -> None:
    cap = budget(book.organization.id, at=book.now())
    book.take(now("one"), now("two"))
    before = standing(cap, AT)
    assert fold_observed() == 1
    assert fold_observed() == 0
    assert standing(cap, AT) == before
