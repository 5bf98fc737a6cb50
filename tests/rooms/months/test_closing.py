"""Finance closes October, and what comes later is a late change: carried once, into the statement after it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from finops.connectors.types import UsageEvent
from finops.core.errors import NotFound
from finops.ledger import services as ledger
from finops.months import rules, selectors, services
from finops.months.models import Closing, Line
from finops.months.types import State, Sum
from tests.factories.ledger import PRICE, THEN, Book, event
from tests.factories.months import AUGUST, NOVEMBER, OCTOBER, SEPTEMBER, charged, close, counted, reopen, stated
from tests.factories.orgs import HOUSE, Cast
from tests.factories.pricing import counts
from tests.factories.statements import Stated


def in_month(number: int, name: str, **given: Any) -> UsageEvent:
    return event(name, occurred_at=THEN.replace(month=number), **given)


def twice(name: str, **given: Any) -> UsageEvent:
    """The same call, of twice the tokens."""
    return event(name, counts=counts(input_uncached=2_000, output_text=200, requests=1), **given)


def test_a_statement_says_what_the_charges_say_to_the_last_digit(book: Book, cast: Cast) -> None:
    book.take(event("a"), event("b", identities=(("email", "bob@acme.example"),)))
    ledger.fold_all()
    # Some of it is folded and some is not.
    book.take(event("c"), event("d", occurred_at=THEN + timedelta(days=3)), source="litellm")
    row = close(book)
    assert (row.amount, row.charges, row.carried) == (4 * PRICE, 4, Decimal(0))
    assert stated(cast.acme.id) == charged(cast.acme.id, OCTOBER)
    assert selectors.late(cast.acme.id) == []
    found = list(selectors.statement(row, by=("team",)))
    assert sum(one.reporting_cost for one in found) == row.amount
    assert {one.of_month for one in found} == {OCTOBER}


def test_what_comes_later_is_late_and_no_charge_is_refused(book: Book) -> None:
    book.take(event("a"), event("b"), revises=True, source="reports")
    row = close(book)
    assert book.take(event("late")) == ["charged"]
    assert book.take(twice("a"), revises=True, source="reports") == ["revised"]
    changes = selectors.late(book.organization.id)
    # The late call, and a reversal with its new charge.
    assert rules.summed(changes) == Sum(3, 1, 2 * PRICE)
    row.refresh_from_db()
    assert row.amount == 2 * PRICE
    by_source = rules.summed_by(changes, lambda one: one.source_id)
    assert by_source == {
        book.sources["reports"].id: Sum(2, 0, PRICE),
        book.sources["gateway"].id: Sum(1, 1, PRICE),
    }
    [month] = [one for one in selectors.listed(book.organization.id, at=book.now()) if one.month == OCTOBER]
    assert (month.state, month.spent, month.stated, month.late) == (State.CLOSED, 4 * PRICE, 2 * PRICE, 2 * PRICE)


def test_a_change_that_is_taken_back_is_none(book: Book) -> None:
    book.take(event("a"), revises=True)
    close(book)
    book.take(twice("a"), revises=True)
    assert selectors.late(book.organization.id)
    book.take(event("a"), revises=True)
    assert selectors.late(book.organization.id) == []


def test_late_changes_are_carried_once_by_the_next_statement(book: Book) -> None:
    house = book.organization.id
    book.take(in_month(8, "aug"), in_month(9, "sep"), in_month(10, "oct"))
    close(book, AUGUST)
    book.take(in_month(8, "aug late"))
    september = close(book, SEPTEMBER)
    assert (september.amount, september.carried, september.carried_charges) == (PRICE, PRICE, 1)
    assert selectors.late(house) == []
    # Both closed months change; both changes are October's to carry.
    book.take(in_month(8, "aug later"), in_month(9, "sep late"), in_month(9, "sep later"))
    october = close(book, OCTOBER)
    assert (october.amount, october.carried, october.carried_charges) == (PRICE, 3 * PRICE, 3)
    assert stated(house) == charged(house)
    rows = list(selectors.statement(october, by=()))
    assert [(one.of_month, one.reporting_cost) for one in rows] == [
        (OCTOBER, PRICE), (SEPTEMBER, 2 * PRICE), (AUGUST, PRICE),
    ]  # fmt: skip
    assert [(row.month, cost, many) for row, cost, many in selectors.carried_on(house, AUGUST)] == [
        (SEPTEMBER, PRICE, 1), (OCTOBER, PRICE, 1),
    ]  # fmt: skip


def test_a_change_of_owner_is_a_late_change_that_sums_to_nothing(book: Book, cast: Cast) -> None:
    """Who splits shared costs or attributes again after closing moves money between owners."""
    book.take(event("a", tags=(("team", "chat"),)), revises=True)
    close(book)
    book.take(event("a", identities=(("email", "bob@acme.example"),)), revises=True)
    changes = selectors.late(cast.acme.id)
    assert rules.summed(changes).amount == 0
    assert {(one.person_id, one.reporting_cost) for one in changes} == {(0, -PRICE), (cast.bob.id, PRICE)}
    # Of the source's month nothing changed, and it is not looked at closely.
    assert selectors.late_of_source(cast.acme.id, book.sources["gateway"].id) == []


def test_a_month_is_opened_again_and_its_next_statement_says_all_of_it(book: Book) -> None:
    house = book.organization.id
    book.take(in_month(9, "sep"), in_month(10, "oct"))
    close(book, SEPTEMBER)
    book.take(in_month(9, "sep late"))
    first = close(book, OCTOBER)
    book.take(in_month(10, "oct late"))
    with pytest.raises(rules.OutOfOrder):
        reopen(book, SEPTEMBER)
    reopen(book, OCTOBER)
    assert rules.summed(selectors.late(house)) == Sum(1, 1, PRICE)
    with pytest.raises(NotFound):
        selectors.closing(house, OCTOBER)
    again = close(book, OCTOBER)
    assert (again.amount, again.carried) == (2 * PRICE, PRICE)
    assert stated(house) == charged(house)
    # What was said first can still be read.
    first.refresh_from_db()
    assert (first.amount, first.carried, first.reopened_why) == (PRICE, PRICE, "too early")
    assert sum(one.reporting_cost for one in selectors.statement(first)) == 2 * PRICE
    assert list(selectors.taken_back(house, OCTOBER)) == [first]
    assert [one.verb for one in AuditEvent.objects.filter(verb__startswith="month.").order_by("id")] == [
        "month.closed", "month.closed", "month.reopened", "month.closed",
    ]  # fmt: skip


def test_open_items_want_a_reason_and_are_kept_with_it(book: Book) -> None:
    book.take(event("a"), event("b", model="nobody-knows-it"))
    with pytest.raises(rules.ReasonMissing, match="unpriced, unattributed") as refused:
        close(book, reason=" ")
    assert refused.value.field == "reason"
    assert not Closing.objects.exists()
    row = close(book, reason="known, and small")
    assert {one["check"]: one["count"] for one in row.still_open} == {"unpriced": 1, "unattributed": 1}
    told = AuditEvent.objects.get(verb="month.closed")
    assert told.details["reason"] == "known, and small"
    assert told.subject_label == "2026-10"
    assert Decimal(told.details["amount"]) == row.amount


def test_nothing_open_needs_no_reason(book: Book, cast: Cast) -> None:
    book.take(event("a", identities=(("email", "bob@acme.example"),)))
    assert close(book, reason="").still_open == []


def test_an_unpriced_call_that_gets_a_price_is_a_late_change(book: Book) -> None:
    book.take(event("a", model="nobody-knows-it"))
    assert close(book).amount == 0
    assert Line.objects.get().calls == 1
    book.reverse(*book.standing())
    assert rules.summed(selectors.late(book.organization.id)) == Sum(1, -1, Decimal(0))


def test_true_ups_of_a_closed_month_are_late_and_carried(book: Book) -> None:
    book.take(event("a"))
    close(book)
    bill = Stated(book)
    bill.billed("0.036", "input_uncached")
    bill.reported(input_uncached=2_000, output_text=200)
    bill.reconciled()
    changes = selectors.late(book.organization.id)
    assert rules.summed(changes).amount == Decimal("0.024")
    assert {one.source_id for one in changes} == {bill.money_source.id}
    assert rules.summed(selectors.late_of_source(book.organization.id, bill.money_source.id)).amount == Decimal("0.024")


def test_a_closed_month_with_nothing_in_it_is_still_closed(book: Book) -> None:
    book.take(in_month(8, "aug"), in_month(10, "oct"))
    close(book, AUGUST)
    assert close(book, SEPTEMBER, reason="").charges == 0
    assert book.take(in_month(9, "sep")) == ["charged"]
    assert rules.summed(selectors.late(book.organization.id)).charges == 1


def test_another_organizations_charges_and_months_are_its_own(book: Book, cast: Cast) -> None:
    other = Book(cast.globex)
    book.take(event("a"))
    other.take(event("a"), event("b"))
    assert close(book).amount == PRICE
    assert selectors.closed_months(cast.globex.id) == []
    assert selectors.late(cast.globex.id) == []
    assert close(other).amount == 2 * PRICE


def test_what_was_said_is_not_changed_by_anybody(book: Book, cast: Cast) -> None:
    book.take(event("a"))
    row = close(book)
    for change in (
        lambda: Line.objects.update(charges=0),
        lambda: Line.objects.all().delete(),
        lambda: row.delete(),
        lambda: Line.objects.create(
            organization=cast.globex, closing=row, day=OCTOBER, source_id=0, category_id=0, team_id=0, person_id=0,
            project_id=0, currency="USD", charges=1, calls=1, effective_cost=1, reporting_cost=1,
        ),
        lambda: Closing.objects.create(
            organization=cast.acme, month=OCTOBER, closed_at=book.now(), closed_by="x", currency="USD"
        ),
        lambda: Closing.objects.create(
            organization=cast.acme, month=THEN.date(), closed_at=book.now(), closed_by="x", currency="USD"
        ),
    ):  # fmt: skip
        with pytest.raises(Exception, match=r"(?i)cannot|violates|restricted"), transaction.atomic():
            change()
    assert Line.objects.count() == 1


def test_the_list_asks_as_many_questions_however_many_months_there_are(book: Book) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            selectors.listed(book.organization.id, at=book.at)
        return len(queries)

    book.take(in_month(8, "aug"))
    close(book, AUGUST)
    before = asked()
    book.take(in_month(9, "sep"), in_month(7, "jul"))
    close(book, SEPTEMBER)
    close(book, OCTOBER)
    assert asked() == before <= 10
    found = selectors.listed(book.organization.id, at=book.at)
    assert [(one.month.month, one.state, one.may_close, one.may_reopen) for one in found] == [
        (11, "running", False, False), (10, "closed", False, True), (9, "closed", False, False),
        (8, "closed", False, False), (7, "over", False, False),
    ]  # fmt: skip


def test_months_begin_with_the_first_spend(book: Book) -> None:
    assert [one.month for one in selectors.listed(book.organization.id, at=book.at)] == [NOVEMBER]
    with pytest.raises(rules.OutOfOrder, match="there is none yet"):
        close(book)
    book.take(in_month(9, "sep"))
    with pytest.raises(rules.OutOfOrder, match="the first is 2026-09"):
        close(book, AUGUST)
    assert counted(book.organization.id, SEPTEMBER) == close(book, SEPTEMBER).charges == 1
    with pytest.raises(rules.MonthNotOver):
        services.close_month(
            organization_id=book.organization.id, month=NOVEMBER, by=HOUSE, at=book.now()
        )  # fmt: skip
