"""Thresholds of budgets: each is told once of an account and its period."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops.alerts.models import AlertRule, Incident
from finops.alerts.services.incidents import resolve, resolve_ended
from finops.alerts.services.rules import change_rule
from finops.alerts.services.thresholds import evaluate_thresholds, watched
from finops.budgets.services.budgets import archive_budget, change_budget, set_exception
from finops.connectors.types import Dimensions
from tests.factories.alerts import channel, deliveries, incidents
from tests.factories.budgets import budget
from tests.factories.ledger import AT, Book, event
from tests.factories.orgs import HOUSE, Cast


def spend(book: Book, calls: int, **given: Any) -> None:
    """So many calls of November, 0.012 each."""
    first = len(book.charges())
    book.take(*[event(f"call-{first + n}", occurred_at=AT, **given) for n in range(calls)])


def evaluate(book: Book, at: datetime | None = None) -> int:
    return evaluate_thresholds(organization_id=book.organization.id, at=at or book.now())


def test_each_threshold_is_told_once_and_the_next_escalates(book: Book) -> None:
    acme = book.organization.id
    cap = budget(acme, "0.12", at=AT)
    channel(acme, at=AT)
    assert evaluate(book) == 0
    spend(book, 5)
    assert (evaluate(book), evaluate(book)) == (1, 0)
    row = Incident.objects.get()
    assert (row.kind, row.step, row.severity, row.budget_id) == ("budget.threshold", 50, "info", cap.id)
    assert (row.details["spent"], row.details["limit"]) == ("0.06", "0.12")
    spend(book, 5)
    assert (evaluate(book), evaluate(book)) == (1, 0)
    row.refresh_from_db()
    assert (row.step, row.severity, row.resolved_at) == (100, "critical", None)
    assert deliveries(acme) == [("opened", "waiting"), ("escalated", "waiting")]


def test_what_was_not_folded_yet_counts(book: Book) -> None:
    budget(book.organization.id, "0.024", at=AT)
    spend(book, 1)
    assert evaluate(book) == 1


def test_a_new_period_ends_it_and_people_are_not_told(book: Book) -> None:
    acme = book.organization.id
    budget(acme, "0.012", at=AT)
    channel(acme, "email", at=AT)
    channel(acme, "webhook", at=AT)
    spend(book, 1)
    evaluate(book)
    december = datetime(2026, 12, 1, 0, 0, 1, tzinfo=AT.tzinfo)
    assert resolve_ended(at=december) == 1
    assert [one[2] for one in incidents(acme)] == ["over"]
    assert [event for event, _ in deliveries(acme)] == ["opened", "opened", "resolved"]
    assert evaluate(book, december) == 0


def test_a_raised_limit_ends_it_and_it_may_come_again(book: Book) -> None:
    acme = book.organization.id
    cap = budget(acme, "0.024", at=AT)
    spend(book, 2)
    evaluate(book)
    change_budget(organization_id=acme, budget_id=cap.id, limit_amount=Decimal(1), by=HOUSE, at=book.now())
    evaluate(book)
    assert [one[2] for one in incidents(acme)] == ["over"]
    change_budget(organization_id=acme, budget_id=cap.id, limit_amount=Decimal("0.03"), by=HOUSE, at=book.now())
    evaluate(book)
    assert [(state, step) for _, _, state, step in incidents(acme)] == [("over", 100), ("open", 80)]


def test_what_somebody_resolved_is_not_told_again_below_the_next_threshold(book: Book) -> None:
    acme = book.organization.id
    budget(acme, "0.12", at=AT)
    spend(book, 5)
    evaluate(book)
    resolve(organization_id=acme, incident_id=Incident.objects.get().id, by=HOUSE, at=book.now())
    assert evaluate(book) == 0
    spend(book, 2)
    assert evaluate(book) == 0
    spend(book, 3)
    assert evaluate(book) == 1
    assert [(state, step) for _, _, state, step in incidents(acme)] == [("over", 50), ("open", 100)]


@pytest.mark.parametrize("end", ["archived", "let off"])
def test_a_budget_that_does_not_concern_them_any_more_ends_it(book: Book, cast: Cast, end: str) -> None:
    acme, bob = book.organization.id, cast.bob
    cap = budget(acme, "0.012", each="person", at=AT)
    spend(book, 1, dimensions=Dimensions(person="bob"))
    evaluate(book)
    assert [one[2] for one in incidents(acme)] == ["open"]
    mine: dict[str, Any] = {"organization_id": acme, "budget_id": cap.id, "by": HOUSE, "at": book.now()}
    if end == "archived":
        archive_budget(**mine)
    else:
        set_exception(subject=str(bob.id), limit_amount=None, **mine)
    evaluate(book)
    assert [one[2] for one in incidents(acme)] == ["over"]


def test_a_rule_may_mean_some_budgets_and_only_from_a_percent_on(book: Book) -> None:
    acme = book.organization.id
    one, other = budget(acme, "0.02", at=AT), budget(acme, "0.02", name="Other", at=AT)
    listens = AlertRule.objects.get(organization_id=acme, kind="budget.threshold")
    change_rule(
        organization_id=acme, rule_id=listens.id, changes={"params": {"budgets": [one.id], "least_percent": 80}},
        by=HOUSE, at=AT,
    )  # fmt: skip
    spend(book, 1)
    assert evaluate(book) == 0
    spend(book, 1)
    assert evaluate(book) == 1
    assert [row.budget_id for row in Incident.objects.all()] == [one.id], other.name
    change_rule(organization_id=acme, rule_id=listens.id, changes={"enabled": False}, by=HOUSE, at=AT)
    # What is open is looked after until it is over.
    assert acme in watched()
    resolve_ended(at=AT + timedelta(days=40))
    assert acme not in watched()


def test_a_limit_of_nothing_is_passed_by_the_first_cent_and_by_no_less(book: Book) -> None:
    budget(book.organization.id, "0", at=AT)
    assert evaluate(book) == 0
    spend(book, 1)
    evaluate(book)
    assert [one[3] for one in incidents(book.organization.id)] == [100]


def test_another_organization_is_left_alone(book: Book, cast: Cast) -> None:
    budget(book.organization.id, "0.012", at=AT)
    spend(book, 1)
    assert evaluate_thresholds(organization_id=cast.globex.id, at=AT + timedelta(hours=1)) == 0
    assert incidents(cast.globex.id) == incidents(book.organization.id) == []
