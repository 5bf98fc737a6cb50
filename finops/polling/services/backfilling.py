"""History read backwards, as a job that can be stopped, resumed, and killed anywhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from finops.connectors.fetching import Access, Away, Feed, FetchError, Limited, Refused, RequestRefused, Window
from finops.connectors.pages import BodyUnreadable
from finops.connectors.paging import PagesBroken
from finops.core.actors import Actor
from finops.core.errors import FinopsError
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.jobs.services import JobLost
from finops.polling import rules
from finops.polling.models import PolledFeed
from finops.polling.selectors import BACKFILL, polled
from finops.polling.services.common import (
    AccountInvalid,
    Disconnected,
    FeedStopped,
    access_of,
    known_feed,
    locked_feed,
    note_feed,
)
from finops.polling.services.reading import read_window
from finops.polling.services.states import counted
from finops.polling.types import Clock, Tally
from finops.sources.services import refuse_archived

# Failures in a row, with waits that double: about a day. Then a person says whether it goes on.
MOST_FAILURES: Final = 10
LONGEST_TURN: Final = timedelta(minutes=2)


class BackfillUnderWay(FinopsError):
    """One at a time: another reads the same windows."""

    code = "polling.backfill_under_way"
    status = 409


@transaction.atomic
def open_backfill(*, organization_id: int, feed_id: int, since: datetime, by: Actor, at: datetime) -> Job:
    """Read what is older than what was read, back to `since`. Asking again for what is under way gives that.

    Raises NotFound, Disconnected, FeedStopped, SourceArchived, BackfillUnderWay, and AccountInvalid where there is
    nothing to read, or the provider does not tell of that time any more.
    """
    row = locked_feed(organization_id, feed_id)
    feed = known_feed(row.name)
    _refuse_stopped(row)
    if since < feed_epoch(feed, at):
        raise AccountInvalid(f"the provider tells of {feed.history.days} days at most", field="since")
    since = rules.floor(max(since, rules.oldest(feed, at)), feed.width)
    if since >= row.begun_from:
        raise AccountInvalid(
            f"it was read from {row.begun_from:%Y-%m-%d %H:%M} UTC on: say a day before", field="since"
        )
    for job in Job.objects.filter(
        organization_id=organization_id, kind=BACKFILL, parameters__feed=row.id,
        state__in=(Job.State.QUEUED, Job.State.RUNNING),
    ).order_by("id"):  # fmt: skip
        if job.parameters["since"] == since.isoformat():
            return job
        raise BackfillUnderWay(f"Job {job.id} reads this feed's history: stop it, or wait.")
    job = jobs.open_job(
        organization_id=organization_id,
        kind=BACKFILL,
        parameters={"feed": row.id, "source": row.source.slug, "since": since.isoformat()},
        total=rules.windows_in(feed, since, row.begun_from),
        by=by,
        at=at,
    )
    note_feed("feed.backfill_opened", row, by, at, {"since": since.isoformat(), "job": job.id})
    return job


def feed_epoch(feed: Feed, at: datetime) -> datetime:
    """The earliest that may be asked for; a day more, so that a day that is just at the edge is no mistake."""
    return at - feed.history - timedelta(days=1)


def run_backfill(*, job: Job, now: Clock) -> bool:
    """One turn of a backfill; True where there is more to do at once. Windows are read from the newest to the oldest,
    and `begun_from` moves back with each: that is where it goes on, whoever takes it up. Raises JobLost, and what it
    cannot go on after.
    """
    return _Turn(job, now).run()


class _Halted(Exception):
    """Somebody paused the feed or disconnected its account, or its poll was refused: no more pages."""


class _Turn:
    def __init__(self, job: Job, now: Clock) -> None:
        self.job, self.now = job, now
        self.since = datetime.fromisoformat(job.parameters["since"])
        self.row = PolledFeed.objects.select_related("account", "source").get(
            organization_id=job.organization_id, id=job.parameters["feed"]
        )
        self.cursor: dict[str, Any] = dict(job.cursor)
        # Of the window that is being read.
        self.pages = 0

    def run(self) -> bool:
        began = self.now()
        feed = known_feed(self.row.name)
        while self.since < self.row.begun_from:
            if self._is_to_wait():
                jobs.wait(job=self.job, at=self.now())
                return False
            _refuse_stopped(self.row)
            try:
                go_on = self._window(feed, access_of(self.row.account))
            except _Halted:
                self.row.refresh_from_db()
                continue
            except Limited as error:
                self._left_alone(error.after_s)
                return self._again_later(feed, error, timedelta(seconds=error.after_s))
            except (Refused, RequestRefused):
                raise
            except (FetchError, BodyUnreadable, PagesBroken) as error:
                return self._again_later(feed, error, None)
            if not go_on:
                return False
            if self.now() - began >= LONGEST_TURN and self.since < self.row.begun_from:
                return jobs.wait(job=self.job, at=self.now())
            self.row.refresh_from_db()
        jobs.finish(job=self.job, result={"rows": self.cursor.get("rows", 0)}, at=self.now())
        return False

    def _is_to_wait(self) -> bool:
        """Until the provider may be asked again; while the feed is paused; and for the present of all feeds of the
        account, which goes first.
        """
        at = self.now()
        not_before = self.cursor.get("not_before")
        if not_before is not None and at < datetime.fromisoformat(not_before):
            return True
        present = PolledFeed.objects.filter(polled(), account_id=self.row.account_id, next_at__lte=at)
        return self.row.state == PolledFeed.State.PAUSED or present.exists()

    def _window(self, feed: Feed, access: Access) -> bool:
        """False: stopping was asked for."""
        window = rules.window_before(feed, self.since, self.row.begun_from, self.cursor.get("halved", 0))
        self.pages = 0
        rows = read_window(self.row, feed, access, window, mark=self._mark, now=self.now)
        self.cursor["rows"] = self.cursor.get("rows", 0) + rows
        return self._step(feed, window)

    def _mark(self, made: Tally, newest: datetime | None) -> None:
        if not made.rows:
            self.pages += 1
            if not PolledFeed.objects.filter(polled(), id=self.row.id).exists():
                raise _Halted
        with transaction.atomic():
            go_on = jobs.progress(job=self.job, done=self.job.done, cursor=self.cursor, at=self.now())
            if made.rows:
                PolledFeed.objects.filter(id=self.row.id).update(**counted(made, newest))
        # Where rows are booked this is in their transaction, and to raise would take back the stop too. The next does.
        if not go_on and not made.rows:
            raise JobLost("Stopping was asked for.")

    def _step(self, feed: Feed, window: Window) -> bool:
        for name in ("not_before", "failures", "message"):
            self.cursor.pop(name, None)
        self.cursor["halved"] = max(self.cursor.get("halved", 0) - 1, 0)
        left = rules.windows_in(feed, self.since, window.since)
        with transaction.atomic():
            done = max((self.job.total or 0) - left, self.job.done)
            go_on = jobs.progress(job=self.job, done=done, cursor=self.cursor, at=self.now())
            PolledFeed.objects.filter(id=self.row.id, begun_from__gt=window.since).update(begun_from=window.since)
        return go_on

    def _left_alone(self, after_s: float) -> None:
        """The provider counts calls of an account together: its polls wait too."""
        until = self.now() + timedelta(seconds=after_s)
        PolledFeed.objects.filter(account_id=self.row.account_id).update(next_at=Greatest(F("next_at"), until))

    def _again_later(self, feed: Feed, error: FinopsError, wait: timedelta | None) -> bool:
        """Raises the error where it was tried often enough; a limit is no failure and is waited for."""
        failures = self.cursor.get("failures", 0) + 1
        if wait is None:
            if failures >= MOST_FAILURES:
                raise error
            wait = rules.wait_after(failures, self.row.id)
            self.cursor["failures"] = failures
        if isinstance(error, Away) or self.pages:
            self.cursor["halved"] = min(self.cursor.get("halved", 0) + 1, rules.MOST_HALVED)
        at = self.now()
        self.cursor |= {"not_before": (at + wait).isoformat(), "message": error.message[:300]}
        if jobs.progress(job=self.job, done=self.job.done, cursor=self.cursor, at=at):
            jobs.wait(job=self.job, at=at)
        return False


def _refuse_stopped(row: PolledFeed) -> None:
    """Raises Disconnected, FeedStopped, SourceArchived."""
    if row.account.disconnected_at is not None:
        raise Disconnected("The account is disconnected: set a credential first.")
    if row.state == PolledFeed.State.REFUSED:
        raise FeedStopped("The provider refuses its credential: set another first.")
    refuse_archived(row.source)
