"""Caps as pages: made after a dry run, changed, excepted, moved between, archived; and what each of it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from finops.budgets.models import Budget, BudgetException, Transfer
from finops.budgets.services.budgets import set_exception
from finops.budgets.types import Enforcement, Period
from finops.connectors.types import Dimensions
from tests.factories.budgets import budget, standing
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import HOUSE
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def company(db: None) -> Company:
    """An hour ago Bob of Search made three calls of $0.0045, and Alice one."""
    made = empty_company(datetime.now(UTC).replace(microsecond=0))
    cast = made.cast
    bob, alice = Dimensions(person=cast.bob.slug, team=cast.search.slug), Dimensions(person=cast.alice.slug)
    then = made.at - timedelta(minutes=1)
    book(made, [event(number, then, dimensions=alice if number == 3 else bob) for number in range(4)])
    return made


def accounts(alice: Client, row: Budget) -> list[str]:
    return [one.name for one in alice.get(at("cap", budget_id=row.id)).context["gauges"]]


def said(**changes: str) -> dict[str, str]:
    """Half a cent a day for each person, hard."""
    return {
        "name": "Each person, a day",
        "limit": "0.005",
        "period": "day",
        "each": "person",
        "timezone": "UTC",
        "enforcement": "hard",
        "thresholds": "50, 80",
        "act": "preview",
        **changes,
    }


def test_a_cap_tells_whom_it_would_have_stopped_before_it_is_saved(company: Company, alice: Client) -> None:
    told = alice.post(at("cap_add"), said())
    assert not Budget.objects.exists()
    [(name, stopped)] = told.context["told"].stops
    assert (name, stopped.calls, stopped.beyond) == ("Bob", 2, Decimal("0.009"))
    assert "would have been reached" in text_of(told)

    saved = text_of(alice.post(at("cap_add"), said(act="save"), follow=True))
    assert "Bob" in saved
    row = Budget.objects.get()
    assert (row.each, row.period, row.thresholds) == ("person", "day", [50, 80])
    assert AuditEvent.objects.filter(verb="budget.created", actor__startswith="user:").count() == 1
    page = alice.get(at("caps")).context["rows"]
    assert [(one.name, one.tone) for one in page[0].gauges] == [("Bob", "bad"), ("Alice", "warn")]


@pytest.mark.parametrize("period", ["month", "total"])
def test_the_dry_run_looks_thirty_days_back_whatever_the_period(company: Company, alice: Client, period: str) -> None:
    before = company.at - timedelta(days=26)
    mine = Dimensions(person=company.cast.alice.slug)
    book(company, [event(number, before, dimensions=mine) for number in range(10, 14)])
    told = alice.post(at("cap_add"), said(period=period)).context["told"]
    assert {name for name, _ in told.stops} == {"Alice", "Bob"}
    sessions = alice.post(at("cap_add"), said(period="session", each="session"))
    assert sessions.context["told"].stops == ()


def test_a_scope_is_typed_by_short_names(company: Company, alice: Client) -> None:
    alice.post(at("cap_add"), said(act="save", each="", team="search, chat", model="gpt-4o"))
    row = Budget.objects.get()
    cast = company.cast
    assert row.scope == {"team": sorted([str(cast.search.id), str(cast.chat.id)]), "model": ["gpt-4o"]}
    assert "Model gpt-4o; Team Search, Chat" in text_of(alice.get(at("caps")))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"team": "no-such-team"}, "no-such-team"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"period": "session"}, "lasts as long as the session"),
        ({"thresholds": "half"}, "whole percentages"),
        ({"thresholds": "5000"}, "from 1 to 1000"),
        ({"limit": "-1"}, "greater than or equal to 0"),
        ({"limit": "nan"}, "Enter a number"),
        ({"period": "total", "rollover": "5"}, "nothing follows"),
        ({"provider": "a\0b"}, "Null characters"),
        ({"name": " "}, "required"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(company: Company, alice: Client, changes: dict[str, str], says: str) -> None:
    for act in ("preview", "save"):
        answer = alice.post(at("cap_add"), said(**{**changes, "act": act}))
        assert answer.status_code == 422
        assert says.lower() in str(answer.context["form"].errors).lower()
    assert not Budget.objects.exists()


def test_a_cap_is_changed_and_its_history_tells(company: Company, alice: Client) -> None:
    row = budget(company.cast.acme.id, "0.02", at=company.at, name="Everything")
    page = at("cap_change", budget_id=row.id)
    assert 'value="0.02"' in text_of(alice.get(page))
    alice.post(page, {"name": "All of it", "limit": "0.03", "enforcement": "alert", "thresholds": "90"})
    row.refresh_from_db()
    assert (row.name, row.limit_amount, row.enforcement, row.thresholds) == (
        "All of it",
        Decimal("0.03"),
        "alert",
        [90],
    )
    told = text_of(alice.get(at("cap", budget_id=row.id)))
    assert "limit: 0.02 to 0.03" in told
    assert "Tells somebody when a threshold is passed" in told
    assert standing(row, company.at).spent == Decimal("0.018")


def test_an_exception_is_made_and_removed(company: Company, alice: Client) -> None:
    row = budget(company.cast.acme.id, "1", at=company.at, each="person")
    alice.post(at("cap_exception", budget_id=row.id), {"subject": "bob", "limit": "7", "note": "For the migration"})
    page = text_of(alice.get(at("cap", budget_id=row.id)))
    assert "For the migration" in page
    assert "$7.00" in page
    assert "Bob" in accounts(alice, row)
    alice.post(at("cap_exception", budget_id=row.id), {"subject": "bob", "limit": "", "note": "Let off"})
    assert accounts(alice, row) == ["Alice"]
    assert "Bob: not concerned" in text_of(alice.get(at("cap", budget_id=row.id)))
    unknown = alice.post(at("cap_exception", budget_id=row.id), {"subject": "nobody-here", "limit": "7"})
    assert (unknown.status_code, "nobody-here" in text_of(unknown)) == (422, True)
    alice.post(at("cap_exception_end", exception_id=BudgetException.objects.get().id))
    assert not BudgetException.objects.exists()
    alike = budget(company.cast.acme.id, "1", at=company.at)
    assert alice.get(at("cap_exception", budget_id=alike.id)).status_code == 404


def test_money_is_moved_to_another_cap(company: Company, alice: Client) -> None:
    acme, cast = company.cast.acme.id, company.cast
    whole = budget(acme, "5", at=company.at, name="Everything")
    each = budget(acme, "1", at=company.at, name="Each person", each="person")
    page = at("cap_transfer", budget_id=whole.id)
    much = alice.post(page, {"target": str(each.id), "to": "bob", "amount": "6"})
    assert (much.status_code, "left to move" in text_of(much)) == (422, True)
    nobody = alice.post(page, {"target": str(each.id), "to": "", "amount": "1"})
    assert nobody.status_code == 422
    alice.post(page, {"target": str(each.id), "to": "bob", "amount": "2", "reason": "Bob needs it"})
    assert Transfer.objects.get().target_subject == str(cast.bob.id)
    assert standing(each, company.at, str(cast.bob.id)).limit_amount == 3
    assert standing(whole, company.at).limit_amount == 3


def test_an_archived_cap_is_out_of_the_list_and_can_still_be_read(company: Company, alice: Client) -> None:
    row = budget(company.cast.acme.id, at=company.at, name="Old cap")
    alice.post(at("cap_archive", budget_id=row.id))
    assert "Old cap" not in text_of(alice.get(at("caps")))
    assert "Old cap" in text_of(alice.get(at("caps"), {"archived": "1"}))
    page = text_of(alice.get(at("cap", budget_id=row.id)))
    assert "archived" in page
    assert at("cap_change", budget_id=row.id) not in page
    again = alice.post(at("cap_archive", budget_id=row.id))
    assert (again.status_code, "was archived" in text_of(again)) == (422, True)


def test_periods_that_are_over_are_kept_the_fullest_first(company: Company, alice: Client) -> None:
    before = company.at - timedelta(days=2)
    row = budget(company.cast.acme.id, "0.01", at=before, name="A day", period=Period.DAY, each="person")
    bob = Dimensions(person=company.cast.bob.slug)
    days = (before, before, before, before + timedelta(days=1))
    book(company, [event(number, day, dimensions=bob) for number, day in enumerate(days, 20)])
    page = alice.get(at("cap", budget_id=row.id))
    assert [(one.name, one.row.spent) for one in page.context["past"]] == [
        ("Bob", 3 * Decimal("0.0045")),
        ("Bob", Decimal("0.0045")),
    ]
    assert "Periods before" in text_of(page)


def test_more_caps_ask_no_more_questions(company: Company, alice: Client) -> None:
    cast = company.cast

    def add(number: int) -> None:
        scope = {"team": (str(cast.search.id),), "person": (str(cast.bob.id),)}
        row = budget(cast.acme.id, at=company.at, name=f"Cap {number}", each="person", scope=scope)
        budget(cast.acme.id, at=company.at, name=f"All {number}", period=Period.WEEK, enforcement=Enforcement.ALERT)
        for person in (cast.bob, cast.alice):
            set_exception(
                organization_id=cast.acme.id, budget_id=row.id, subject=str(person.id), limit_amount=None, by=HOUSE,
                at=company.at,
            )  # fmt: skip

    add(0)
    first = Budget.objects.earliest("id").id
    pages = {
        at("caps"): 16, at("cap", budget_id=first): 20, at("headroom"): 15, at("increases"): 11, at("overview"): 56,
    }  # fmt: skip

    def asked(url: str) -> int:
        alice.get(url)
        with CaptureQueriesContext(connection) as queries:
            alice.get(url)
        return len(queries)

    before: dict[str, Any] = {url: asked(url) for url in pages}
    assert all(before[url] <= most for url, most in pages.items()), before
    for number in range(1, 5):
        add(number)
    assert {url: asked(url) for url in pages} == before
