"""Workers killed while they read and while they book, again and again: what is there is what the provider says.

Of every account that can be connected, and every feed of it: a new one is here by itself.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pytest

from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.ingest.models import QuarantinedRecord
from finops.jobs.models import Job
from finops.jobs.selectors import STALE_AFTER
from finops.polling import rules, services
from finops.polling.models import PolledFeed
from finops.polling.services.states import LEASE
from tests.factories.feeds import access
from tests.factories.killing import KILLED, Workers, before_the_end, settled, soon
from tests.factories.ledger import disagreements, small_book
from tests.factories.orgs import HOUSE, the_cast
from tests.factories.polling import AT, Connected, calling, connected
from tests.fakes.reports.registry import FAKES

pytestmark = pytest.mark.timeout(240)
MIDNIGHT: Final = AT.replace(hour=0, minute=0)
DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)
DAYS: Final = 2


@pytest.fixture(scope="module")
def workers(django_db_setup: None) -> Iterator[Workers]:
    made = Workers()
    yield made
    made.close()


@dataclass
class Story:
    """One feed of an account: what is older than a day is left to a backfill."""

    account: Connected
    name: str
    workers: Workers
    dice: random.Random
    at: datetime = AT
    job: Job | None = None

    @property
    def row(self) -> PolledFeed:
        return self.account.feed(self.name)

    @property
    def table(self) -> str:
        """Where a worker writes what is new: charges, whose keys are asked first, or statements."""
        return "statements_statement" if self.row.source.states else "ledger_charge"

    def questions(self) -> int:
        """How many requests it takes from where it stands to its end: asked by the test itself."""
        row, feed, fake = self.row, FEEDS[self.name], self.account.fake
        begun = len(fake.asked)
        if self.job is None:
            round_at = row.round_at or self.at
            since = row.reached or rules.again_from(
                feed, watermark=row.watermark, begun_from=row.begun_from, at=round_at
            )
            end = rules.ceiling(round_at, feed.width)
        else:
            since, end = datetime.fromisoformat(self.job.parameters["since"]), row.begun_from
        while since < end:
            if self.job is None:
                window = rules.next_window(feed, since, end, row.halved)
                since = window.until
            else:
                window = rules.window_before(feed, since, end, 0)
                end = window.since
            for _ in feed.pages(access(fake), window):
                pass
        return len(fake.asked) - begun

    def begins(self) -> None:
        what, number = ("poll", self.row.id) if self.job is None else ("backfill", self.job.id)
        self.workers.begin(what, number, host=self.account.fake.host, at=self.at)

    def killed_while_asking(self, number: int) -> None:
        """The request of this number is on its way."""
        with self._held(number):
            assert self.workers.kill() == KILLED
        self._over()

    def killed_while_booking(self, number: int = 1) -> None:
        """Of what the answer to this request brings: all is written, and nothing is committed."""
        with before_the_end(self.table, self.row.id) as end:
            with self._held(number):
                before = self.account.kept(self.name)
            soon(lambda: end.is_at_rows() or self.workers.is_ended)
            assert not self.workers.is_ended, "it books nothing after that"
            end.on_to_the_feed()
            soon(end.is_at_feed)
            assert self.workers.kill() == KILLED
        self._over()
        assert self.account.kept(self.name) == before

    def killed_anywhere(self, most: int) -> None:
        """At some moment after one of so many requests; it may have come to its end by then."""
        if most:
            with self._held(self.dice.randint(1, most)):
                pass
        else:
            self.begins()
        threading.Event().wait(self.dice.uniform(0, 0.04))
        assert self.workers.kill() in (KILLED, 0)
        self._over()

    def ends(self) -> None:
        """It asks for what is left, and for nothing else."""
        left = self.questions()
        begun = len(self.account.fake.asked)
        self.begins()
        assert self.workers.end() == 0
        assert len(self.account.fake.asked) - begun == left
        self._over()

    def passes_on_when_its_lease_ends(self) -> None:
        row, asked = self.row, len(self.account.fake.asked)
        assert row.lease
        assert row.leased_until is not None
        last = row.leased_until
        assert last <= AT + LEASE + SECOND
        assert not services.poll(row.id, lambda: last)
        assert len(self.account.fake.asked) == asked

    def goes_back(self) -> None:
        """From here on it is about its history."""
        feeds = PolledFeed.objects.filter(account=self.account.row)
        # The present goes first; here it waits.
        feeds.update(next_at=AT + 90 * DAY)
        self.job = services.open_backfill(
            organization_id=self.account.organization.id,
            feed_id=self.row.id,
            since=MIDNIGHT - (DAYS + 1) * DAY,
            by=HOUSE,
            at=self.at,
        )

    @contextmanager
    def _held(self, number: int) -> Iterator[None]:
        fake = self.account.fake
        fake.hold(number)
        self.begins()
        soon(lambda: fake.is_holding or self.workers.is_ended)
        assert fake.is_holding, f"it ended without a request {number}"
        yield
        fake.let_go()

    def _over(self) -> None:
        """What is there is what was counted, whatever became of the worker; and when the next one may."""
        settled()
        row = self.row
        assert row.rows == row.booked + row.revised + row.duplicates
        assert row.held == 0
        assert self.account.kept(self.name).rows == row.booked
        if self.job is not None:
            self.job.refresh_from_db()
            self.at = max(self.at, self.job.beat_at or self.at) + STALE_AFTER + SECOND
        else:
            self.at = max(self.at, row.leased_until or self.at, row.next_at) + SECOND


@pytest.fixture(params=sorted(ACCOUNTS))
def stories(request: pytest.FixtureRequest, transactional_db: None, workers: Workers) -> Iterator[list[Story]]:
    fake = FAKES[request.param](until=AT, days=DAYS)
    with calling(fake), workers.at_work():
        small_book()
        account = connected(the_cast().acme, fake, since=MIDNIGHT - DAY)
        yield [Story(account, name, workers, random.Random(f"{name} 7")) for name in account.names()]


def test_killed_while_it_reads_and_while_it_books(stories: list[Story]) -> None:
    account = stories[0].account
    for story in stories:
        story.killed_while_asking(1)
        story.passes_on_when_its_lease_ends()
        assert story.row.rows == 0
        story.killed_while_booking()
        story.killed_while_asking(story.questions())
        story.killed_anywhere(story.questions())
    # Of a round of which most was read.
    account.fake.revise()
    for story in stories:
        story.ends()
    told = {story.name: account.fake.truth(story.name) for story in stories}
    account.fake.revise()
    for story in stories:
        if account.fake.truth(story.name) != told[story.name]:
            story.killed_while_booking()
        story.killed_while_asking(story.questions())
        story.ends()
        assert (story.row.state, story.row.lease) == ("active", "")
    for story in stories:
        history_is_read_on_where_it_was_cut_off(story)
    assert {story.name: account.kept(story.name) for story in stories} == {
        story.name: account.fake.truth(story.name) for story in stories
    }
    assert not QuarantinedRecord.objects.exists()
    assert disagreements(account.organization.id) == []


def history_is_read_on_where_it_was_cut_off(story: Story) -> None:
    if FEEDS[story.name].history < DAY:
        # Only what is now is told.
        return
    story.goes_back()
    assert story.job is not None
    begun_from, windows, whole = story.row.begun_from, story.job.total or 0, story.questions()
    story.killed_while_booking()
    story.killed_while_asking(whole)
    # Asked for its last request, all windows but one are done, and nobody begins with them again.
    assert story.job.done == windows - 1
    assert (story.row.begun_from < begun_from) == (windows > 1)
    assert (story.questions() < whole) == (windows > 1)
    story.ends()
    assert (story.job.state, story.job.done) == ("done", windows)
