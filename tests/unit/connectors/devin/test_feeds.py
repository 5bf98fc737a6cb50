"""Devin's consumption, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from finops.connectors.devin.parse import parse
from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import RequestRefused, Window
from tests.factories.feeds import PROMISES, Promise, access
from tests.fakes.reports.devin import DevinReports

FEED = "devin-daily"
UNTIL = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def fake() -> Iterator[DevinReports]:
    made = DevinReports(until=UNTIL)
    yield made
    made.close()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_feed_keeps_its_promises(fake: DevinReports, promise: Promise) -> None:
    promise(fake, FEED)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [(0, 24, ["17"]), (0, 9, ["17"]), (0, 8, []), (8, 24, ["17"]), (9, 24, []), (9, 48, ["18"]), (0, 48, ["17", "18"])],
)
def test_a_day_belongs_to_the_window_it_begins_in(fake: DevinReports, since: int, until: int, days: list[str]) -> None:
    begin = UNTIL - timedelta(days=3)
    window = Window(begin + timedelta(hours=since), begin + timedelta(hours=until))
    events = [parse(raw).event for rows in FEEDS[FEED].pages(access(fake), window) for raw in rows]
    assert sorted({event.occurred_at.strftime("%d") for event in events if event}) == days
    assert len(fake.asked) == bool(days)


@pytest.mark.parametrize("settings", [{}, {"acu_price": "two"}, {"acu_price": "-1"}, {"acu_price": "1e3"}])
def test_a_price_is_needed(fake: DevinReports, settings: dict[str, str]) -> None:
    with pytest.raises(RequestRefused, match="acu_price"):
        list(FEEDS[FEED].pages(access(fake, settings=settings), Window(UNTIL - timedelta(days=1), UNTIL)))
    assert fake.asked == []


def test_one_organization_in_another_currency(fake: DevinReports) -> None:
    settings = {"acu_price": "2", "currency": "eur", "organization": "org-1"}
    window = Window(UNTIL - timedelta(days=1), UNTIL)
    events = [parse(raw).event for rows in FEEDS[FEED].pages(access(fake, settings=settings), window) for raw in rows]
    assert {(event.provider_account, event.cost.currency) for event in events if event and event.cost} == {
        ("org-1", "EUR")
    }
