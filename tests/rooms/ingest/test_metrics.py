"""Metrics told to several processes at once: under a lock of each series they add what they grew by, once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from finops.connectors.otlp import metrics
from finops.connectors.otlp.types import Encoding
from finops.ingest.services import take_metrics
from tests.factories import otlp
from tests.factories.ledger import THEN, Book, rows, small_book
from tests.factories.orgs import the_cast

STARTED = int(THEN.timestamp()) * otlp.SECOND
MINUTE = 60 * otlp.SECOND
SESSIONS, ROUNDS, PROCESSES = 5, 6, 4


def body(minute: int) -> bytes:
    """Each session has read 100 tokens a minute."""
    points = [
        otlp.point(
            100 * minute, {"model": "claude", "session.id": f"s-{n}", "type": "input"}, start=STARTED,
            time=STARTED + minute * MINUTE,
        )
        for n in range(SESSIONS)
    ]  # fmt: skip
    return otlp.metrics(otlp.metric("claude_code.token.usage", *points, temporality=2))


@pytest.mark.django_db(transaction=True)
def test_processes_that_are_told_the_same_at_once_charge_it_once() -> None:
    small_book()
    book = Book(the_cast().acme)
    source, at = book.source(), book.now()
    together = threading.Barrier(PROCESSES)

    def tell(_: int) -> None:
        try:
            for minute in range(1, ROUNDS + 1):
                together.wait(20)
                told = metrics.told(body(minute), Encoding.JSON)
                take_metrics(organization_id=source.organization_id, source_id=source.id, told=told, at=at)
        finally:
            connection.close()

    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(tell, range(PROCESSES)))
    read = rows("SELECT session, sum(input_uncached) FROM ledger_charge GROUP BY 1 ORDER BY 1")
    assert read == [(f"s-{n}", 100 * ROUNDS) for n in range(SESSIONS)]
    assert book.disagreements() == []
