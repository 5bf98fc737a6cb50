"""When experiments are worked on: at once when somebody starts one, and by turns until it ends."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from finops.jobs.models import Job
from finops.jobs.working import work
from routing.experiments import selectors, services
from routing.experiments.models import Experiment

logger = logging.getLogger(__name__)
# Worked by threads, beside news: both mostly wait for other people's servers.
QUEUE: Final = "experiments"

# Of all organizations: news must find a thread too.
MOST_AT_WORK: Final = 3


def _now() -> datetime:
    return timezone.now()


@shared_task(name="experiments.run", acks_late=True)
def run_experiment(*, job_id: int, **_: Any) -> None:
    """One turn of one experiment, if nobody else has it; where there is more to do, that is for the end of the queue.
    What finds too many at work already waits for the schedule.
    """
    if selectors.at_work(_now()) >= MOST_AT_WORK:
        return
    more: list[bool] = []

    def act(job: Job) -> None:
        more.append(services.run(services.Means(job, _now)))

    work(job_id=job_id, now=_now, act=act)
    if any(more):
        _tell(job_id)


@shared_task(name="experiments.follow")
def follow(**_: Any) -> None:
    """Take up those that wait, or whose worker fell silent; and put away the caps of those that ended."""
    for job_id in selectors.due(_now()):
        run_experiment.apply_async(kwargs={"job_id": job_id}, queue=QUEUE, expires=60)
    services.put_away(at=_now())


def send(row: Experiment) -> None:
    """Tells a worker once it is committed."""
    job_id = row.job_id
    if job_id is not None:
        transaction.on_commit(lambda: _tell(job_id))


def _tell(job_id: int) -> None:
    """Nobody there to tell is no failure: the schedule finds the job."""
    try:
        run_experiment.apply_async(kwargs={"job_id": job_id}, queue=QUEUE, retry=False)
    except BrokerAway as error:
        logger.warning("job %s waits for the schedule: the broker does not answer (%s)", job_id, type(error).__name__)
