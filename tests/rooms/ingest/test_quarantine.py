"""What is held is not lost: it is reached by replay, however much stays, and comes back when it is sent again."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from finops.connectors.registry import reparse
from finops.ingest import services as ingest
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services.quarantine import Replayed
from finops.ingest.types import Outcome, Status
from finops.orgs import services as orgs
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services import add_exchange_rates
from tests.factories.ledger import THEN, Book
from tests.factories.orgs import HOUSE, NOON, Cast

HELD, BOOKED = QuarantinedRecord.State.HELD, QuarantinedRecord.State.BOOKED


def send(book: Book, *numbers: int, currency: str = "EUR", sent_with: str = "", **said: Any) -> list[Outcome]:
    """Records in a currency that has no rate yet."""
    cost = {"amount": "2.50", "currency": currency}
    usual = {"occurred_at": THEN.isoformat(), "provider": "openai", "model": "gpt", "cost": cost}
    raws = [json.dumps({"id": f"call-{number}"} | usual | said).encode() for number in numbers]
    return ingest.take(
        organization_id=book.organization.id,
        source_id=book.source().id,
        parser="capstan",
        received=[reparse("capstan", raw) for raw in raws],
        sent_with=sent_with,
        at=book.now(),
    )


def euro(book: Book) -> None:
    rates = [GivenRate(THEN.date(), "EUR", "USD", Decimal("1.1"))]
    add_exchange_rates(organization_id=book.organization.id, rates=rates, by=HOUSE, at=NOON)


def test_a_replay_of_all_goes_on_behind_what_stays(book: Book) -> None:
    mine: dict[str, Any] = {"organization_id": book.organization.id, "by": HOUSE, "most": 2}
    send(book, 1, 2, currency="CHF")
    send(book, 3, 4, 5)
    euro(book)
    first = ingest.replay_held(at=book.now(), **mine)
    assert (first.records, first.held) == (2, 2)
    second = ingest.replay_held(at=book.now(), after=first.after, **mine)
    assert (second.records, second.held) == (2, 0)
    assert ingest.replay_held(at=book.now(), after=second.after, **mine) == Replayed(1, 0, 0)
    assert len(book.charges()) == 3


@pytest.mark.parametrize("settled", [QuarantinedRecord.State.DISCARDED, BOOKED])
def test_what_was_settled_and_is_sent_again_is_held_again(book: Book, settled: str) -> None:
    send(book, 1)
    QuarantinedRecord.objects.update(state=settled, settled_at=book.now(), code="x")
    send(book, 1)
    row = QuarantinedRecord.objects.get()
    assert (row.state, row.settled_at, row.code) == (HELD, None, "pricing.no_exchange_rate")


def test_a_replayed_record_is_its_keys_as_it_was_when_it_came(book: Book, cast: Cast) -> None:
    key = orgs.issue_key(
        organization_id=cast.acme.id, name="Chat", team_id=cast.chat.id, by=HOUSE, at=NOON
    )  # fmt: skip
    prefix = key.key.prefix
    send(book, 1, sent_with=prefix)
    euro(book)
    ingest.replay_held(organization_id=cast.acme.id, by=HOUSE, at=book.now())
    assert book.charges("team_id, key_id") == [(cast.chat.id, key.key.id)]


@pytest.mark.parametrize(
    ("category", "held"), [("Usage", True), ("Tax", True), ("Credit", False), ("Adjustment", False)]
)
def test_only_a_credit_or_an_adjustment_is_below_nothing(book: Book, category: str, held: bool) -> None:
    (outcome,) = send(book, 1, category=category, cost={"amount": "-1", "currency": "USD"})
    assert (outcome.problem.code if outcome.problem else "") == ("ingest.negative_cost" if held else "")
    assert outcome.status is (Status.QUARANTINED if held else Status.CHARGED)
