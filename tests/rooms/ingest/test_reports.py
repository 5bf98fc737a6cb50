"""Rows of providers' reports go the way of all usage: told again they add nothing, restated they are revised."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from finops.connectors.anthropic import cost_report, usage_report
from finops.connectors.openai import usage_report as openai_usage_report
from finops.connectors.pages import Page
from finops.connectors.registry import reparse
from finops.ingest import services as ingest
from finops.ingest.models import QuarantinedRecord
from finops.ingest.types import Status
from tests.factories.ledger import Book

DAY = {"starting_at": "2026-10-14T00:00:00Z", "ending_at": "2026-10-15T00:00:00Z"}
SECONDS = {"start_time": 1_791_936_000, "end_time": 1_792_022_400}
USED = {"model": "claude", "uncached_input_tokens": 1_000, "cache_read_input_tokens": 10_000, "output_tokens": 100}
COST = {"model": "claude", "currency": "USD", "amount": "123.45", "token_type": "output_tokens"}


def page(times: dict[str, Any], *results: dict[str, Any]) -> bytes:
    return json.dumps({"data": [{**times, "results": results}], "has_more": False, "next_page": None}).encode()


def take(book: Book, parser: str, cut: Page) -> list[Status]:
    outcomes = ingest.take(
        organization_id=book.organization.id,
        source_id=book.source("report", revises=True).id,
        parser=parser,
        received=[reparse(parser, row) for row in cut.rows],
        at=book.now(),
    )
    return [outcome.status for outcome in outcomes]


def test_a_day_of_usage_is_priced_and_restated(book: Book) -> None:
    parser, cut = usage_report.PARSER, usage_report.cut
    assert take(book, parser, cut(page(DAY, USED))) == [Status.CHARGED]
    assert book.total() == Decimal("0.0075"), "1,000 at 3, 10,000 at 0.3 and 100 at 15 dollars a million"
    assert take(book, parser, cut(page(DAY, USED))) == [Status.DUPLICATE]
    assert take(book, parser, cut(page(DAY, USED | {"output_tokens": 200}))) == [Status.REVISED]
    assert book.total() == Decimal("0.009")
    assert book.disagreements() == []


def test_a_day_of_costs_is_what_the_provider_says_and_restated(book: Book) -> None:
    parser, cut = cost_report.PARSER, cost_report.cut
    assert take(book, parser, cut(page(DAY, COST, COST | {"model": None}))) == [Status.CHARGED, Status.CHARGED]
    assert book.total() == Decimal("2.469")
    assert take(book, parser, cut(page(DAY, COST))) == [Status.DUPLICATE]
    assert take(book, parser, cut(page(DAY, COST | {"amount": "-10"}))) == [Status.REVISED]
    assert book.total() == Decimal("1.1345")
    assert book.disagreements() == []


def test_what_no_meter_counts_waits_whole_and_can_be_read_again(book: Book) -> None:
    row = {"object": "organization.usage.images.result", "images": 2, "model": "gpt"}
    parser, cut = openai_usage_report.PARSER, openai_usage_report.cut(page(SECONDS, row))
    assert take(book, parser, cut) == [Status.QUARANTINED]
    held = QuarantinedRecord.objects.get(organization_id=book.organization.id)
    assert (held.code, held.parser, bytes(held.raw)) == ("connectors.no_meter", parser, cut.rows[0])
    assert book.total() == 0
