"""A feed of an account that is real, or made up as one, read into the books by the job that polls."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.test import override_settings

from finops.connectors.fetching import Access, Account, Feed
from finops.connectors.registry import PARSERS
from finops.connectors.types import UsageEvent
from finops.core.tokens import METERS
from finops.orgs.models import Organization
from finops.polling import rules, services
from finops.polling.models import PolledFeed
from finops.polling.services.common import seal
from tests.factories.orgs import HOUSE
from tests.factories.polling import Clock, kept
from tests.fakes.reporting import Truth

_MOST_TURNS = 200


def a_feed_comes_into_the_books(
    organization: Organization, account: Account, feed: Feed, asked: Access, now: datetime
) -> Truth:
    """The day before yesterday: every record of it once, with its counts and its money; told again, nothing is added;
    with a key that is none nobody is let in, and what was read stays. Of other feeds nothing is asked. What there was.
    """
    clock = Clock(now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1))
    with override_settings(INTERNAL_HOSTS=frozenset(asked.internal)):
        row = services.connect(
            organization_id=organization.id, account=account.name, credential=asked.credential, address=asked.address,
            settings=dict(asked.settings), feeds=(feed.name,) if feed.optional else (),
            since=clock.at - timedelta(days=1), by=HOUSE, at=clock(),
        )  # fmt: skip
        for other in row.feeds.exclude(name=feed.name):
            services.pause(organization_id=organization.id, feed_id=other.id, by=HOUSE, at=clock())
        polled = _read(row.feeds.get(name=feed.name), clock)
        told = _told(feed, asked, polled.begun_from, rules.ceiling(clock.at, feed.width))
        there = kept(polled.source)
        # What nobody has an exchange rate for waits in quarantine.
        assert there.rows + polled.held == told.rows, f"{feed.name}: {there.rows} of {told.rows} rows are in the books"
        assert polled.held or there == told, f"{feed.name}: the books say other figures than its records"

        services.poll_now(organization_id=organization.id, feed_id=polled.id, by=HOUSE, at=clock())
        again = _read(polled, clock)
        assert (again.booked, again.revised) == (polled.booked, polled.revised), f"{feed.name}: read again it is new"
        assert kept(polled.source) == there

        row.sealed = seal(f"{asked.credential}-of-nobody")
        row.save(update_fields=["sealed"])
        services.poll_now(organization_id=organization.id, feed_id=polled.id, by=HOUSE, at=clock())
        services.poll(polled.id, clock)
        polled.refresh_from_db()
        assert polled.state == PolledFeed.State.REFUSED, f"{feed.name}: a key that is none is {polled.state}"
        assert kept(polled.source) == there
    return there


def _read(polled: PolledFeed, clock: Clock) -> PolledFeed:
    """Turns until it has been read to its end."""
    before = polled.last_success_at
    for _ in range(_MOST_TURNS):
        services.poll(polled.id, clock)
        polled = PolledFeed.objects.select_related("source", "account").get(id=polled.id)
        assert polled.state == PolledFeed.State.ACTIVE, f"{polled.name}: {polled.last_code} {polled.last_message}"
        if polled.last_success_at != before:
            return polled
        clock.at = max(clock.at, polled.next_at)
    raise AssertionError(f"{polled.name} was not read in {_MOST_TURNS} turns")


def _told(feed: Feed, asked: Access, since: datetime, until: datetime) -> Truth:
    """What its records say when they are asked for once more; of an id told twice, what was told last."""
    found: dict[str, UsageEvent] = {}
    while since < until:
        window = rules.next_window(feed, since, until, 0)
        for page in feed.pages(asked, window):
            for raw in page:
                event = PARSERS[feed.parser](raw).event
                assert event is not None, f"a record of {feed.name} cannot be read"
                found[event.external_id] = event
        since = window.until
    counts: Counter[str] = Counter()
    pico: Counter[str] = Counter()
    for event in found.values():
        counts.update({meter: count for meter, count in zip(METERS, event.counts, strict=True) if count})
        if event.cost is not None and event.cost.pico:
            pico[event.cost.currency] += event.cost.pico
    return Truth(len(found), dict(counts), dict(pico))
