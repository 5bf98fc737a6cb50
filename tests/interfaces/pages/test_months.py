"""Months as finance sees them: the list, the checklist, the statement, what came since, and what changed it."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboards.templatetags.figures import money
from finops.audit.models import AuditEvent
from finops.core.periods import month_start, months_on
from finops.months import rules, selectors
from finops.months.models import Closing
from finops.orgs.models import Membership
from tests.factories.company import Company
from tests.factories.ledger import Book, event
from tests.factories.orgs import the_cast
from tests.factories.pricing import counts
from tests.interfaces.pages.conftest import at, text_of

WHY = {"reason": "the rest is small"}


@pytest.fixture
def last(company: Company) -> date:
    """The month that is over, of which the company has some days at least: it began forty days ago."""
    return months_on(month_start(company.at.date()), -1)


@pytest.fixture
def book(company: Company) -> Book:
    return Book(company.cast.acme, at=company.at)


def seen(client: Client, name: str = "months", **given: Any) -> str:
    query = given.pop("query", {})
    return html.unescape(text_of(client.get(at(name, **given), query)))


def month(of: date) -> dict[str, str]:
    return {"month": rules.written(of)}


def late(book: Book, last: date, name: str, **given: Any) -> None:
    """A call of the month's last day, at a price that is known."""
    when = book.at.replace(year=last.year, month=last.month, day=28)
    book.take(event(name, occurred_at=when, provider="anthropic", model="claude-sonnet-4-5", **given), source="late")


def test_before_any_month_is_over_the_page_says_when(db: None, cast_alice: Client) -> None:
    page = seen(cast_alice)
    assert "No month is over yet" in page
    assert "Close</a>" not in page


@pytest.fixture
def cast_alice(browser: Callable[..., Client]) -> Client:
    return browser(the_cast().alice_login)


def test_a_month_is_closed_by_its_form_and_says_who_is_charged(company: Company, alice: Client, last: date) -> None:
    page = seen(alice, "month", **month(last))
    assert "Before it is closed" in page
    assert "Spend that belongs to nobody" in page
    [href] = re.findall(r'href="([^"]+)" aria-label="Spend that belongs to nobody', page)
    assert alice.get(href).status_code == 200
    form = alice.get(at("month_close", **month(last)))
    assert "Still open: " in html.unescape(text_of(form))
    assert alice.post(at("month_close", **month(last)), {"reason": ""}).status_code == 422
    assert not Closing.objects.exists()
    answer = alice.post(at("month_close", **month(last)), WHY)
    assert answer["Location"] == at("month", **month(last))
    row = Closing.objects.get()
    page = seen(alice, "month", **month(last))
    assert f"Because: {WHY['reason']}" in page
    assert "Open when it was closed" in page
    assert "by Alice" in page
    # What is shown adds up to the statement.
    for by in ("team", "project", "person"):
        own = alice.get(at("month", **month(last)), {"by": by}).context["own"]
        assert sum(one.exact for one in own) == row.amount
        assert money(sum((one.amount for one in own), Decimal(0)), "USD") == money(row.amount, "USD")
    listed = seen(alice)
    assert money(row.amount, "USD") in listed
    assert "with something open" in listed


def test_what_came_since_is_on_the_month_and_on_the_source(
    company: Company, alice: Client, last: date, book: Book
) -> None:
    alice.post(at("month_close", **month(last)), WHY)
    source = book.source("late")
    assert "It changed a closed month" not in seen(alice, "source", source="late")
    late(book, last, "one")
    late(book, last, "two")
    [(_, total)] = rules.summed_by(selectors.late(company.cast.acme.id), lambda one: one.source_id).items()
    page = seen(alice, "month", **month(last))
    assert "Changed since it was closed: 2 charges" in page
    assert money(total.amount, "USD") in page
    page = seen(alice, "source", source="late")
    assert "It changed a closed month: 2 charges" in page
    assert f'href="{at("month", **month(last))}"' in page
    assert "changed a closed month" in seen(alice, "sources")
    assert selectors.sources_changed(company.cast.acme.id) == {source.id}
    # The month that is running will carry it, and says so.
    following = rules.days_of(last).end
    assert "Its statement will carry, by source" in seen(alice, "month", **month(following))
    assert "that no statement says yet" in seen(alice)


