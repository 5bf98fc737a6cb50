"""Names that callers give, and the calls they stand for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from finops.connectors.types import NO_COUNTS, UsageEvent
from finops.ingest.records import Held
from routing.gateway import book
from routing.gateway.book import Book
from routing.gateway.wording import Allowance, Settlement

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EVENT = UsageEvent(external_id="call-1", occurred_at=NOON, provider="openai", model="gpt", counts=NO_COUNTS)


def held(call_id: str, asked_as: str) -> Held:
    return Held(call_id, "cap_acme", asked_as, 1, 1, (7,), 100, 10, NOON, EVENT)


def opened(house: Book, asked_as: str) -> Held:
    found = held(house.id_of("cap_acme", asked_as), asked_as)
    house.keep(Allowance(found, "USD", 10))
    return found


def test_what_is_forgotten_of_a_call_that_never_happened_is_not_who_has_its_name_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book, "REMEMBERED", 1)
    house = Book("gateway-1")
    house.end(opened(house, "call-1"), None)
    again = opened(house, "call-1")
    another = opened(house, "call-2")
    house.end(another, Settlement(another, "USD", 5, 0))
    assert house.id_of("cap_acme", "call-1") == again.id


def test_a_call_that_was_decided_here_too_keeps_its_name_when_the_one_taken_over_is_let_go() -> None:
    house = Book("gateway-2")
    ours = opened(house, "call-1")
    theirs = held("gateway-1-1", "call-1")
    house.keep(Allowance(theirs, "USD", 10))
    house.end(theirs, None)
    assert house.id_of("cap_acme", "call-1") == ours.id


def test_calls_that_are_over_are_not_kept_for_when_their_time_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "REMEMBERED", 10)
    house = Book("gateway-1")
    stays = opened(house, "call-0")
    for n in range(1, 100):
        ends = opened(house, f"call-{n}")
        house.end(ends, Settlement(ends, "USD", 5, 0))
        assert len(house._ends) <= 2 * 2 + 10
    assert house.due(NOON) == stays
    assert house.due(NOON) is None
