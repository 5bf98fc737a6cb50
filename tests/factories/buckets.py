"""What feeds of buckets promise beyond what every feed does (`factories.feeds`): rows that stand in one window only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Away, RequestRefused, Window
from finops.connectors.registry import PARSERS
from finops.connectors.types import UsageEvent
from tests.factories.feeds import PAGED, PROMISES, Promise, access, told
from tests.fakes.reporting import Reporting

# A fake that is made with it made up the three days before.
UNTIL: Final = datetime(2026, 11, 20, tzinfo=UTC)
DAY: Final = timedelta(days=1)


def whole(fake: Reporting) -> Window:
    """All that it made up."""
    return Window(fake.until - fake.days * DAY, fake.until)


def days(fake: Reporting, *, after: int = 0) -> list[Window]:
    since, until = whole(fake)
    return [Window(since + number * DAY, since + (number + 1) * DAY) for number in range((until - since).days + after)]


def rows(fake: Reporting, name: str, *windows: Window) -> list[UsageEvent]:
    """Every row, and one that stands there twice is there twice; of all it made up where no window is said."""
    parse = PARSERS[FEEDS[name].parser]
    asked = windows or (whole(fake),)
    read = [parse(raw) for each in asked for page in FEEDS[name].pages(access(fake), each) for raw in page]
    assert [one.problem for one in read if one.problem] == []
    return [one.event for one in read if one.event]


def days_side_by_side_are_the_whole(fake: Reporting, name: str) -> None:
    """Also with the day that is not over, of which nothing is told."""
    found = rows(fake, name, *days(fake, after=1))
    by_id = {one.external_id: one for one in found}
    assert len(by_id) == len(found)
    assert told(by_id) == fake.truth(name)
    assert by_id == {one.external_id: one for one in rows(fake, name)}


def a_window_has_its_own_rows_only(fake: Reporting, name: str) -> None:
    for window in days(fake):
        found = rows(fake, name, window)
        assert found
        assert all(window.since <= one.occurred_at < window.until for one in found)
    before = fake.until - (fake.days + 2) * DAY
    assert rows(fake, name, Window(before, before + DAY)) == []


def nothing_is_asked_before_it_is_wanted(fake: Reporting, name: str) -> None:
    """One page at a time, so that no more than one is held."""
    pages = iter(FEEDS[name].pages(access(fake), whole(fake)))
    assert fake.asked == []
    asked = [len(fake.asked) for _ in pages]
    assert asked == list(range(1, len(asked) + 1))
    assert len(asked) > 1


def what_came_before_a_failure_is_kept(fake: Reporting, name: str) -> None:
    pages = iter(FEEDS[name].pages(access(fake), whole(fake)))
    next(pages)
    fake.fail(503)
    with pytest.raises(Away):
        next(pages)


def a_question_that_is_not_understood_is_not_asked_again(fake: Reporting, name: str) -> None:
    fake.fail(400)
    with pytest.raises(RequestRefused):
        rows(fake, name)


BUCKETS: Final[tuple[Promise, ...]] = (
    *PROMISES,
    days_side_by_side_are_the_whole,
    a_window_has_its_own_rows_only,
    a_question_that_is_not_understood_is_not_asked_again,
)
# Of feeds that have more pages than one.
PAGES: Final[tuple[Promise, ...]] = (
    *PAGED,
    nothing_is_asked_before_it_is_wanted,
    what_came_before_a_failure_is_kept,
)
