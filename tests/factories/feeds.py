"""What is true of every feed, asked of the fake that stands for its provider: `CHECKS`, each a function of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import pytest

from finops.connectors.fetching import Access, Account, Away, Feed, FetchError, Limited, Refused, RequestRefused, Window
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import PARSERS
from finops.connectors.types import Received, UsageEvent, content_hash
from finops.core.tokens import METERS
from tests.fakes.reporting import SECRET, Reporting, Truth

# A fake that is asked by default made up the three days before this one.
NOW: Final = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
DAYS: Final = 3
_DAY: Final = timedelta(days=1)

Check = Callable[[Reporting, Feed], None]
Test = TypeVar("Test", bound=Callable[..., None])


def access(fake: Reporting) -> Access:
    return Access(address=fake.address, credential=fake.credential, settings=dict(fake.settings), internal=(fake.host,))


def span(fake: Reporting) -> Window:
    """All that it made up."""
    until = fake.until.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(until - fake.days * _DAY, until)


def windows(fake: Reporting, feed: Feed) -> Iterator[Window]:
    """Of a day each, or of the width where that is more; a last one goes to the end of the day that is not over."""
    step = max(_DAY, feed.width)
    at, until = span(fake)
    while at <= until:
        yield Window(at, at + step)
        at += step


def fetched(fake: Reporting, feed: Feed, *asked: Window) -> list[Received]:
    """Everything of some windows, read by the parser its records are read by; of all of them where none is said."""
    parse = PARSERS[feed.parser]
    of = asked or tuple(windows(fake, feed))
    return [parse(raw) for one in of for page in feed.pages(access(fake), one) for raw in page]


def events(received: list[Received]) -> list[UsageEvent]:
    assert [one.problem for one in received if one.problem] == []
    return [one.event for one in received if one.event]


def summed(found: list[UsageEvent]) -> Truth:
    """What they say in all, as a fake says what is true."""
    counts, pico = Counter[str](), Counter[str]()
    for event in found:
        counts.update({name: count for name, count in zip(METERS, event.counts, strict=True) if count})
        if event.cost:
            pico[event.cost.currency] += event.cost.pico
    return Truth(len(found), dict(counts), dict(pico))


def tells_the_truth(fake: Reporting, feed: Feed) -> None:
    """Windows that lie side by side hold everything once."""
    found = events(fetched(fake, feed))
    assert summed(found) == fake.truth(feed.name)
    assert len(found) > 0
    assert len({event.external_id for event in found}) == len(found)
    assert all(event.provider == feed.provider for event in found if feed.provider)


def tells_it_in_one_window_too(fake: Reporting, feed: Feed) -> None:
    whole = span(fake)
    if whole.until - whole.since <= feed.longest:
        assert summed(events(fetched(fake, feed, whole))) == fake.truth(feed.name)


def keeps_to_the_window(fake: Reporting, feed: Feed) -> None:
    before, after = list(windows(fake, feed))[1:3]
    found = {event.external_id for event in events(fetched(fake, feed, before))}
    assert found
    assert found.isdisjoint(event.external_id for event in events(fetched(fake, feed, after)))
    early = Window(span(fake).since - 2 * max(_DAY, feed.width), span(fake).since - max(_DAY, feed.width))
    assert fetched(fake, feed, early) == []


def asks_page_by_page(fake: Reporting, feed: Feed) -> None:
    """Nothing is asked before somebody wants it, and no page before the one before it was taken."""
    pages = iter(feed.pages(access(fake), span_of(fake, feed)))
    assert fake.asked == []
    asked = [len(fake.asked) for _ in pages]
    assert asked == sorted(set(asked))
    assert len(asked) > 1


def says_the_same_again(fake: Reporting, feed: Feed) -> None:
    once, again = events(fetched(fake, feed)), events(fetched(fake, feed))
    assert [(one.external_id, content_hash(one)) for one in once] == [
        (one.external_id, content_hash(one)) for one in again
    ]


def revises(fake: Reporting, feed: Feed) -> None:
    """A figure that is told otherwise is another content under the same id."""
    before = {one.external_id: content_hash(one) for one in events(fetched(fake, feed))}
    first = fake.truth(feed.name)
    fake.revise()
    found = events(fetched(fake, feed))
    after = {one.external_id: content_hash(one) for one in found}
    assert after.keys() == before.keys()
    assert 0 < sum(after[name] != before[name] for name in after) < len(after)
    assert summed(found) == fake.truth(feed.name) != first


def waits_as_long_as_it_is_told(fake: Reporting, feed: Feed) -> None:
    for said, waits in (({"retry-after": "7"}, 7.0), ({}, 60.0), ({"retry-after": "Fri, 20 Nov 2026"}, 60.0)):
        fake.fail(429, headers=said)
        with pytest.raises(Limited) as error:
            fetched(fake, feed)
        assert error.value.after_s == waits


def keeps_what_came_before_a_failure(fake: Reporting, feed: Feed) -> None:
    pages = iter(feed.pages(access(fake), span_of(fake, feed)))
    next(pages)
    fake.fail(503)
    with pytest.raises(Away):
        list(pages)


def a_revoked_key_is_refused(fake: Reporting, feed: Feed) -> None:
    fake.revoke()
    with pytest.raises(Refused) as error:
        fetched(fake, feed)
    assert SECRET not in str(error.value)


def another_key_is_refused(fake: Reporting, feed: Feed) -> None:
    old = access(fake)
    fake.credential = "rotated"
    with pytest.raises(Refused):
        list(feed.pages(old, next(windows(fake, feed))))
    assert fetched(fake, feed)


def a_page_for_people_is_no_page(fake: Reporting, feed: Feed) -> None:
    fake.fail(200, body=b"<html><body>Down for maintenance</body></html>")
    with pytest.raises(BodyUnreadable):
        fetched(fake, feed)


def what_is_away_is_away(fake: Reporting, feed: Feed) -> None:
    for status in (500, 502, 408):
        fake.fail(status)
        with pytest.raises(Away):
            fetched(fake, feed)


def a_question_that_is_not_understood(fake: Reporting, feed: Feed) -> None:
    fake.fail(400)
    with pytest.raises(RequestRefused):
        fetched(fake, feed)


CHECKS: Final[tuple[Check, ...]] = (
    tells_the_truth,
    tells_it_in_one_window_too,
    keeps_to_the_window,
    asks_page_by_page,
    says_the_same_again,
    revises,
    waits_as_long_as_it_is_told,
    keeps_what_came_before_a_failure,
    a_revoked_key_is_refused,
    another_key_is_refused,
    a_page_for_people_is_no_page,
    what_is_away_is_away,
    a_question_that_is_not_understood,
)


def span_of(fake: Reporting, feed: Feed) -> Window:
    """As much of all it made up as may be asked at once."""
    whole = span(fake)
    return Window(whole.since, min(whole.until, whole.since + feed.longest))


def every(account: Account) -> Callable[[Test], Test]:
    """Marks a test that is run for each check of each feed of an account, as `check` and `feed`."""

    def both(test: Test) -> Test:
        checked = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)(test)
        return pytest.mark.parametrize("feed", account.feeds, ids=lambda feed: feed.name)(checked)

    return both


def probed(account: Account, kind: type[Reporting]) -> None:
    """A good key passes with one question; one that is not is refused, and what is no key at all is not said."""
    with closing(kind(until=NOW)) as fake:
        account.probe(access(fake))
        assert len(fake.asked) == 1
        fake.fail(429)
        with pytest.raises(FetchError):
            account.probe(access(fake))
        fake.revoke()
        with pytest.raises(Refused):
            account.probe(access(fake))
