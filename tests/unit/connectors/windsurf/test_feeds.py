"""Windsurf's balance, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.factories.feeds import PROMISES, Promise, fetched
from tests.fakes.reports.windsurf import WindsurfReports

FEED = "windsurf-credits"


@pytest.fixture
def fake() -> Iterator[WindsurfReports]:
    made = WindsurfReports(until=datetime(2026, 11, 20, tzinfo=UTC))
    yield made
    made.close()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_feed_keeps_its_promises(fake: WindsurfReports, promise: Promise) -> None:
    promise(fake, FEED)


def test_a_new_cycle_is_another_charge(fake: WindsurfReports) -> None:
    (before,) = fetched(fake, FEED).values()
    fake.cycle, fake.used = fake.cycle.replace(month=12), 10
    (after,) = fetched(fake, FEED).values()
    assert before.external_id != after.external_id
    assert (before.occurred_at.month, after.occurred_at.month) == (11, 12)