def test_the_csv_is_the_statement(company: Company, alice: Client, last: date) -> None:
    alice.post(at("month_close", **month(last)), WHY)
    row = Closing.objects.get()
    answer: Any = alice.get(at("month_csv", **month(last)))
    assert answer["Content-Disposition"].endswith(f'statement-acme-{rules.written(last)}.csv"')
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert sum(Decimal(one["reporting_cost"]) for one in rows) == row.amount
    assert sum(int(one["charges"]) for one in rows) == row.charges


def test_a_closing_is_taken_back_by_its_form(company: Company, alice: Client, last: date) -> None:
    alice.post(at("month_close", **month(last)), WHY)
    path = at("month_reopen", **month(last))
    assert "counts no more" in html.unescape(text_of(alice.get(path)))
    assert alice.post(path, {"reason": " "}).status_code == 422
    assert alice.post(path, {"reason": "too early"})["Location"] == at("month", **month(last))
    page = seen(alice, "month", **month(last))
    assert "Opened again" in page
    assert "too early" in page
    assert AuditEvent.objects.filter(verb="month.reopened").count() == 1
    assert alice.get(path).status_code == 409


def test_only_who_answers_for_the_money_reads_and_closes(
    company: Company, browser: Callable[..., Client], last: date
) -> None:
    bob = browser(company.cast.bob_login)
    paths = [at("months"), *(at(name, **month(last)) for name in ("month", "month_close", "month_reopen", "month_csv"))]
    for role in ("engineer", "team_lead", "viewer"):
        Membership.objects.filter(user=company.cast.bob_login).update(role=role)
        assert {bob.get(path).status_code for path in paths} == {403}
    Membership.objects.filter(user=company.cast.bob_login).update(role="finance")
    assert bob.post(paths[2], WHY).status_code == 302
    assert bob.get(paths[1]).status_code == bob.get(paths[4]).status_code == 200


@pytest.mark.parametrize(("said", "status"), [("October", 400), ("2026-13", 400), ("2099-01", 404)])
def test_what_is_no_month_is_a_page_that_says_so(company: Company, alice: Client, said: str, status: int) -> None:
    for name in ("month", "month_close", "month_reopen"):
        assert alice.get(at(name, month=said)).status_code == status
    assert alice.get(at("month", month="2026-10"), {"by": "model"}).status_code == 400


def test_more_changes_ask_no_more_questions(company: Company, alice: Client, last: date, book: Book) -> None:
    def asked(name: str, **given: Any) -> int:
        seen(alice, name, **given)
        with CaptureQueriesContext(connection) as queries:
            seen(alice, name, **given)
        return len(queries)

    alice.post(at("month_close", **month(last)), WHY)
    late(book, last, "one", identities=(("email", "bob@acme.example"),))
    pages: list[tuple[str, dict[str, str]]] = [("months", {}), ("month", month(last)), ("source", {"source": "late"})]
    before = [asked(name, **given) for name, given in pages]
    for number in range(6):
        late(book, last, f"more {number}", category=("Usage", "Credit", "Purchase")[number % 3])
    for (name, given), questions in zip(pages, before, strict=True):
        assert asked(name, **given) <= questions <= 60


def test_what_is_shown_of_a_month_adds_up(company: Company, alice: Client, last: date, book: Book) -> None:
    alice.post(at("month_close", **month(last)), WHY)
    for number in range(3):
        late(book, last, f"late {number}", counts=counts(input_uncached=1_333_337 + number, requests=1))
        context = alice.get(at("month", **month(last))).context
        shown, spent = context["shown"], context["month"].spent
        assert shown.stated + shown.later + shown.late == round(spent, 2)
        for rows in (context["late"].by_source, context["late"].by_owner):
            assert sum(row.amount for row in rows) == shown.late
