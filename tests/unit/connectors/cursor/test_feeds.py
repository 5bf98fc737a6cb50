"""Cursor's usage events, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.factories.feeds import PAGED, PROMISES, Promise, fetched
from tests.fakes.reports.cursor import CursorReports

FEED = "cursor-events"


@pytest.fixture
def fake() -> Iterator[CursorReports]:
    made = CursorReports(until=datetime(2026, 11, 20, tzinfo=UTC))
    yield made
    made.close()


@pytest.mark.parametrize("promise", [*PROMISES, *PAGED])
def test_a_feed_keeps_its_promises(fake: CursorReports, promise: Promise) -> None:
    promise(fake, FEED)


def test_equals_on_two_pages_stay_two_events(fake: CursorReports) -> None:
    """Of 20 equal events a page has four."""
    fake.events = [fake.events[0]] * 20
    assert len(fetched(fake, FEED)) == 20
