"""Codex tells a call without the provider's request id. It is the gateway's call, and money once."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import connection

from finops.connectors.otlp import logs
from finops.connectors.types import UsageEvent
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.ingest.services import take
from finops.ingest.types import Received, Status
from finops.jobs import services as jobs
from finops.ledger.selectors import content_matches
from finops.ledger.services import matching, rematch
from finops.pricing.services import Agreed, set_discount
from tests.factories.ledger import PRICE, THEN, Book, event, rows
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))


def codex(book: Book, *events: UsageEvent, source: str = "codex") -> list[Status]:
    """What Codex's telemetry tells."""
    return [
        outcome.status
        for outcome in take(
            organization_id=book.organization.id, source_id=book.source(source).id, parser=logs.PARSER,
            received=[Received(one.external_id.encode(), one) for one in events], at=book.now(),
        )
    ]  # fmt: skip


def told(name: str, seconds: float = 4, **given: Any) -> UsageEvent:
    return event(name, occurred_at=THEN + timedelta(seconds=seconds), evidence="reported", **given)


def again(book: Book) -> int:
    return rematch(organization_id=book.organization.id, since=THEN, at=book.now())


def sightings(book: Book) -> list[tuple[str, str]]:
    return rows(
        "SELECT external_id, matched_by FROM ledger_sighting WHERE organization_id = %s ORDER BY external_id",
        book.organization.id,
    )


def test_what_the_gateway_charged_is_sighted(book: Book) -> None:
    book.take(event("a", provider_request_id="req-a"))
    assert codex(book, told("t1")) == [Status.SIGHTED]
    assert codex(book, told("t1")) == [Status.DUPLICATE]
    assert (book.total(), sightings(book)) == (PRICE, [("t1", "content")])
    assert content_matches(book.organization.id, book.source("codex").id, since=THEN) == 1
    assert book.disagreements() == []


def test_a_charge_without_an_id_can_be_sighted_too(book: Book) -> None:
    book.take(event("a"))
    assert codex(book, told("t1")) == [Status.SIGHTED]
    assert codex(book, told("t1")) == [Status.DUPLICATE]
    assert (book.total(), sightings(book)) == (PRICE, [("t1", "content")])
    assert book.disagreements() == []


def test_told_before_the_gateway_it_stands_aside_when_that_comes(book: Book) -> None:
    assert codex(book, told("t1")) == [Status.CHARGED]
    assert (again(book), book.total()) == (0, PRICE)
    book.take(event("a", provider_request_id="req-a"))
    assert book.total() == 2 * PRICE
    assert (again(book), book.total()) == (1, PRICE)
    assert (again(book), sightings(book)) == (0, [("t1", "content")])
    # The one that stands is the gateway's, and what Codex sends again is known.
    assert rows("SELECT source_id FROM ledger_charge WHERE reason = 'reversal'") == [(book.source("codex").id,)]
    assert codex(book, told("t1")) == [Status.DUPLICATE]
    assert book.disagreements() == []


def test_what_was_seen_by_nobody_else_is_charged(book: Book) -> None:
    book.take(event("a", provider_request_id="req-a"))
    other = [
        told("late", 601),
        told("longer", counts=counts(input_uncached=1_000, output_text=101, requests=1)),
        told("cached", counts=counts(input_uncached=900, cache_read=100, output_text=100, requests=1)),
        told("mini", model="gpt-mini"),
    ]
    assert codex(book, *other) == [Status.CHARGED] * 4
    assert again(book) == 0


def test_reasoning_that_one_tells_apart_and_the_other_does_not_is_the_same_output(book: Book) -> None:
    book.take(event("a", provider_request_id="req-a"))
    apart = counts(input_uncached=1_000, output_text=60, output_reasoning=40, requests=1)
    assert codex(book, told("t1", counts=apart)) == [Status.SIGHTED]


def test_another_session_is_another_call(book: Book) -> None:
    book.take(event("a", provider_request_id="req-a", session="s-1"))
    assert codex(book, told("t1", session="s-2")) == [Status.CHARGED]
    assert codex(book, told("t2", session="s-1"), told("t3")) == [Status.SIGHTED, Status.CHARGED]


def test_two_calls_that_say_the_same_are_two(book: Book) -> None:
    book.take(event("a", provider_request_id="req-a"), event("b", provider_request_id="req-b"))
    assert codex(book, told("t1"), told("t2"), told("t3")) == [Status.SIGHTED, Status.SIGHTED, Status.CHARGED]
    assert book.total() == 3 * PRICE


def test_an_id_of_another_kind_is_matched_by_what_it_says(book: Book) -> None:
    """Claude Code tells `req_…` where an answer has `msg_…`."""
    book.take(event("a", provider_request_id="msg_1"))
    assert codex(book, told("t1", provider_request_id="req_1")) == [Status.SIGHTED]
    assert sightings(book) == [("t1", "content")]


def test_the_same_id_is_no_guess(book: Book) -> None:
    book.take(event("a", provider_request_id="req-a"))
    assert codex(book, told("t1", provider_request_id="req-a")) == [Status.SIGHTED]
    assert sightings(book) == [("t1", "request")]


def test_a_collector_passes_on_a_trace_and_a_log_of_one_call(book: Book) -> None:
    assert codex(book, told("span", provider_request_id="req-a"), told("span 2")) == [Status.CHARGED] * 2
    assert codex(book, told("t1"), told("t2")) == [Status.SIGHTED, Status.CHARGED]
    assert book.total() == 3 * PRICE


