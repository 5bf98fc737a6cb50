"""What every feed promises, asked of a fake over real HTTP: tests that each take a fake and a feed's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.connectors.fetching import Access, Account, Away, Feed, Limited, Refused, Window
from finops.connectors.pages import BodyUnreadable
from finops.connectors.paging import PagesBroken
from finops.connectors.registry import PARSERS
from finops.connectors.types import UsageEvent, content_hash
from finops.core.tokens import METERS
from tests.fakes.reporting import Reporting, Truth

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
Promise = Callable[[Reporting, str], None]


def account_of(fake: Reporting) -> Account:
    return ACCOUNTS[fake.account]


def access(fake: Reporting, **changes: Any) -> Access:
    given = {"credential": fake.credential, "settings": fake.settings, "address": fake.address} | changes
    return Access(internal=(fake.host,), **given)


def windows(feed: Feed, fake: Reporting) -> Iterator[Window]:
    """Those that cover what a fake made up, as whoever polls cuts them: by `width`, each at most `longest`."""
    since = fake.until - timedelta(days=fake.days)
    since -= (since - _EPOCH) % feed.width
    while since < fake.until:
        until = min(since + feed.longest, fake.until + (_EPOCH - fake.until) % feed.width)
        yield Window(since, until)
        since = until


def pages(fake: Reporting, name: str, **changes: Any) -> Iterator[Sequence[bytes]]:
    feed = FEEDS[name]
    for window in windows(feed, fake):
        yield from feed.pages(access(fake, **changes), window)


def fetched(fake: Reporting, name: str, **changes: Any) -> dict[str, UsageEvent]:
    """All of a feed's events by their ids, as a ledger keeps them: what is told twice is the same."""
    parse = PARSERS[FEEDS[name].parser]
    found: dict[str, UsageEvent] = {}
    for rows in pages(fake, name, **changes):
        for raw in rows:
            received = parse(raw)
            assert received.event is not None, received.problem
            before = found.setdefault(received.external_id, received.event)
            assert content_hash(before) == content_hash(received.event)
    return found


def told(events: dict[str, UsageEvent]) -> Truth:
    counts: Counter[str] = Counter()
    pico: Counter[str] = Counter()
    for event in events.values():
        counts.update({meter: count for meter, count in zip(METERS, event.counts, strict=True) if count})
        if event.cost is not None and event.cost.pico:
            pico[event.cost.currency] += event.cost.pico
    return Truth(len(events), dict(counts), dict(pico))


def first(fake: Reporting, name: str) -> list[Sequence[bytes]]:
    """The pages of the first window that has any rows."""
    feed = FEEDS[name]
    for window in windows(feed, fake):
        found = list(feed.pages(access(fake), window))
        if any(found):
            return found
    raise AssertionError("the fake made nothing up")


def what_is_fetched_is_the_truth(fake: Reporting, name: str) -> None:
    truth = fake.truth(name)
    assert truth.rows
    assert told(fetched(fake, name)) == truth


def a_probe_asks_once_and_finds_a_revoked_key(fake: Reporting, name: str) -> None:
    account_of(fake).probe(access(fake))
    assert len(fake.asked) == 1
    fake.revoke()
    with pytest.raises(Refused):
        account_of(fake).probe(access(fake))


def a_limit_says_how_long(fake: Reporting, name: str) -> None:
    fake.fail(429, headers={"retry-after": "17"})
    with pytest.raises(Limited) as found:
        first(fake, name)
    assert found.value.after_s == 17
    assert told(fetched(fake, name)) == fake.truth(name)


def a_revoked_key_is_refused_and_not_told(fake: Reporting, name: str) -> None:
    fake.revoke()
    with pytest.raises(Refused) as found:
        first(fake, name)
    assert fake.credential not in str(found.value)
    assert fake.credential not in repr(access(fake))


def a_page_of_html_is_no_empty_report(fake: Reporting, name: str) -> None:
    fake.fail(*[200] * 3, body=b"<!doctype html><title>Sign in</title>", headers={"Content-Type": "text/html"})
    with pytest.raises(BodyUnreadable):
        first(fake, name)


