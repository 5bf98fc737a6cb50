"""A report that tells less than it did takes something back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from finops.connectors.fetching import Says
from finops.polling import services
from finops.polling.models import PolledFeed
from finops.statements.models import Statement
from tests.factories.ledger import disagreements, rows, small_book
from tests.factories.orgs import Cast
from tests.factories.polling import AT, Clock, Provider, kept, record

USED = {"input_uncached": 1_000, "output_text": 100, "requests": 1}


class Told:
    """A provider whose window tells all there is of it."""

    def __init__(self, cast: Cast, **said: Any) -> None:
        self.provider = Provider(**{"whole": True} | said)
        self.cast, self.clock = cast, Clock()
        self.row: PolledFeed | None = None

    def tells(self, *numbers: int) -> PolledFeed:
        """What the window in which everything happened has; those beside it are empty."""
        self.provider.pages = [[record(number) for number in numbers]]
        if self.row is None:
            self.row = self.provider.connected(self.cast.acme, since=AT - timedelta(hours=12))
        self.clock.at = max(self.clock.at, PolledFeed.objects.get(id=self.row.id).next_at)
        assert services.poll(self.row.id, self.clock)
        found = PolledFeed.objects.select_related("source").get(id=self.row.id)
        assert found.state == "active"
        return found


@pytest.mark.parametrize("says", [Says.CHARGES, Says.USAGE])
def test_what_is_told_no_more_is_nothing_and_comes_back_as_it_was(cast: Cast, says: Says) -> None:
    small_book()
    told = Told(cast, says=says)
    with told.provider.known():
        assert kept(told.tells(1, 2).source).counts == {name: 2 * count for name, count in USED.items()}
        found = told.tells(2)
        assert kept(found.source).counts == USED
        assert found.revised == 1
        # Nothing that was taken back is taken back once more.
        assert told.tells(2).revised == 1
        assert kept(told.tells(1, 2).source).counts == {name: 2 * count for name, count in USED.items()}
        assert disagreements(cast.acme.id) == []


def test_a_report_without_any_rows_takes_nothing_back(cast: Cast) -> None:
    small_book()
    told = Told(cast)
    with told.provider.known():
        told.tells(1, 2)
        assert kept(told.tells().source).counts == {name: 2 * count for name, count in USED.items()}


def test_a_window_that_broke_off_takes_nothing_back(cast: Cast) -> None:
    small_book()
    told = Told(cast)
    with told.provider.known():
        row = told.tells(1, 2)

        def breaks() -> list[bytes]:
            raise ConnectionError

        told.provider.pages = [[record(1)], breaks]
        told.clock.at = row.next_at
        services.poll(row.id, told.clock)
        assert PolledFeed.objects.get(id=row.id).state == "failing"
        assert kept(row.source).counts == {name: 2 * count for name, count in USED.items()}


def test_a_feed_whose_windows_are_parts_takes_nothing_back(cast: Cast) -> None:
    small_book()
    told = Told(cast, whole=False)
    with told.provider.known():
        told.tells(1, 2)
        assert kept(told.tells(2).source).counts == {name: 2 * count for name, count in USED.items()}


def test_what_is_outside_of_the_window_is_left_alone(cast: Cast) -> None:
    small_book()
    told = Told(cast, says=Says.USAGE)
    with told.provider.known():
        told.tells(1, 2)
        Statement.objects.filter(external_id="call-1").update(day=(AT - timedelta(days=40)).date())
        told.tells(2)
        assert rows("SELECT revision FROM statements_statement WHERE external_id = 'call-1'") == [(0,)]
