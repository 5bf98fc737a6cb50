"""When: days of seats are made by the schedule, and at once when a plan is made or changed; many days by a job."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Any, Final

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from finops.jobs import selectors as jobs_selectors
from finops.jobs.models import Job
from finops.jobs.working import work
from finops.seats import selectors, services

logger = logging.getLogger(__name__)
QUEUE: Final = "ingest"


def _now() -> datetime:
    return timezone.now()


@shared_task(name="seats.book", acks_late=True)
def book(*, organization_id: int, **_: Any) -> None:
    """One turn of one organization's; where there is more to do, that is for the end of the queue."""
    if services.book(organization_id=organization_id, now=_now):
        _tell(book, organization_id=organization_id)


@shared_task(name="seats.run_job", acks_late=True)
def run_job(*, job_id: int, **_: Any) -> None:
    """One turn of one job, if nobody else has it."""
    more: list[bool] = []

    def act(job: Job) -> None:
        more.append(services.run_job(job=job, now=_now))

    work(job_id=job_id, now=_now, act=act)
    if any(more):
        _tell(run_job, job_id=job_id)


@shared_task(name="seats.follow")
def follow(**_: Any) -> None:
    """Hand out the organizations that have a day to make, and jobs that wait or whose worker fell silent."""
    now = _now()
    for organization_id in selectors.behind(now.date()):
        book.apply_async(kwargs={"organization_id": organization_id}, queue=QUEUE, expires=600)
    for job_id in jobs_selectors.claimable(now, kinds=(selectors.BOOK,)):
        run_job.apply_async(kwargs={"job_id": job_id}, queue=QUEUE, expires=600)


def send(organization_id: int) -> None:
    """Asks a worker once what was changed is committed. Nobody there to ask is no failure: the schedule does it."""
    transaction.on_commit(partial(_ask, organization_id))


def _ask(organization_id: int) -> None:
    job = selectors.job(organization_id)
    if job is None:
        _tell(book, organization_id=organization_id)
    else:
        _tell(run_job, job_id=job.id)


def _tell(task: Any, **what: Any) -> None:
    try:
        task.apply_async(kwargs=what, queue=QUEUE, retry=False, expires=600)
    except BrokerAway as error:
        logger.warning("%s waits for the schedule: the broker does not answer (%s)", what, type(error).__name__)
