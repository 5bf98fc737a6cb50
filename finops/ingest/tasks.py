"""When: jobs are worked by Celery; one that nobody was told of, or whose worker died, is found by the schedule."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from finops.core.errors import FinopsError
from finops.ingest.services.allocate import ALLOCATE, run_allocation
from finops.ingest.services.inbox import book_inbox
from finops.ingest.services.rework import COVER, REATTRIBUTE, RERATE, run_rework
from finops.ingest.services.telemetry import forget_series
from finops.jobs import selectors as jobs_selectors
from finops.jobs.models import Job
from finops.jobs.working import work

WORKED_HERE = (RERATE, REATTRIBUTE, COVER, ALLOCATE)
logger = logging.getLogger(__name__)


class NotWorkedHere(FinopsError):
    """A job of a kind that is none of this room's."""

    code = "ingest.not_worked_here"


def _now() -> datetime:
    return timezone.now()


@shared_task(name="ingest.run_job", acks_late=True)
def run_job(*, job_id: int, **_: Any) -> None:
    """Work one job, if nobody else does."""
    work(job_id=job_id, now=_now, act=_act)


def _act(job: Job) -> None:
    if job.kind not in WORKED_HERE:
        raise NotWorkedHere(f"Nobody here works {job.kind} jobs.")
    (run_allocation if job.kind == ALLOCATE else run_rework)(job=job, now=_now)


@shared_task(name="ingest.resume_jobs")
def resume_jobs(**_: Any) -> None:
    """Take up jobs that wait or whose worker fell silent."""
    for job_id in jobs_selectors.claimable(_now(), kinds=WORKED_HERE):
        # One that waits longer is handed out again; without an end, messages would pile up behind a long job.
        run_job.apply_async(kwargs={"job_id": job_id}, expires=30)


@shared_task(name="ingest.book_inbox")
def book(**_: Any) -> None:
    """Book what gateways decided."""
    book_inbox(_now())


@shared_task(name="ingest.forget_series")
def forget_silent_series(**_: Any) -> None:
    """Forget cumulative sums that nobody tells any more."""
    forget_series(at=_now())


def send(job: Job) -> None:
    """Tells a worker of a job once it is committed. Nobody there to tell is no failure: the schedule finds the job."""

    def tell() -> None:
        try:
            run_job.apply_async(kwargs={"job_id": job.id}, retry=False)
        except BrokerAway as error:
            logger.warning(
                "job %s waits for the schedule: the broker does not answer (%s)", job.id, type(error).__name__
            )

    transaction.on_commit(tell)
