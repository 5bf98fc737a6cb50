"""Facts that are looked for: spend of nobody, calls without a price, sources gone quiet."""

from __future__ import annotations

from datetime import timedelta

from finops.alerts.models import AlertRule, Incident, SourceRhythm
from finops.alerts.selectors import stories
from finops.alerts.services.incidents import acknowledge
from finops.alerts.services.late import LATE
from finops.alerts.services.rules import archive_rule
from finops.alerts.services.watching import note_rhythms, watch, watched
from finops.alerts.types import Event
from finops.connectors.types import Dimensions
from finops.sources.models import Source
from tests.factories.alerts import incidents, rule
from tests.factories.ledger import AT, THEN, Book, event
from tests.factories.months import SEPTEMBER, close
from tests.factories.orgs import HOUSE


def test_spend_of_nobody_is_told_from_the_share_that_was_said(book: Book) -> None:
    acme = book.organization.id
    mine = rule(acme, "spend.unattributed", params={"percent": 40, "least_amount": "0.001"}, at=AT)
    book.take(event("one", occurred_at=AT, dimensions=Dimensions(team="search")))
    assert watch(organization_id=acme, at=AT) == 0
    book.take(event("two", occurred_at=AT))
    assert watch(organization_id=acme, at=AT) == 1
    row = Incident.objects.get()
    assert (row.key, row.details["percent"], row.rule_id) == (f"rule:{mine.id}", "50.0", mine.id)
    watch(organization_id=acme, at=AT)
    row.refresh_from_db()
    # Seen again and again is still one.
    assert row.count == 1
    book.take(*[event(f"more-{n}", occurred_at=AT, dimensions=Dimensions(team="search")) for n in range(2)])
    watch(organization_id=acme, at=AT)
    assert [one[2] for one in incidents(acme)] == ["over"]


def test_a_model_without_a_price_is_told_until_nobody_calls_it(book: Book) -> None:
    acme = book.organization.id
    rule(acme, "spend.unpriced", params={"days": 7}, at=AT)
    book.take(event("one", occurred_at=AT, model="gpt-secret-preview"))
    assert watch(organization_id=acme, at=AT) == 1
    assert Incident.objects.get().details["model"] == "gpt-secret-preview"
    assert watch(organization_id=acme, at=AT + timedelta(days=8)) == 0
    assert [one[2] for one in incidents(acme)] == ["over"]


def test_a_source_is_quiet_by_its_own_rhythm(book: Book) -> None:
    acme = book.organization.id
    rule(acme, "source.quiet", params={"times": 3, "least_minutes": 5}, at=AT)
    source = book.source()

    def heard(hours: int) -> None:
        Source.objects.filter(id=source.id).update(last_received_at=AT + timedelta(hours=hours))
        note_rhythms(at=AT + timedelta(hours=hours))

    # A night each, so 24 hours without anything are usual; three times that are not.
    for night in range(6):
        heard(24 * night)
    last = AT + timedelta(hours=24 * 5)
    assert watch(organization_id=acme, at=last + timedelta(hours=71)) == 0
    assert watch(organization_id=acme, at=last + timedelta(hours=73)) == 1
    assert Incident.objects.get().details["source"] == source.id
    heard(24 * 8 + 2)
    assert watch(organization_id=acme, at=last + timedelta(hours=75)) == 0
    assert [one[2] for one in incidents(acme)] == ["over"]
    # An outage is not a rhythm: it is remembered, and not for more than it is.
    assert max(SourceRhythm.objects.get().longest.values()) == 74 * 3600


def test_of_a_new_source_nobody_knows_what_is_usual(book: Book) -> None:
    acme = book.organization.id
    rule(acme, "source.quiet", at=AT)
    book.take(event("one", occurred_at=AT))
    note_rhythms(at=AT)
    assert watch(organization_id=acme, at=AT + timedelta(days=30)) == 0


def test_a_rule_that_is_no_more_ends_what_it_found(book: Book) -> None:
    acme = book.organization.id
    mine = rule(acme, "spend.unpriced", at=AT)
    book.take(event("one", occurred_at=AT, model="gpt-secret-preview"))
    watch(organization_id=acme, at=AT)
    assert watched() == [acme]
    archive_rule(organization_id=acme, rule_id=mine.id, by=HOUSE, at=AT)
    assert watched() == [acme]
    watch(organization_id=acme, at=AT)
    assert [one[2] for one in incidents(acme)] == ["over"]
    assert watched() == []


def test_a_closed_month_that_changed_is_told_until_the_next_statement_carries_it(book: Book) -> None:
    acme = book.organization.id
    AlertRule.objects.filter(kind="month.changed").update(params={"least_amount": "0.02"})
    book.take(event("sep", occurred_at=THEN.replace(month=9)), event("oct"))
    close(book, SEPTEMBER)
    book.take(event("late", occurred_at=THEN.replace(month=9)))
    # Less than somebody wants to hear of.
    assert watch(organization_id=acme, at=book.now(), finders=LATE) == 0
    book.take(event("later", occurred_at=THEN.replace(month=9)))
    assert watch(organization_id=acme, at=book.now(), finders=LATE) == 1
    row = Incident.objects.get()
    assert (row.details["month"], row.details["charges"], row.step) == ("2026-09", 2, 1)
    [told] = stories(acme, [(row, Event.OPENED)])
    assert told.title == "2026-09 changed after it was closed"
    assert "0.024000 USD by 2 charges since" in told.sentences[0]
    assert told.sentences[1] == "The statement of 2026-10 carries it."
    acknowledge(organization_id=acme, incident_id=row.id, by=HOUSE, at=book.now())
    # More of it is known already; twice as much is told again.
    book.take(*[event(f"more {n}", occurred_at=THEN.replace(month=9)) for n in range(2)])
    watch(organization_id=acme, at=book.now(), finders=LATE)
    row.refresh_from_db()
    assert (row.step, row.acknowledged_at) == (2, None)
    close(book)
    watch(organization_id=acme, at=book.now(), finders=LATE)
    assert [one[2] for one in incidents(acme)] == ["over"]