def test_a_trace_that_is_a_sighting_itself_leaves_room_for_the_log(book: Book) -> None:
    book.take(event("a", provider_request_id="req-a"))
    assert codex(book, told("span", provider_request_id="req-a"), told("t1")) == [Status.SIGHTED] * 2
    assert sightings(book) == [("span", "request"), ("t1", "content")]


def test_views_of_a_view_lead_to_the_charge_that_stands(book: Book) -> None:
    assert codex(book, told("t1")) == [Status.CHARGED]
    assert codex(book, told("f1"), source="files") == [Status.SIGHTED]
    book.take(event("a", provider_request_id="req-a"))
    assert again(book) == 1
    standing = rows("SELECT charge_id FROM ledger_charge_key WHERE external_id = 'a'")
    assert rows("SELECT DISTINCT charge_id FROM ledger_sighting") == standing
    assert (book.total(), len(sightings(book))) == (PRICE, 2)
    assert codex(book, told("f1"), source="files") == [Status.DUPLICATE]


def test_a_call_traced_twice_stands_behind_the_one_charge(book: Book) -> None:
    book.take(event("a", provider_request_id="msg_1"))
    twice = [told(name, provider_request_id="req_1") for name in ("span 1", "span 2")]
    assert codex(book, *twice) == [Status.SIGHTED] * 2
    assert codex(book, *twice) == [Status.DUPLICATE] * 2
    assert sightings(book) == [("span 1", "content"), ("span 2", "request")]
    assert book.total() == PRICE
    # Nothing leads from the tool's own id: the charge it was matched with has another.
    assert rows("SELECT external_id FROM ledger_charge_key WHERE source_id = 0") == [("req:openai:msg_1",)]
    assert book.disagreements() == []


def test_many_are_looked_at_in_parts(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_AT_A_TIME", 2)
    names = [f"t\t{n}" for n in range(5)]
    assert codex(book, *map(told, names)) == [Status.CHARGED] * 5
    assert again(book) == 0
    book.take(*(event(f"a{n}", provider_request_id=f"req-{n}") for n in range(4)))
    assert (again(book), again(book), book.total()) == (4, 0, 5 * PRICE)
    assert codex(book, *map(told, names)) == [Status.DUPLICATE] * 5
    assert rows("SELECT count(*) FROM ledger_lone") == [(1,)]
    assert book.disagreements() == []


def test_what_was_rated_anew_meanwhile_stands_aside_too(book: Book) -> None:
    assert codex(book, told("t1")) == [Status.CHARGED]
    half = Agreed(provider="openai", effective_from=OCTOBER.start)
    set_discount(organization_id=book.organization.id, about=half, percent=Decimal(50), by=HOUSE, at=book.now())
    job = ingest.open_rework(
        organization_id=book.organization.id, kind=ingest.RERATE, period=OCTOBER, by=HOUSE, at=book.now()
    )  # fmt: skip
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_rework(job=claimed, now=book.now)
    book.take(event("a", provider_request_id="req-a"))
    assert book.total() == PRICE
    assert (again(book), again(book), book.total()) == (1, 0, PRICE / 2)
    assert codex(book, told("t1")) == [Status.DUPLICATE]
    assert book.disagreements() == []


def test_a_hundred_that_say_the_same_are_a_hundred_at_once(book: Book) -> None:
    book.take(*(event(f"a{n}", provider_request_id=f"req-{n}") for n in range(100)))
    assert codex(book, *(told(f"t{n}", n / 100) for n in range(101))) == [Status.SIGHTED] * 100 + [Status.CHARGED]


def test_an_index_finds_them(book: Book) -> None:
    """However many calls a time has: what is wanted says the same expressions as the index, word by word."""
    book.take(*(event(f"a{n}", provider_request_id=f"req-{n}", counts=counts(output_text=n)) for n in range(1, 2_001)))
    given: dict[str, Any] = {
        "wanted": "[]", "window": matching.WINDOW, "organization": book.organization.id, "source": 2, "alike": 9
    }  # fmt: skip
    with connection.cursor() as cursor:
        # Of a few charges, any other way is as quick.
        cursor.execute("ANALYZE ledger_charge")
        cursor.execute("EXPLAIN " + matching._ALIKE, given)
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert re.search(
        r"Index Cond: .*date_bin.* AND .*input_uncached.* = w.input.* AND .*output_text.* = w.output", plan
    )


@pytest.mark.parametrize("seed", range(8))
def test_in_any_order_and_as_often_as_told_each_call_is_money_once(seed: int, book: Book) -> None:
    """Nine calls, two of which say the same; some the gateway saw, some Codex did, most both; three are told twice."""
    luck = Random(seed)
    seen = [luck.choice(["gateway", "codex", "both", "both"]) for _ in range(9)]
    acts = [(by, n) for n, found in enumerate(seen) for by in ("gateway", "codex") if found in (by, "both")]
    acts += acts[:3]
    luck.shuffle(acts)
    for by, n in acts:
        used: Any = {"counts": counts(output_text=100 + n // 2, requests=1)}
        if by == "gateway":
            book.take(event(f"g{n}", provider_request_id=f"req-{n}", **used))
        else:
            codex(book, told(f"t{n}", **used))
        if luck.random() < 0.3:
            again(book)
    again(book)
    tokens = 0
    for pair in range(5):
        alike = [found for n, found in enumerate(seen) if n // 2 == pair]
        # Of two that say the same, one that only the gateway saw and one that only Codex did are taken for one.
        by_each = [sum(found in (by, "both") for found in alike) for by in ("gateway", "codex")]
        tokens += max(by_each) * (100 + pair)
    assert book.total() == Decimal(tokens) * 20 / 10**6
    assert book.disagreements() == []
