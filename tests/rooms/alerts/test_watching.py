"""Facts that are looked for: spend of nobody, calls without a price, sources gone quiet."""

from __future__ import annotations

from datetime import timedelta

from finops.alerts.models import Incident, SourceRhythm
from finops.alerts.services.rules import archive_rule
from finops.alerts.services.watching import note_rhythms, watch, watched
from finops.connectors.types import Dimensions
from finops.sources.models import Source
from tests.factories.alerts import incidents, rule
from tests.factories.ledger import AT, Book, event
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
