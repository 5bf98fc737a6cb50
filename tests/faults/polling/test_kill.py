"""A worker killed in the middle of a page, again and again: what is there in the end is what the provider says."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connection

from finops.polling.services.states import LEASE
from finops.runtime.places import CHECKOUT
from tests.factories.ledger import disagreements, small_book
from tests.factories.orgs import the_cast
from tests.factories.polling import AT, Connected, calling, connected
from tests.fakes.reports.anthropic import AnthropicReports

pytestmark = pytest.mark.timeout(240)
KILLS = 5


@pytest.fixture
def anthropic(transactional_db: None) -> Iterator[Connected]:
    fake = AnthropicReports(until=AT, days=5)
    with calling(fake):
        small_book()
        yield connected(the_cast().acme, fake)


@pytest.mark.parametrize("name", ["anthropic-usage", "anthropic-claude-code"])
def test_killed_while_it_reads_and_while_it_books(anthropic: Connected, name: str) -> None:
    feed, dice, at, cut = anthropic.feed(name), random.Random(7), AT, 0
    for kill in range(KILLS):
        asked = len(anthropic.fake.asked)
        worker = _work(anthropic, feed.id, at)
        # As far as some page, and then at any moment of what is done with it.
        _wait_until_asked(anthropic, worker, asked + 1 + kill)
        time.sleep(dice.uniform(0, 0.04))
        worker.kill()
        worker.wait()
        row = anthropic.feed(name)
        cut += bool(row.lease)
        # Nobody else may while its turn lasts; then it passes on.
        at = max(at, row.leased_until or at, row.next_at) + timedelta(seconds=1)
    assert cut >= KILLS - 1, "it was not killed in its turn"
    asked = len(anthropic.fake.asked)
    assert _work(anthropic, feed.id, at).wait() == 0
    assert len(anthropic.fake.asked) > asked
    row = anthropic.feed(name)
    assert (row.state, row.lease) == ("active", "")
    assert at - LEASE < AT + (KILLS + 1) * (LEASE + timedelta(hours=1))
    assert anthropic.kept(name) == anthropic.fake.truth(name)
    # Counted in the transaction that books, so that what the page says is what the ledger says.
    assert row.booked == anthropic.fake.truth(name).rows
    assert row.rows == row.booked + row.duplicates
    assert disagreements(anthropic.organization.id) == []


def _wait_until_asked(anthropic: Connected, worker: subprocess.Popen[str], number: int) -> None:
    end = time.monotonic() + 60
    while len(anthropic.fake.asked) < number and worker.poll() is None:
        assert time.monotonic() < end, "the worker asks nothing"
        time.sleep(0.002)


def _work(anthropic: Connected, feed_id: int, at: datetime) -> subprocess.Popen[str]:
    settings = connection.settings_dict
    database = {name: settings[name] for name in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
    environment = os.environ | {
        "CAPSTAN_TEST_DATABASE": json.dumps(database),
        "DJANGO_SETTINGS_MODULE": "finops.config.settings",
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.polling.worker", str(feed_id), anthropic.fake.host, at.isoformat()],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    with worker.stdout as said:
        assert said.readline() == "ready\n"
    return worker
