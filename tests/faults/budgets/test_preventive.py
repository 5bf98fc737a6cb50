"""Twenty keys burn money in twenty ways at a proxy that reports an hour late, in quickened time; a real worker and a
real beat block each before its cap, and give it back when there is room again.

They look every second: of an hour of two seconds that is a half, so it is much harder for them here than in earnest.
What the rules themselves cost in money left over is measured without Celery in `bench preventive`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from bench.burns import burns
from finops.audit.models import Signal
from finops.budgets.enforcement import residual
from finops.budgets.models import Block
from finops.budgets.services.budgets import set_exception
from finops.budgets.types import Period
from finops.connectors.types import Dimensions
from finops.ingest.services import take
from finops.ingest.types import Received
from finops.runtime.places import CHECKOUT
from finops.sources.models import Source
from tests.factories.budgets import budget
from tests.factories.enforcement import agent, key_name, key_of, paid, reach
from tests.factories.ledger import Book, small_book
from tests.factories.orgs import HOUSE, the_cast
from tests.fakes.metered import LINE_MINUTES, MeteredProxy

AT_LEAST = 19


@pytest.fixture
def book(transactional_db: None) -> Book:
    small_book()
    return Book(the_cast().acme)


@pytest.fixture
def start(book: Book, broker_url: str) -> Iterator[Callable[[str, str], None]]:
    """Starts a worker or beat that may call a host inside."""
    database = {name: connection.settings_dict[name] for name in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
    running: list[subprocess.Popen[bytes]] = []
    prefix = f"test-{uuid4().hex}-"

    def one(kind: str, host: str) -> None:
        environment = os.environ | {
            "CAPSTAN_TEST_DATABASE": json.dumps(database),
            "DJANGO_SETTINGS_MODULE": "finops.config.settings",
            "REDIS_URL": broker_url,
            "CAPSTAN_INTERNAL_HOSTS": host,
            "CAPSTAN_ENFORCE_EVERY_S": "1",
        }
        command = [sys.executable, "-m", "tests.faults.budgets.celery_process", kind, prefix]
        running.append(
            subprocess.Popen(
                command, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )

    yield one
    for process in running:
        process.terminate()
    assert [process.wait(timeout=60) for process in running] == [0] * len(running)


class Collector:
    """Fetches what the proxy reports and hands it in, as whoever pulls from a source does."""

    def __init__(self, source: Source, proxy: MeteredProxy, names: dict[str, str]) -> None:
        self._source, self._proxy, self._names = source, proxy, names
        self._since = 0

    def collect(self) -> None:
        with urlopen(f"{self._proxy.address}/report?since={self._since}", timeout=10) as answer:  # noqa: S310 - loopback
            lines = json.load(answer)["lines"]
        if not lines:
            return
        events = [
            paid(one["id"], one["cost"], datetime.fromisoformat(one["at"]), Dimensions(agent=self._names[one["key"]]))
            for one in lines
        ]
        take(
            organization_id=self._source.organization_id,
            source_id=self._source.id,
            parser="capstan",
            received=[Received(one.external_id.encode(), one) for one in events],
            at=timezone.now(),
        )
        self._since = max(one["minute"] for one in lines) + LINE_MINUTES


def _run(book: Book, start: Callable[[str, str], None], settings: Any, *, hour_s: float, hours: float) -> None:
    organization_id, source = book.organization.id, book.source("litellm")
    ways = {key_name(number): way for number, way in enumerate(burns(hours=hours), 1)}
    agents = {key: agent(book.organization, f"way-{number}") for number, key in enumerate(ways, 1)}
    cap = budget(organization_id, "1", each="agent", period=Period.TOTAL, at=timezone.now() - timedelta(minutes=1))
    mine: dict[str, Any] = {"organization_id": organization_id, "budget_id": cap.id, "by": HOUSE, "at": timezone.now()}
    for key, way in ways.items():
        limit = Decimal(str(round(way.limit, 6)))
        set_exception(subject=str(agents[key].id), limit_amount=limit, **mine)
    proxy = MeteredProxy(ways, hour_s=hour_s)
    settings.INTERNAL_HOSTS = {proxy.host}
    try:
        reach(source, proxy.address, delay=timedelta(seconds=hour_s + 0.6), effect=timedelta(0))
        for number, key in enumerate(ways, 1):
            key_of(source, number, "agent", agents[key].id)
        start("worker", proxy.host)
        start("beat", proxy.host)
        collector = Collector(source, proxy, {key: one.slug for key, one in agents.items()})
        while proxy.minute < hours * 60:
            collector.collect()
            threading.Event().wait(hour_s / 60)
        kept = _told(proxy, hours * 60)
        assert sum(kept) >= AT_LEAST
        assert all(proxy.blocks(key) for key in ways)
        # All that was spent is reported: what it came to is known and shown.
        _until(lambda: _all_settled(collector, proxy))
        assert residual(organization_id, cap.id, None).over == len(ways) - sum(kept)
        for one in agents.values():
            set_exception(subject=str(one.id), limit_amount=Decimal(1_000_000), **mine)
        _until(lambda: not any(proxy.blocked.values()))
        _until(lambda: not Block.objects.exclude(state=Block.State.UNBLOCKED).exists())
        assert set(Signal.objects.values_list("kind", flat=True)) == {"enforcement.blocked", "enforcement.unblocked"}
    finally:
        proxy.close()


def _told(proxy: MeteredProxy, until: float) -> list[bool]:
    """Whether each stayed within its cap; prints what was left or went past."""
    kept, unused = [], []
    for key, way in proxy.burns.items():
        share = proxy.spent(key, until) / way.limit
        kept.append(share <= 1)
        unused.append(max(0.0, 1 - share))
        sys.stdout.write(f"{way.name:<18} {share:6.1%} of its cap spent, blocked {proxy.blocks(key)} times\n")
    sys.stdout.write(
        f"{sum(kept)} of {len(kept)} within their caps; {sum(unused) / len(unused):.1%} unused on average\n"
    )
    return kept


def _all_settled(collector: Collector, proxy: MeteredProxy) -> bool:
    """Of those that are blocked; one that was given back since its burn ended spends no more."""
    collector.collect()
    held = Block.objects.filter(state=Block.State.BLOCKED, settled_at__isnull=False)
    return held.count() == sum(proxy.blocked.values())


def _until(holds: Callable[[], Any]) -> None:
    """Waits for a fact; pytest's own timeout ends it should it never be one."""
    while not holds():
        threading.Event().wait(0.1)


def test_twenty_burns_are_blocked_before_their_caps(
    book: Book, start: Callable[[str, str], None], settings: Any
) -> None:
    _run(book, start, settings, hour_s=2, hours=20)


@pytest.mark.soak
def test_also_over_two_days_of_half_a_minute_an_hour(
    book: Book, start: Callable[[str, str], None], settings: Any
) -> None:
    _run(book, start, settings, hour_s=30, hours=24)
