"""A worker that dies in the middle of an ingest, again and again, leaves the books as if it never had."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from finops.ingest.imports import KIND
from finops.jobs.models import Job
from finops.ledger.services import fold_all
from finops.orgs import services as orgs
from finops.runtime.places import CHECKOUT
from tests.factories.ledger import Book, disagreements, rows, small_book
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

FIRST = datetime(2026, 8, 1, tzinfo=UTC)
pytestmark = pytest.mark.timeout(240)
# What a charge says, in words that mean the same in two organizations.
_CHARGES = """
SELECT external_id, occurred_at, session, provider_request_id, reason, calls, input_uncached, cache_read, output_text,
    currency, list_cost, contracted_cost, effective_cost, reporting_cost, fx_rate, tags,
    (SELECT value FROM ledger_term WHERE id = model_id), (SELECT value FROM ledger_term WHERE id = state_id),
    (SELECT slug FROM orgs_team WHERE id = team_id)
FROM ledger_charge WHERE organization_id = %(one)s
"""
_SESSIONS = """
SELECT session, currency, first_at, last_at, calls, input_tokens, cached_tokens, output_tokens, list_cost,
    contracted_cost, effective_cost, reporting_cost
FROM ledger_session WHERE organization_id = %(one)s
"""


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    small_book()
    return the_cast()


def test_ten_thousand_events_and_five_kills(cast: Cast, tmp_path: Path) -> None:
    _survives(cast, tmp_path, events=10_000, kills=5, piece=200)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_thousand_events_and_twenty_kills(cast: Cast, tmp_path: Path) -> None:
    _survives(cast, tmp_path, events=200_000, kills=20, piece=1_000)


def _survives(cast: Cast, folder: Path, *, events: int, kills: int, piece: int) -> None:
    """Globex's worker is left alone; acme's is killed. Their books say the same, to the last digit."""
    file = folder / "usage.ndjson"
    _write(file, events)
    for name in ("Search", "Chat"):
        orgs.add_team(organization_id=cast.globex.id, name=name, by=HOUSE, at=NOON)
    for organization in (cast.acme, cast.globex):
        Book(organization).source()
    assert _work(file, "globex", piece=piece).wait() == 0

    dice = random.Random(events)
    for kill in range(kills):
        worker = _work(file, "acme", piece=piece)
        # As far as that, and then at any moment of the next piece.
        _wait_until_done(cast, kill / (kills + 2))
        time.sleep(dice.uniform(0, 0.05))
        assert worker.poll() is None
        worker.kill()
        worker.wait()
    assert Job.objects.get(organization=cast.acme, kind=KIND).state == Job.State.RUNNING
    assert _work(file, "acme", piece=piece).wait() == 0

    fold_all()
    assert rows("SELECT count(*) FROM ledger_charge WHERE organization_id = %s", cast.acme.id) == [(events,)]
    assert _differences(_CHARGES, cast) == []
    assert _differences(_SESSIONS, cast) == []
    for organization in (cast.acme, cast.globex):
        assert disagreements(organization.id) == []


def _wait_until_done(cast: Cast, share: float) -> None:
    """Until more than so much of acme's import is done."""
    end = time.monotonic() + 60
    while True:
        job = Job.objects.get(organization=cast.acme, kind=KIND)
        if job.total and job.done > job.total * share:
            return
        assert time.monotonic() < end, "the worker does nothing"
        time.sleep(0.005)


def _work(file: Path, organization: str, *, piece: int) -> subprocess.Popen[str]:
    """A worker that has started to import."""
    settings = connection.settings_dict
    database = {name: settings[name] for name in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
    environment = os.environ | {
        "CAPSTAN_TEST_DATABASE": json.dumps(database),
        "DJANGO_SETTINGS_MODULE": "finops.config.settings",
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.ingest.worker", str(file), organization, str(piece)],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    with worker.stdout as said:
        assert said.readline() == "ready\n"
    return worker


def _differences(select: str, cast: Cast) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        acme, globex = (select.replace("%(one)s", str(organization.id)) for organization in (cast.acme, cast.globex))
        cursor.execute(f"({acme} EXCEPT ALL {globex}) UNION ALL ({globex} EXCEPT ALL {acme}) LIMIT 5")
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _write(file: Path, events: int) -> None:
    """Records as a gateway writes them: a few owners and models, sessions of ten calls, now and then one sent twice."""
    dice = random.Random(11)
    with file.open("w", encoding="utf-8") as out:
        for n in range(events):
            record = {
                "id": f"call-{n}",
                "occurred_at": (FIRST + timedelta(seconds=n * 37, microseconds=n)).isoformat(),
                "provider": "openai",
                "model": dice.choice(("gpt", "gpt", "gpt-mini", "unheard-of")),
                "usage": {"input_uncached": dice.randrange(1, 50_000), "output_text": dice.randrange(1, 4_000)},
                "session": f"s-{n // 10}",
                "team": dice.choice(("search", "chat")),
                "provider_request_id": f"req_{n}",
                "tags": {"env": dice.choice(("prod", "test"))},
            }
            line = json.dumps(record) + "\n"
            out.write(line * 2 if n % 100 == 0 else line)