def a_server_in_trouble_is_away(fake: Reporting, name: str) -> None:
    fake.fail(500)
    with pytest.raises(Away):
        first(fake, name)


def what_is_asked_again_has_the_same_ids(fake: Reporting, name: str) -> None:
    before, after = fetched(fake, name), fetched(fake, name)
    assert {key: content_hash(event) for key, event in before.items()} == {
        key: content_hash(event) for key, event in after.items()
    }


def a_revision_keeps_its_id(fake: Reporting, name: str) -> None:
    before, truth = fetched(fake, name), fake.truth(name)
    fake.revise()
    after = fetched(fake, name)
    assert before.keys() == after.keys()
    changed = [key for key in before if content_hash(before[key]) != content_hash(after[key])]
    assert 0 < len(changed) <= max(1, len(before) // 2)
    assert fake.truth(name) != truth
    assert told(after) == fake.truth(name)


PROMISES: Final[tuple[Promise, ...]] = (
    what_is_fetched_is_the_truth,
    a_probe_asks_once_and_finds_a_revoked_key,
    a_limit_says_how_long,
    a_revoked_key_is_refused_and_not_told,
    a_page_of_html_is_no_empty_report,
    a_server_in_trouble_is_away,
    what_is_asked_again_has_the_same_ids,
    a_revision_keeps_its_id,
)


def several_pages_are_followed(fake: Reporting, name: str) -> None:
    """Of one window."""
    assert len([rows for rows in first(fake, name) if rows]) > 1


def a_page_that_leads_back_is_given_up(fake: Reporting, name: str) -> None:
    """The first page of a window that has several is answered whatever page is asked for."""
    feed = FEEDS[name]
    for window in windows(feed, fake):
        begun = len(fake.asked)
        if len([rows for rows in feed.pages(access(fake), window) if rows]) > 1:
            break
    else:
        raise AssertionError("no window has two pages")
    asked, answer = fake.asked[begun], fake.answer
    stuck = answer(asked)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(PagesBroken):
        patch.setattr(fake, "answer", lambda each: stuck if each.path == asked.path else answer(each))
        list(feed.pages(access(fake), window))


PAGED: Final[tuple[Promise, ...]] = (several_pages_are_followed, a_page_that_leads_back_is_given_up)


# --- Of a real provider, whose truth nobody here knows ----------------------------------------------------------------
def yesterday(feed: Feed, now: datetime) -> Window:
    """One window as whoever polls cuts it, that ends with the last whole day: a day, or as much as may be asked for."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    until = midnight - (midnight - _EPOCH) % feed.width
    length = min(max(timedelta(days=1), feed.width), feed.longest)
    return Window(until - max(length - length % feed.width, feed.width), until)


def live_ids(feed: Feed, access: Access, window: Window) -> list[str]:
    """The ids of a window's records, in order. A record that cannot be read fails, by its problem and not its text:
    real records hold names.
    """
    parse = PARSERS[feed.parser]
    found: list[str] = []
    for rows in feed.pages(access, window):
        for raw in rows:
            received = parse(raw)
            place = f"record {len(found) + 1} of {feed.name}"
            assert received.event is not None, f"{place} cannot be read: {received.problem}"
            assert received.external_id, f"{place} has no id"
            found.append(received.external_id)
    return found


def a_real_window_is_read_twice_alike(feed: Feed, access: Access, window: Window) -> int:
    """Every record can be read, no id is there twice, and a second read finds all ids again. How many there were.

    What comes late may be in the second read alone.
    """
    first = live_ids(feed, access, window)
    twice = [key for key, times in Counter(first).items() if times > 1]
    assert not twice, f"{len(twice)} of {len(first)} ids of {feed.name} are told twice"
    lost = set(first) - set(live_ids(feed, access, window))
    assert not lost, f"{len(lost)} of {len(first)} ids of {feed.name} were not found again"
    return len(first)
