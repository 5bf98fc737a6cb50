"""History read as a job: with progress, stopped, resumed, killed, limited; newest first, and once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from finops.connectors.fetching import Away, Limited, RequestRefused
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.jobs.working import work
from finops.polling import selectors, services
from finops.polling.models import PolledFeed
from finops.polling.services.backfilling import MOST_FAILURES, BackfillUnderWay
from finops.polling.services.common import AccountInvalid, FeedStopped
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import HOUSE, Cast
from tests.factories.polling import AT, Clock, Connected, Provider, connected, record
from tests.fakes.reports.anthropic import AnthropicReports

COST = "anthropic-cost"


def turn(job: Job, clock: Clock) -> Job:
    """What a worker does with it."""
    clock.moves(seconds=1)
    work(job_id=job.id, now=clock, act=lambda one: more(services.run_backfill(job=one, now=clock)))
    job.refresh_from_db()
    return job


def more(_: bool) -> None: ...


@pytest.fixture
def row(cast: Cast, provider: Provider) -> PolledFeed:
    """Polled from yesterday on."""
    one = provider.connected(cast.acme, since=AT - timedelta(days=1))
    services.poll(one.id, Clock())
    provider.asked.clear()
    one.refresh_from_db()
    return one


def backfill(row: PolledFeed, days: float = 5, **said: Any) -> Job:
    asked: dict[str, Any] = {"since": row.begun_from - timedelta(days=days), "by": HOUSE, "at": AT} | said
    return services.open_backfill(organization_id=row.organization_id, feed_id=row.id, **asked)


def test_all_of_the_past_is_read_and_the_watermark_stays(cast: Cast, fake: AnthropicReports) -> None:

    small_book()
    one: Connected = connected(cast.acme, fake, since=AT)
    for name in one.names():
        one.poll(name)
    before = one.feed(COST)
    assert one.kept(COST).rows == 0
    job = services.open_backfill(
        organization_id=cast.acme.id, feed_id=before.id, since=AT - timedelta(days=60), by=HOUSE, at=one.clock()
    )
    assert (job.done, job.total) == (0, 2)
    assert turn(job, one.clock).state == "done"
    after = one.feed(COST)
    assert one.kept(COST) == fake.truth(COST)
    assert (job.done, job.total, job.result) == (2, 2, {"rows": fake.truth(COST).rows})
    assert after.begun_from == AT.replace(hour=0, minute=0) - timedelta(days=60)
    assert after.watermark == before.watermark
    assert after.rows - before.rows == fake.truth(COST).rows


def test_windows_go_back_and_each_ends_in_the_progress(row: PolledFeed, provider: Provider) -> None:
    job, clock, seen = backfill(row, days=2.5), Clock(), []

    def page() -> list[bytes]:
        seen.append((Job.objects.get(id=job.id).done, PolledFeed.objects.get(id=row.id).begun_from))
        return [record(len(seen))]

    provider.pages = [page]
    turn(job, clock)
    day = timedelta(days=1)
    assert [(one.since, one.until) for one in provider.asked] == [
        (row.begun_from - day, row.begun_from),
        (row.begun_from - 2 * day, row.begun_from - day),
        (row.begun_from - 2.5 * day, row.begun_from - 2 * day),
    ]
    assert seen == [(0, row.begun_from), (1, row.begun_from - day), (2, row.begun_from - 2 * day)]
    assert (job.state, job.done, job.total, job.result) == ("done", 3, 3, {"rows": 3})


def test_it_stops_when_asked_and_goes_on_where_it_stood(row: PolledFeed, provider: Provider) -> None:
    job, clock = backfill(row, days=4), Clock()
    who: dict[str, Any] = {"organization_id": row.organization_id, "job_id": job.id, "by": HOUSE, "at": AT}

    def stopped() -> list[bytes]:
        if len(provider.asked) == 2:
            jobs.request_stop(**who)
        return [record(len(provider.asked))]

    provider.pages = [stopped, [record(100)]]
    assert turn(job, clock).state == "stopped"
    assert (job.done, len(provider.asked)) == (1, 2)
    jobs.resume(**who)
    assert turn(job, clock).state == "done"
    # The window in which it was stopped is read again, and is not there twice.
    assert provider.asked[2] == provider.asked[1]
    assert rows("SELECT count(*), count(DISTINCT external_id) FROM ledger_charge") == [(5, 5)]


def test_killed_in_a_window_it_is_taken_up_by_another(row: PolledFeed, provider: Provider) -> None:
    job, clock = backfill(row, days=3), Clock()

    def killed() -> list[bytes]:
        if len(provider.asked) == 2:
            provider.asked.append(provider.asked[-1])
            raise KeyboardInterrupt
        return [record(2)]

    provider.pages = [[record(1)], killed]
    with pytest.raises(KeyboardInterrupt):
        turn(job, clock)
    assert turn(job, clock).state == "running"
    clock.moves(minutes=2)
    assert turn(job, clock).state == "done"
    assert rows("SELECT external_id FROM ledger_charge ORDER BY 1") == [("call-1",), ("call-2",)]
    assert PolledFeed.objects.get(id=row.id).begun_from == row.begun_from - timedelta(days=3)


def test_a_limit_is_waited_for_by_the_job_and_by_the_polls_of_the_account(row: PolledFeed, provider: Provider) -> None:
    job, clock = backfill(row, days=3), Clock()
    PolledFeed.objects.filter(id=row.id).update(next_at=clock.at + timedelta(minutes=5))

    def limited() -> list[bytes]:
        if len(provider.asked) == 1:
            raise Limited("it answered 429", after_s=900)
        return [record(1)]

    provider.pages = [limited]
    assert turn(job, clock).state == "queued"
    assert job.cursor["message"] == "it answered 429"
    assert PolledFeed.objects.get(id=row.id).next_at >= AT + timedelta(seconds=900)
    clock.moves(minutes=10)
    assert turn(job, clock).state == "queued"
    assert len(provider.asked) == 1
    clock.moves(minutes=10)
    # The present goes first.
    assert turn(job, clock).state == "queued"
    assert services.poll(row.id, clock)
    assert turn(job, clock).state == "done"
    assert "message" not in job.cursor


def test_failures_are_tried_again_and_not_for_ever(row: PolledFeed, provider: Provider) -> None:
    job, clock = backfill(row, days=3), Clock()

    def away() -> list[bytes]:
        raise Away("it answered 503")

    provider.pages = [away]
    PolledFeed.objects.filter(id=row.id).update(next_at=AT + timedelta(days=30))
    for _ in range(MOST_FAILURES - 1):
        assert turn(job, clock).state == "queued"
        clock.moves(hours=7)
    assert turn(job, clock).state == "failed"
    assert job.error == "it answered 503"
    # It was asked for less each time: one that does not answer in time may answer less.
    assert (provider.asked[-1].until - provider.asked[-1].since) == provider.feed.width
    jobs.resume(organization_id=row.organization_id, job_id=job.id, by=HOUSE, at=AT)
    provider.pages = [[record(1)]]
    while turn(job, clock).state == "queued":
        clock.moves(minutes=1)
    assert job.state == "done"


def test_what_cannot_be_mended_by_waiting_ends_it_at_once(row: PolledFeed, provider: Provider) -> None:
    def refused() -> list[bytes]:
        raise RequestRefused("it answered 400")

    provider.pages = [refused]
    assert turn(backfill(row), Clock()).error == "it answered 400"
    PolledFeed.objects.filter(id=row.id).update(state="refused")
    with pytest.raises(FeedStopped):
        backfill(row)


def test_a_paused_feed_has_its_history_wait(row: PolledFeed, provider: Provider) -> None:
    job = backfill(row)
    services.pause(organization_id=row.organization_id, feed_id=row.id, by=HOUSE, at=AT)
    assert turn(job, Clock()).state == "queued"
    assert not provider.asked


@pytest.mark.parametrize("act", ["pause", "disconnect"])
def test_whoever_stops_a_feed_stops_its_history_at_the_next_page(row: PolledFeed, provider: Provider, act: str) -> None:
    job = backfill(row)
    who: dict[str, Any] = {"organization_id": row.organization_id, "by": HOUSE, "at": AT}

    def stopped() -> list[bytes]:
        if act == "pause":
            services.pause(feed_id=row.id, **who)
        else:
            services.disconnect(account_id=row.account_id, **who)
        return [record(2)]

    provider.pages = [[record(1)], stopped, [record(3)]]
    turn(job, Clock())
    assert rows("SELECT external_id FROM ledger_charge") == [("call-1",)]
    assert len(provider.asked) == 1
    assert (job.state, job.error[:27]) == {
        "pause": ("queued", ""),
        "disconnect": ("failed", "The account is disconnected"),
    }[act]


def test_one_at_a_time_and_the_same_again_is_the_same(row: PolledFeed) -> None:
    job = backfill(row)
    assert backfill(row).id == job.id
    with pytest.raises(BackfillUnderWay):
        backfill(row, days=6)
    assert selectors.backfills(row.organization_id, [row.id]) == {row.id: job}


def test_only_what_was_not_read_and_is_still_told_can_be_asked_for(row: PolledFeed) -> None:
    for since in (row.begun_from, AT + timedelta(days=1), AT - timedelta(days=400)):
        with pytest.raises(AccountInvalid) as found:
            backfill(row, since=since)
        assert found.value.field == "since"
