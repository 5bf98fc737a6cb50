"""When classifiers are trained: when somebody asks, and every day where there is more to learn from."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from finops.core.actors import system
from finops.jobs import selectors as jobs_selectors
from finops.jobs.models import Job
from finops.jobs.working import work
from routing.classify import services
from routing.classify.selectors import TRAIN

logger = logging.getLogger(__name__)
TRAINER: Final = system("trainer")
SAMPLER: Final = system("sampler")
QUEUE: Final = "routing"


def _now() -> datetime:
    return timezone.now()


@shared_task(name="classify.run_training", acks_late=True)
def run_training(*, job_id: int, **_: Any) -> None:
    """Work one training, if nobody else does."""
    work(job_id=job_id, now=_now, act=lambda job: services.run_training(job=job, now=_now))


@shared_task(name="classify.resume_trainings")
def resume_trainings(**_: Any) -> None:
    """Take up trainings that wait or whose worker fell silent."""
    for job_id in jobs_selectors.claimable(_now(), kinds=(TRAIN,)):
        run_training.apply_async(kwargs={"job_id": job_id}, queue=QUEUE, expires=60)


@shared_task(name="classify.train_daily")
def train_daily(**_: Any) -> None:
    """Queue a training for each organization that has enough more labels than its last training had."""
    services.open_trainings(by=TRAINER, at=_now())


@shared_task(name="classify.take_sampled")
def take_sampled(**_: Any) -> None:
    """Make labels of calls that passed and said their type; forget what is over."""
    services.take_sampled(by=SAMPLER, at=_now())
    services.forget_sampled(at=_now())
    services.forget_confused(at=_now())


def send(job: Job) -> None:
    """Tells a worker of a job once it is committed. Nobody there to tell is no failure: the schedule finds the job."""

    def tell() -> None:
        try:
            run_training.apply_async(kwargs={"job_id": job.id}, queue=QUEUE, retry=False)
        except BrokerAway as error:
            logger.warning(
                "job %s waits for the schedule: the broker does not answer (%s)", job.id, type(error).__name__
            )

    transaction.on_commit(tell)
