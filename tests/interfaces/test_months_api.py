"""Months over REST: closed, read, exported and taken back."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from finops.months.models import Closing
from finops.orgs.models import Membership, User
from tests.factories.ledger import PRICE, THEN, Book, event, small_book
from tests.factories.months import AUGUST, SEPTEMBER, close
from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api, refused, told

LATER = datetime(2026, 11, 3, 12, tzinfo=UTC)
SEP = THEN.replace(month=9)
BOBS = {"identities": (("email", "bob@acme.example"),)}
WHY = {"reason": "known, and small"}


@pytest.fixture(autouse=True)
def third_of_november() -> Any:
    with time_machine.travel(LATER, tick=True):
        yield


@pytest.fixture
def book(cast: Cast) -> Book:
    small_book()
    made = Book(cast.acme)
    made.take(event("sep", occurred_at=SEP), event("a", **BOBS), event("b", model="gpt-mini"))
    return made


def money(amount: Decimal) -> str:
    return f"{amount:.12f}"


def test_a_month_is_closed_and_says_what_came_since(alice: Api, book: Book, cast: Cast) -> None:
    assert refused(alice.post("months/2026-09/close"))[::2] == (422, "reason")
    closed = told(alice.post("months/2026-09/close", WHY))
    assert (closed["state"], closed["stated"], closed["late"]) == ("closed", money(PRICE), money(Decimal(0)))
    assert closed["closing"]["reason"] == WHY["reason"]
    assert closed["closing"]["closed_by"] == f"user:{cast.alice_login.id}"
    assert [(one["check"], one["count"]) for one in closed["closing"]["still_open"]] == [("unattributed", 1)]
    book.take(event("late", occurred_at=SEP, **BOBS), source="litellm")
    found = told(alice.get("months/2026-09"))
    assert (found["spent"], found["stated"], found["late"]) == (money(2 * PRICE), money(PRICE), money(PRICE))
    late = found["late_changes"]
    assert (late["charges"], late["amount"], late["moved"]) == (1, money(PRICE), money(PRICE))
    assert [(one["source"]["value"], one["charges"]) for one in late["by_source"]] == [("litellm", 1)]
    [owner] = late["by_owner"]
    assert (owner["team"]["value"], owner["person"]["value"], owner["amount"]) == ("search", "bob", money(PRICE))
    # October carries it.
    assert told(alice.get("months/2026-10"))["to_carry"] == late
    october = told(alice.post("months/2026-10/close", WHY))
    assert october["carried_in"] == money(PRICE)
    found = told(alice.get("months/2026-09"))
    assert found["late_changes"]["charges"] == 0
    assert found["carried_by"] == [{"month": "2026-10", "charges": 1, "amount": money(PRICE)}]
    assert (found["later"], found["late"], found["may_reopen"]) == (money(PRICE), money(Decimal(0)), False)


def test_months_are_listed_newest_first(alice: Api, book: Book) -> None:
    close(book, SEPTEMBER)
    listed = told(alice.get("months"))["months"]
    assert [(one["month"], one["state"], one["may_close"]) for one in listed] == [
        ("2026-11", "running", False), ("2026-10", "over", True), ("2026-09", "closed", False),
    ]  # fmt: skip
    assert {one["currency"] for one in listed} == {"USD"}


def test_a_statement_is_by_owner_and_its_csv_sums_to_what_is_charged(alice: Api, book: Book, cast: Cast) -> None:
    close(book, SEPTEMBER)
    book.take(event("late", occurred_at=SEP, **BOBS))
    # A name that a spreadsheet would run.
    type(cast.search).objects.filter(id=cast.search.id).update(name="=1+1")
    row = close(book)
    found = told(alice.get("months/2026-10/statement"))
    assert (found["by"], found["amount"], found["carried"]) == ("team", money(row.amount), money(PRICE))
    said = {(one["of_month"], one["owner"]["value"]): one["reporting_cost"] for one in found["rows"]}
    assert said["2026-10", "search"] == said["2026-09", "search"] == money(PRICE)
    assert sum(Decimal(one["reporting_cost"]) for one in found["rows"]) == row.amount + row.carried
    by_person = told(alice.get("months/2026-10/statement?by=person"))["rows"]
    assert {one["owner"]["value"] for one in by_person} == {"bob", "(none)"}
    answer = alice.get("months/2026-10/statement?format=csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="statement-acme-2026-10.csv"' in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert sum(Decimal(one["reporting_cost"]) for one in rows) == row.amount + row.carried
    assert {one["team"] for one in rows} == {"'=1+1", "(none)"}
    assert {(one["statement"], one["of_month"]) for one in rows} == {("2026-10", "2026-10"), ("2026-10", "2026-09")}
    assert all(one["billing_currency"] == one["reporting_currency"] == "USD" for one in rows)


def test_asking_twice_closes_once_and_a_closing_is_taken_back_with_a_reason(alice: Api, book: Book) -> None:
    first = told(alice.post("months/2026-09/close", WHY, Idempotency_Key="k"))
    again = told(alice.post("months/2026-09/close", WHY, Idempotency_Key="k"))
    assert first == again
    assert Closing.objects.count() == 1
    assert refused(alice.post("months/2026-09/close", WHY)) == (409, "months.already_closed", "month")
    assert refused(alice.post("months/2026-09/reopen"))[::2] == (400, "reason")
    assert refused(alice.post("months/2026-09/reopen", {"reason": " "}))[2] == "reason"
    found = told(alice.post("months/2026-09/reopen", {"reason": "too early"}))
    assert (found["state"], found["closing"], found["taken_back"][0]["reopened_why"]) == ("over", None, "too early")
    assert refused(alice.get("months/2026-09/statement"))[:2] == (404, "core.not_found")
    assert refused(alice.post("months/2026-09/reopen", {"reason": "again"})) == (409, "months.not_closed", "month")
    trail = AuditEvent.objects.filter(subject_kind="month").order_by("id")
    assert list(trail.values_list("verb", "subject_label")) == [
        ("month.closed", "2026-09"), ("month.reopened", "2026-09"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("month", "code"),
    [("2026-11", "months.not_over"), ("2026-08", "months.out_of_order"), ("2027-01", "months.not_over")],
)
def test_what_is_not_next_is_refused_by_its_field(alice: Api, book: Book, month: str, code: str) -> None:
    assert refused(alice.post(f"months/{month}/close", WHY)) == (409, code, "month")


@pytest.mark.parametrize("month", ["October", "2026-13", "2026-1", "1999-12", "2026-10-01"])
def test_what_is_no_month_is_refused(alice: Api, book: Book, month: str) -> None:
    for answer in (
        alice.get(f"months/{month}"),
        alice.get(f"months/{month}/statement"),
        alice.post(f"months/{month}/close", WHY),
        alice.post(f"months/{month}/reopen", WHY),
    ):
        assert refused(answer) == (400, "months.month_unclear", "month")


def test_questions_and_bodies_are_read_strictly(alice: Api, book: Book) -> None:
    close(book, SEPTEMBER)
    assert refused(alice.get("months?team=1"))[0] == refused(alice.get("months/2026-09?x=1"))[0] == 400
    assert refused(alice.get("months/2026-09/statement?by=model"))[::2] == (400, "by")
    assert refused(alice.post("months/2026-10/close", {"why": "x"}))[::2] == (400, "why")
    assert refused(alice.post("months/2026-10/close", {"reason": "x" * 501}))[::2] == (400, "reason")
    assert refused(alice.get("months/2030-01"))[0] == 404


def test_finance_closes_and_others_do_not_even_read(
    cast: Cast, book: Book, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    bob = login(cast.bob_login)
    for role in ("engineer", "team_lead", "viewer"):
        Membership.objects.filter(user=cast.bob_login).update(role=role)
        for answer in (bob.get("months"), bob.get("months/2026-09"), bob.post("months/2026-09/close", WHY)):
            assert refused(answer)[:2] == (403, "orgs.permission_missing")
    dana = login(cast.dana_login)
    told(dana.post("months/2026-09/close", WHY))
    told(dana.get("months/2026-09/statement?by=person"))
    # The money of all is for who may ask about all, and people's for who may see them.
    assert refused(by_key("audit.read").get("months"))[:2] == (403, "orgs.permission_missing")
    auditor = by_key("audit.read", "spend.read")
    told(auditor.get("months/2026-09/statement"))
    assert refused(auditor.get("months/2026-09/statement?by=person"))[1] == "orgs.out_of_reach"
    assert refused(auditor.get("months/2026-09/statement?format=csv"))[1] == "orgs.permission_missing"
    assert refused(by_key("audit.read", "spend.read", "export").get("months/2026-09/statement?format=csv"))[0] == 403
    assert refused(auditor.post("months/2026-09/reopen", WHY))[1] == "orgs.permission_missing"
    book.take(event("late", occurred_at=SEP, **BOBS))
    assert [one["person"] for one in told(auditor.get("months/2026-09"))["late_changes"]["by_owner"]] == [None]


def test_another_organization_has_its_own_months(cast: Cast, book: Book, login: Callable[[User], Api]) -> None:
    close(book, SEPTEMBER)
    charlie = login(cast.charlie_login)
    assert [one["month"] for one in told(charlie.get("months"))["months"]] == ["2026-11"]
    found = told(charlie.get("months/2026-09"))
    assert (found["state"], found["closing"], found["spent"]) == ("over", None, money(Decimal(0)))
    assert refused(charlie.get("months/2026-09/statement"))[0] == 404
    assert refused(charlie.post("months/2026-09/reopen", WHY))[1] == "months.not_closed"


def test_more_owners_and_months_ask_no_more_questions(alice: Api, book: Book) -> None:
    def asked(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            told(alice.get(path))
        return len(queries)

    paths = ("months", "months/2026-09", "months/2026-10/statement")
    book.take(event("aug", occurred_at=THEN.replace(month=8)))
    close(book, AUGUST)
    close(book, SEPTEMBER)
    close(book)
    book.take(event("late", occurred_at=SEP, **BOBS))
    before = [asked(path) for path in paths]
    book.take(*[event(f"late {n}", occurred_at=SEP, category=each) for n, each in enumerate(("Credit", "Purchase"))])
    book.take(event("later", occurred_at=SEP, **BOBS), source="litellm")
    for path, questions in zip(paths, before, strict=True):
        assert asked(path) <= questions <= 40
