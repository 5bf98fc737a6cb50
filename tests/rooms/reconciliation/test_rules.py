"""A counting rule is changed, and the books follow: also where nobody looks any more."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.core.periods import DayRange
from finops.reconciliation import selectors
from finops.reconciliation.models import CountingRule, ReconciledDay
from finops.reconciliation.services import LOOKS_BACK, RuleInvalid, change_rule
from tests.factories.ledger import PRICE, Book, event
from tests.factories.orgs import HOUSE, Cast
from tests.factories.statements import MIDNIGHT, Stated

DAY = MIDNIGHT.date()


@pytest.fixture
def stated(book: Book) -> Stated:
    return Stated(book)


def changed(stated: Stated, **said: Any) -> CountingRule:
    book = stated.book
    rule = CountingRule.objects.get(organization_id=book.organization.id, source=stated.money_source)
    return change_rule(organization_id=book.organization.id, rule_id=rule.id, **said, by=HOUSE, at=book.now())


def test_a_rule_that_counts_calls_undoes_what_the_bill_added_and_the_trail_says_who(book: Book, stated: Stated) -> None:
    book.take(event("a"))
    stated.billed("5")
    stated.reconciled()
    assert book.total() == 5
    changed(stated, level="metered")
    assert (stated.reconciled(), book.total(), stated.day().state) == (1, PRICE, "compared")
    changed(stated, level="billed")
    assert (stated.reconciled(), book.total(), stated.day().state) == (1, Decimal(5), "tied")
    assert book.disagreements() == []
    first, _ = AuditEvent.objects.filter(verb="counting_rule.changed").order_by("id")
    assert (first.details["before"]["level"], first.details["after"]["level"]) == ("billed", "metered")
    # What changes nothing is no change.
    changed(stated, level="billed")
    assert AuditEvent.objects.filter(verb="counting_rule.changed").count() == 2


def test_days_before_a_rule_begins_are_let_go(book: Book, stated: Stated) -> None:
    book.take(event("a"))
    stated.billed("5")
    stated.billed("7", occurred_at=MIDNIGHT + timedelta(days=1))
    assert (stated.reconciled(), book.total()) == (2, Decimal(12))
    changed(stated, since=DAY + timedelta(days=1))
    assert (stated.reconciled(), book.total()) == (1, PRICE + 7)
    assert list(ReconciledDay.objects.values_list("day", flat=True)) == [DAY + timedelta(days=1)]
    changed(stated, since=DAY)
    assert (stated.reconciled(), book.total()) == (1, Decimal(12))
    assert book.disagreements() == []


def test_another_source_takes_the_place_of_the_one_before(book: Book, stated: Stated) -> None:
    book.take(event("a"))
    stated.billed("5")
    stated.reconciled()
    invoices = Stated(book, "invoices", form="invoice")
    invoices.billed("6")
    # It may be the same money, so that it is none until somebody says so.
    assert (stated.reconciled(), book.total()) == (1, Decimal(5))
    changed(stated, until=DAY + timedelta(days=1))
    changed(invoices, level="billed", since=DAY + timedelta(days=1))
    invoices.billed("7", occurred_at=MIDNIGHT + timedelta(days=1))
    assert (stated.reconciled(), book.total()) == (1, Decimal(12))
    changed(invoices, since=DAY)
    changed(stated, level="repeated")
    assert (stated.reconciled(), book.total()) == (1, Decimal(13))
    assert (stated.day().seen, stated.day().calls) == (PRICE, 1)
    assert stated.reconciled() == 0
    assert book.disagreements() == []


def test_a_changed_rule_reaches_days_that_are_looked_at_no_more(book: Book, stated: Stated) -> None:
    stated.billed("5")
    stated.reconciled()
    book.at += LOOKS_BACK * 2
    assert stated.reconciled() == 0
    book.take(event("late"))
    changed(stated, level="metered")
    assert (stated.reconciled(), book.total()) == (1, PRICE)
    assert stated.reconciled() == 0


def test_where_the_bill_is_not_all_what_is_not_on_it_stands_beside(book: Book, stated: Stated) -> None:
    book.take(event("a"), event("b", model="gpt-mini"))
    beside = book.total() - PRICE
    stated.billed("0.010")
    stated.reconciled()
    assert book.total() == Decimal("0.010")
    changed(stated, whole=False)
    stated.reconciled()
    assert book.total() == Decimal("0.010") + beside
    assert (stated.day().billed, stated.day().seen) == (Decimal("0.010"), PRICE)
    [total] = selectors.totals(book.organization.id, DayRange(DAY, DAY + timedelta(days=1)), at=book.now())
    assert total.corrected == Decimal("-0.002")
    assert total.drift is not None
    assert round(total.drift, 6) == Decimal("0.2")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"until": DAY}, "until"),
        ({"until": date(2999, 1, 1)}, "until"),
        ({"since": date(1999, 1, 1)}, "since"),
        ({"after_hours": 400}, "after_hours"),
        ({"level": "guessed"}, "level"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(book: Book, stated: Stated, said: dict[str, Any], field: str) -> None:
    book.take(event("a"))
    stated.billed("5")
    stated.reconciled()
    with pytest.raises(RuleInvalid) as refused:
        changed(stated, **said)
    assert refused.value.field == field
    assert not AuditEvent.objects.filter(verb="counting_rule.changed").exists()


def test_a_rule_of_another_organization_is_none(book: Book, stated: Stated, cast: Cast) -> None:
    stated.billed("5")
    stated.reconciled()
    rule = CountingRule.objects.get()
    with pytest.raises(NotFound):
        change_rule(organization_id=cast.globex.id, rule_id=rule.id, level="metered", by=HOUSE, at=book.now())
    with pytest.raises(NotFound):
        selectors.rule(cast.globex.id, rule.id)


def test_days_with_calls_and_no_bill_wait_when_they_are_over(book: Book, stated: Stated) -> None:
    stated.billed("5")
    stated.reconciled()
    later = MIDNIGHT + timedelta(days=2, hours=9)
    today = book.at.replace(hour=9)
    book.take(
        event("a", occurred_at=later),
        event("elsewhere", occurred_at=later + timedelta(days=1), host="azure-eu"),
        event("other", occurred_at=later, provider="azure"),
        event("today", occurred_at=today),
    )
    period = DayRange(DAY, today.date() + timedelta(days=1))
    assert selectors.waiting_days(book.organization.id, period, at=book.now()) == {"openai": (later.date(),)}
    stated.billed("1", occurred_at=later.replace(hour=0))
    assert selectors.waiting_days(book.organization.id, period, at=book.now()) == {}
    book.at += timedelta(days=1)
    assert selectors.waiting_days(book.organization.id, period, at=book.now()) == {"openai": (today.date(),)}


def test_totals_keep_currencies_apart_and_add_up(book: Book, stated: Stated, cast: Cast) -> None:
    book.take(event("a"))
    stated.billed("0.024")
    stated.reported(input_uncached=2_000, output_text=200)
    stated.billed("7", occurred_at=MIDNIGHT + timedelta(days=1))
    stated.reconciled()
    ReconciledDay.objects.filter(day=DAY + timedelta(days=1)).update(currency="EUR", state="currencies")
    period = DayRange(DAY, DAY + timedelta(days=2))
    euro, dollar = selectors.totals(book.organization.id, period, at=book.now())
    assert (euro.currency, euro.billed, euro.apart, euro.tied, euro.drift) == ("EUR", Decimal(0), 1, 0, None)
    assert (dollar.billed, dollar.seen, dollar.corrected) == (Decimal("0.024"), PRICE, Decimal(0))
    assert (dollar.unseen, dollar.unattributed, dollar.calls, dollar.tied) == (PRICE, PRICE, 1, 1)
    assert dollar.drift == Decimal("-0.5")
    assert [one.billed for one in selectors.by_day(book.organization.id, period)] == [Decimal("0.024")]
    assert selectors.totals(cast.globex.id, period, at=book.now()) == []
