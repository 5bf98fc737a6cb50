"""A Celery worker as it runs in production, over a real broker, works a job to its end and folds what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from finops.config.celery import app
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.jobs.models import Job
from finops.pricing.services import Agreed, set_discount
from finops.runtime.places import CHECKOUT
from tests.factories.ledger import PRICE, Book, event, rows, small_book
from tests.factories.orgs import HOUSE, the_cast
from tests.waiting import until

PATIENCE_S = 60
OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))


@pytest.fixture
def book(transactional_db: None) -> Book:
    small_book()
    return Book(the_cast().acme)


@pytest.fixture
def queue(book: Book, broker_url: str) -> Iterator[str]:
    """A queue of this test's own, and a worker that works it."""
    name = f"test-{uuid4().hex}"
    settings = connection.settings_dict
    environment = os.environ | {
        "CAPSTAN_TEST_DATABASE": json.dumps(
            {key: settings[key] for key in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
        ),
        "DJANGO_SETTINGS_MODULE": "finops.config.settings",
        "REDIS_URL": broker_url,
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.ingest.celery_worker", name],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield name
    worker.terminate()
    assert worker.wait(timeout=PATIENCE_S) == 0


def test_a_job_is_worked_and_rollups_are_folded(book: Book, queue: str, broker_url: str) -> None:
    book.take(*[event(f"call-{n}") for n in range(10)])
    mine: dict[str, Any] = {"organization_id": book.organization.id, "by": HOUSE, "at": book.now()}
    set_discount(about=Agreed(provider="openai", effective_from=OCTOBER.start), percent=Decimal(50), **mine)
    job = ingest.open_rework(kind=ingest.RERATE, period=OCTOBER, **mine)
    with app.connection_for_write(broker_url) as broker:
        for _ in range(2):
            # Told twice, as a broker may: it is worked once.
            app.send_task(
                "ingest.run_job", kwargs={"job_id": job.id, "from_a_later_version": 1}, queue=queue, connection=broker
            )
        until(lambda: Job.objects.get(id=job.id).state in (Job.State.DONE, Job.State.FAILED))
        assert Job.objects.get(id=job.id).result["changed"] == 10
        app.send_task("ledger.fold_rollups", queue=queue, connection=broker)
        until(lambda: rows("SELECT count(*) FROM ledger_rollup_delta") == [(0,)])
    assert book.total() == 5 * PRICE
    assert rows("SELECT sum(effective_cost) FROM ledger_cube_0 WHERE level = 0") == [(5 * PRICE,)]
    assert book.disagreements() == []
