"""Whose turn a feed is: one worker's at a time, whatever becomes of it; and feeds paused, resumed and asked at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from finops.config.celery import app
from finops.jobs.models import Job
from finops.polling import selectors, services, tasks
from finops.polling.models import PolledFeed
from finops.polling.services.common import Disconnected, FeedStopped
from finops.polling.services.states import LEASE
from finops.runtime.management.commands import up
from routing.laptop import running
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE, Cast
from tests.factories.polling import AT, Clock, Provider, record

WHO: dict[str, Any] = {"by": HOUSE, "at": AT}


def charges() -> int:
    ((many,),) = rows("SELECT count(*) FROM ledger_charge")
    return int(many)


def test_two_workers_at_once_and_one_reads(cast: Cast, provider: Provider) -> None:
    row, clock = provider.connected(cast.acme, since=AT), Clock()
    others: list[bool] = []

    def meanwhile() -> list[bytes]:
        others.append(services.poll(row.id, clock))
        assert selectors.due(clock.at, limit=10) == []
        assert selectors.at_work(clock.at) == 1
        return [record(1)]

    provider.pages = [meanwhile]
    assert services.poll(row.id, clock)
    assert others == [False]
    assert len(provider.asked) == 1
    assert charges() == 1


def test_a_worker_that_died_leaves_its_turn_and_nothing_is_double(cast: Cast, provider: Provider) -> None:
    row, clock = provider.connected(cast.acme, since=AT), Clock()

    def killed() -> list[bytes]:
        raise KeyboardInterrupt

    provider.pages = [[record(1), record(2)], killed]
    with pytest.raises(KeyboardInterrupt):
        services.poll(row.id, clock)
    assert charges() == 2
    provider.pages = [[record(1), record(2)], [record(3)]]
    clock.moves(minutes=1)
    assert not services.poll(row.id, clock)
    clock.at += LEASE
    assert services.poll(row.id, clock)
    row.refresh_from_db()
    assert (charges(), row.state, row.booked, row.duplicates) == (3, "active", 3, 2)


def test_a_worker_that_slept_too_long_writes_nothing_more(cast: Cast, provider: Provider) -> None:
    """What it holds is older than what the other one read: it would take a revision back."""
    row, clock = provider.connected(cast.acme, since=AT), Clock()
    slept: list[int] = []

    def sleeps() -> list[bytes]:
        if not slept:
            slept.append(1)
            clock.at += LEASE + timedelta(seconds=1)
            assert services.poll(row.id, clock)
            return [record(1, output=1), record(2)]
        return [record(1, output=200)]

    provider.pages = [sleeps]
    assert services.poll(row.id, clock)
    row.refresh_from_db()
    assert rows("SELECT external_id, output_text FROM ledger_charge") == [("call-1", 200)]
    assert (row.booked, row.revised, row.state, row.lease) == (1, 0, "active", "")


def test_whoever_pauses_a_feed_stops_it_at_once(cast: Cast, provider: Provider) -> None:
    row, clock = provider.connected(cast.acme, since=AT), Clock()

    def paused() -> list[bytes]:
        services.pause(organization_id=cast.acme.id, feed_id=row.id, **WHO)
        return [record(2)]

    provider.pages = [[record(1)], paused]
    services.poll(row.id, clock)
    row.refresh_from_db()
    assert (charges(), row.state, row.lease) == (1, "paused", "")
    assert row.watermark == row.begun_from
    clock.moves(days=40)
    assert not services.poll(row.id, clock)
    provider.pages = [[record(1)], [record(2)]]
    services.resume(organization_id=cast.acme.id, feed_id=row.id, by=HOUSE, at=clock.at)
    assert services.poll(row.id, clock)
    # The round that was begun is ended, and the next one is due at once: forty days are waiting.
    assert services.poll(row.id, clock)
    row.refresh_from_db()
    assert (charges(), row.state) == (2, "active")
    assert row.watermark > AT + timedelta(days=40)


def test_what_is_asked_for_twice_is_done_once(cast: Cast, provider: Provider) -> None:
    row = provider.connected(cast.acme)
    asked: dict[str, Any] = {"organization_id": cast.acme.id, "feed_id": row.id, **WHO}
    for act, state in ((services.pause, "paused"), (services.resume, "active")):
        assert [act(**asked).state, act(**asked).state] == [state, state]
    verbs = rows("SELECT verb FROM audit_auditevent WHERE verb LIKE 'feed.%%' ORDER BY id")
    assert verbs == [("feed.switched_on",), ("feed.paused",), ("feed.resumed",)]


def test_poll_now_brings_the_time_forward_and_leaves_a_limit_alone(cast: Cast, provider: Provider) -> None:
    row, clock = provider.connected(cast.acme), Clock()
    services.poll(row.id, clock)
    asked: dict[str, Any] = {"organization_id": cast.acme.id, "feed_id": row.id, "by": HOUSE, "at": clock.at}
    services.poll_now(**asked)
    assert services.poll(row.id, clock)
    PolledFeed.objects.filter(id=row.id).update(state="limited")
    services.poll_now(**asked)
    assert not services.poll(row.id, clock)
    for state in ("paused", "refused"):
        PolledFeed.objects.filter(id=row.id).update(state=state)
        with pytest.raises(FeedStopped):
            services.poll_now(**asked)
    services.disconnect(organization_id=cast.acme.id, account_id=row.account_id, **WHO)
    with pytest.raises(Disconnected):
        services.poll_now(**asked)


def test_as_many_histories_are_read_at_once_as_may_be(
    cast: Cast, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(tasks, "_now", clock)
    handed: list[int] = []
    monkeypatch.setattr(tasks.backfill, "apply_async", lambda kwargs, **_: handed.append(kwargs["job_id"]))
    made = []
    for n in range(3):
        row = provider.connected(cast.acme, credential=f"secret-{n}", since=AT)
        services.poll(row.id, clock)
        since = AT - timedelta(days=2)
        made.append(services.open_backfill(organization_id=cast.acme.id, feed_id=row.id, since=since, **WHO))
    tasks.resume_backfills()
    assert handed == [job.id for job in made]
    Job.objects.filter(id__in=[job.id for job in made[:2]]).update(state="running", beat_at=clock.at)
    provider.asked.clear()
    tasks.backfill(job_id=made[2].id)
    assert not provider.asked
    Job.objects.filter(id=made[0].id).update(state="stopped")
    tasks.backfill(job_id=made[2].id)
    assert Job.objects.get(id=made[2].id).state == "done"
    assert len(provider.asked) == 2


def test_it_is_on_the_schedule_and_somebody_listens() -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {tasks.poll_due.name, tasks.resume_backfills.name} <= scheduled
    assert tasks.QUEUE in up.WAITING_QUEUES.split(",")
    assert tasks.QUEUE in running._QUEUES.split(",")


def test_the_longest_waiting_go_first_and_only_as_many_as_may_be_at_work(
    cast: Cast, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = [provider.connected(cast.acme, credential=f"secret-{n}", since=AT) for n in range(6)]
    for n, row in enumerate(feeds):
        PolledFeed.objects.filter(id=row.id).update(next_at=AT - timedelta(minutes=n))
    PolledFeed.objects.filter(id=feeds[5].id).update(lease="x" * 32, leased_until=AT + LEASE)
    clock, told = Clock(), []
    monkeypatch.setattr(tasks, "_now", clock)
    monkeypatch.setattr(tasks.poll_feed, "apply_async", lambda kwargs, **_: told.append(kwargs["feed_id"]))
    tasks.poll_due()
    assert told == [feeds[4].id, feeds[3].id]
    # Whoever is at it goes on with what nobody was told of.
    tasks.poll_feed(feed_id=feeds[4].id)
    assert len(provider.asked) == 5
    assert selectors.due(clock.at, limit=10) == []
