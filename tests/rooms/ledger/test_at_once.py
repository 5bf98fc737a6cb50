"""Many writers at once, each on a connection of its own: nobody deadlocks, and every call is charged once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from finops.connectors.types import UsageEvent
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.ingest.models import QuarantinedRecord
from finops.ingest.types import Status
from finops.jobs import services as jobs
from finops.ledger import services as ledger
from finops.pricing.services import Agreed, set_discount
from tests.factories.ledger import AT, PRICE, THEN, Book, event, small_book
from tests.factories.orgs import HOUSE, the_cast
from tests.factories.pricing import counts

PERIOD = DayRange(date(2026, 10, 1), date(2026, 11, 1))
CALLS = 120


def _together(*work: Callable[[], None]) -> None:
    """Run all of it at the same moment. Raises what the first of them raised."""
    start, failures = threading.Barrier(len(work)), []

    def run(one: Callable[[], None]) -> None:
        try:
            start.wait()
            one()
        except BaseException as error:  # noqa: BLE001  it is raised again in the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_overlapping_batches_of_two_sources(transactional_db: None) -> None:
    small_book()
    acme = the_cast().acme
    sources = {slug: Book(acme).source(slug) for slug in ("gateway", "tools")}
    charged: list[Status] = []

    def sender(seed: int, slug: str) -> Callable[[], None]:
        book, dice = Book(acme, at=AT + timedelta(minutes=seed), sources=sources), random.Random(seed)

        def send() -> None:
            for _ in range(6):
                numbers = dice.sample(range(CALLS), 40)
                batch = [event(f"call-{n}", provider_request_id=f"req_{n}") for n in numbers]
                charged.extend(status for status in book.take(*batch, source=slug) if status is Status.CHARGED)
            book.take(*[event(f"call-{n}", provider_request_id=f"req_{n}") for n in range(CALLS)], source=slug)

        return send

    def folder() -> None:
        for _ in range(10):
            ledger.fold(most=50)

    _together(*[sender(seed, slug) for seed, slug in enumerate(["gateway", "tools"] * 2)], folder, folder)
    book = Book(acme)
    assert book.total() == CALLS * PRICE
    assert len(charged) <= CALLS
    assert book.disagreements() == []
    ledger.fold_all()
    assert book.disagreements() == []


def test_revisions_while_history_is_rated_anew(transactional_db: None) -> None:
    """A report restates its buckets while two re-ratings walk over them: one of them decides each time, never both."""
    small_book()
    acme = the_cast().acme
    mine: dict[str, Any] = {"organization_id": acme.id, "by": HOUSE}
    book = Book(acme)
    report = book.source("report", revises=True)
    buckets = range(60)
    when = [THEN + timedelta(minutes=n % 7) for n in buckets]
    book.take(*[event(f"bucket-{n}", occurred_at=when[n]) for n in buckets], source="report")
    about = Agreed(provider="openai", effective_from=PERIOD.start)
    set_discount(about=about, percent=Decimal(50), at=book.now(), **mine)

    def restate(seed: int) -> Callable[[], None]:
        own, dice = Book(acme, at=AT + timedelta(hours=seed), sources={"report": report}), random.Random(seed)

        def send() -> None:
            for turn in range(5):
                several = dice.sample(buckets, 20)
                tokens = counts(input_uncached=1_000 * (2 + turn + seed), output_text=100, requests=1)
                own.take(*[event(f"bucket-{n}", occurred_at=when[n], counts=tokens) for n in several], source="report")

        return send

    def rate_anew(seed: int) -> Callable[[], None]:
        own = Book(acme, at=AT + timedelta(hours=seed))

        def work() -> None:
            for _ in range(4):
                job = ingest.open_rework(kind=ingest.RERATE, period=PERIOD, at=own.now(), **mine)
                claimed = jobs.claim(job_id=job.id, at=own.now())
                assert claimed is not None
                ingest.run_rework(job=claimed, now=own.now)

        return work

    _together(restate(1), restate(2), rate_anew(3), rate_anew(4))
    assert len(book.standing()) == len(buckets)
    ledger.fold_all()
    assert book.disagreements() == []


def test_the_same_broken_records_in_two_orders(transactional_db: None) -> None:
    small_book()
    acme = the_cast().acme
    source = Book(acme).source()
    broken = [event(f"call-{n}", category="Gift") for n in range(300)]

    def send(batch: list[UsageEvent]) -> Callable[[], None]:
        def work() -> None:
            Book(acme, sources={"gateway": source}).take(*batch)

        return work

    _together(*[send(batch) for batch in (broken, broken[::-1]) * 2])
    assert QuarantinedRecord.objects.count() == len(broken)
