"""A runaway agent whose calls go to four gateway processes in turn is stopped within a second, and tripped once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator

import msgspec
import pytest

from finops.audit.models import Signal
from finops.budgets.guard_rules import load_guard_rules
from finops.budgets.models import Limit, Stop
from finops.runtime.places import CHECKOUT
from tests.factories.budgets import database_address
from tests.factories.ledger import AT
from tests.factories.orgs import Cast, the_cast

PROCESSES = 4
Process = subprocess.Popen[str]


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    made = the_cast()
    Limit.objects.create(organization=made.acme, dimension="key", requests_per_minute=150)
    return made


@pytest.fixture
def gateways(cast: Cast) -> Iterator[list[Process]]:
    rules = msgspec.json.encode(load_guard_rules(cast.acme.id, at=AT)).decode()
    command = [sys.executable, "-m", "tests.faults.budgets.guarded", database_address()]
    running = [
        subprocess.Popen(
            [*command, f"gateway-{n}", rules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )
        for n in range(PROCESSES)
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield running
        for one in running:
            one.communicate(timeout=30)
    finally:
        for one in running:
            one.kill()
            one.communicate()


def ask(gateway: Process, session: str, fingerprint: str) -> str:
    assert gateway.stdin is not None
    assert gateway.stdout is not None
    gateway.stdin.write(f"{session} {fingerprint}\n")
    gateway.stdin.flush()
    return gateway.stdout.readline().strip()


def test_fifty_identical_calls_a_second_are_stopped_within_a_second(cast: Cast, gateways: list[Process]) -> None:
    """Counted in calls, fifty of which are a second: a busy machine makes them slower, and the clock tells nothing."""
    began = time.monotonic()
    said: list[str] = []
    refusing: set[int] = set()
    while len(refusing) < PROCESSES:
        threading.Event().wait(max(began + len(said) / 50 - time.monotonic(), 0))
        gateway = len(said) % PROCESSES
        said.append(ask(gateways[gateway], "loop", "same"))
        if said[-1] == "budgets.stopped":
            refusing.add(gateway)
        assert len(said) < 200
    assert 20 <= said.index("budgets.stopped") < 50
    # The others are told the moment it is written.
    assert len(said) - said.index("budgets.stopped") < 25
    stop = Stop.objects.get()
    assert (stop.organization_id, stop.dimension, stop.subject) == (cast.acme.id, "session", "loop")
    assert Signal.objects.filter(kind="breaker.tripped", key="session:loop").count() == 1
    assert ask(gateways[0], "other", "same") == "made"


def test_four_processes_together_stay_within_the_minute(gateways: list[Process]) -> None:
    said: dict[str, int] = defaultdict(int)
    for n in range(400):
        said[ask(gateways[n % PROCESSES], f"session-{n % 40}", f"call-{n}")] += 1
    assert said["made"] <= 150
    # Little lies idle in slices: at least nine tenths were made, in less than the minute that is counted.
    assert said["made"] >= 135
    assert set(said) == {"made", "budgets.rate_limited"}
