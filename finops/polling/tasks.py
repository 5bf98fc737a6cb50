"""When: feeds are polled by their own rhythm, and at once when somebody connects or asks; history by turns."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from finops.jobs import selectors as jobs_selectors
from finops.jobs.models import Job
from finops.jobs.working import work
from finops.polling import selectors, services

logger = logging.getLogger(__name__)
# Worked by threads, beside news and experiments: all mostly wait for other people's servers.
QUEUE: Final = "polling"
# Of all organizations: news must find a thread too.
MOST_AT_WORK: Final = 3
MOST_BACKFILLS: Final = 2
# A worker goes on with what else is due for so long.
_GOES_ON: Final = timedelta(seconds=60)


def _now() -> datetime:
    return timezone.now()


@shared_task(name="polling.poll", acks_late=True)
def poll_feed(*, feed_id: int, **_: Any) -> None:
    """One turn of one feed, if nobody else has it; then of those that are due and that nobody was told of."""
    until = _now() + _GOES_ON
    services.poll(feed_id, _now)
    while _now() < until:
        more = selectors.due(_now(), limit=1)
        if not more or not services.poll(more[0], _now):
            return


@shared_task(name="polling.poll_due")
def poll_due(**_: Any) -> None:
    """Hand out feeds whose time has come: as many as may be at work. A feed that is handed out twice is read once."""
    free = MOST_AT_WORK - selectors.at_work(_now())
    for feed_id in selectors.due(_now(), limit=max(free, 0)):
        poll_feed.apply_async(kwargs={"feed_id": feed_id}, queue=QUEUE, expires=30)


@shared_task(name="polling.backfill", acks_late=True)
def backfill(*, job_id: int, **_: Any) -> None:
    """One turn of one job, if nobody else has it; where there is more to do, that is for the end of the queue. What
    finds too many at work already waits for the schedule.
    """
    if selectors.backfills_at_work(_now()) >= MOST_BACKFILLS:
        return
    more: list[bool] = []

    def act(job: Job) -> None:
        more.append(services.run_backfill(job=job, now=_now))

    work(job_id=job_id, now=_now, act=act)
    if any(more):
        _tell(backfill, job_id=job_id)


@shared_task(name="polling.resume_backfills")
def resume_backfills(**_: Any) -> None:
    """Take up those that wait, or whose worker fell silent."""
    for job_id in jobs_selectors.claimable(_now(), kinds=(services.BACKFILL,)):
        backfill.apply_async(kwargs={"job_id": job_id}, queue=QUEUE, expires=30)


def send(feed_ids: Iterable[int]) -> None:
    """Tells a worker of feeds once they are committed."""
    for feed_id in feed_ids:
        transaction.on_commit(partial(_tell, poll_feed, feed_id=feed_id))


def send_job(job: Job) -> None:
    """Tells a worker of a backfill once it is committed."""
    transaction.on_commit(partial(_tell, backfill, job_id=job.id))


def _tell(task: Any, **kwargs: int) -> None:
    """Nobody there to tell is no failure: the schedule finds what waits."""
    try:
        task.apply_async(kwargs=kwargs, queue=QUEUE, retry=False)
    except BrokerAway as error:
        logger.warning("%s waits for the schedule: the broker does not answer (%s)", kwargs, type(error).__name__)
