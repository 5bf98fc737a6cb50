"""One job worked, whoever's kind it is: claimed, done, or given up with what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from django.db import OperationalError

from finops.core.errors import FinopsError
from finops.jobs import services
from finops.jobs.models import Job

logger = logging.getLogger(__name__)


def work(*, job_id: int, now: Callable[[], datetime], act: Callable[[Job], None]) -> None:
    """Work one job, if nobody else does; `act` may raise JobLost. Raises OperationalError."""
    job = services.claim(job_id=job_id, at=now())
    if job is None:
        return
    try:
        act(job)
    except services.JobLost:
        return
    except FinopsError as error:
        services.fail(job=job, error=error.message, at=now())
    except OperationalError:
        # The database went away: the job falls silent, and is taken up again when it is back.
        raise
    except Exception as error:
        # A job that cannot be done must not be tried for ever; the log has the whole story.
        logger.exception("job %s failed", job.id)
        services.fail(job=job, error=f"{type(error).__name__} stopped this job; the worker's log says where.", at=now())
