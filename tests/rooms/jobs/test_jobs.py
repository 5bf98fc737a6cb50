"""Long work: one worker at a time, progress that survives it, stop and resume."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from finops.core.errors import NotFound
from finops.jobs import selectors, services
from finops.jobs.models import Job
from finops.jobs.services import JobLost, JobNotResumable, JobNotStoppable
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}
MINUTE = timedelta(minutes=1)


def opened(cast: Cast) -> Job:
    return services.open_job(organization_id=cast.acme.id, kind="rerate", parameters={"month": "2026-10"}, **WHO)


def claimed(cast: Cast) -> Job:
    job = services.claim(job_id=opened(cast).id, at=NOON)
    assert job is not None
    return job


def test_a_job_from_opening_to_done(cast: Cast) -> None:
    job = claimed(cast)
    assert services.progress(job=job, done=10, total=40, cursor={"month": "2026-09"}, at=NOON + MINUTE)
    # Nobody knew how much it would be: the total follows the work, never the other way.
    assert services.progress(job=job, done=50, at=NOON + MINUTE)
    assert (job.done, job.total, job.cursor) == (50, 50, {"month": "2026-09"})
    services.finish(job=job, result={"charges": 50, "moved": "12.500000000000"}, at=NOON + 2 * MINUTE)
    kept = selectors.job(cast.acme.id, job.id)
    assert (kept.state, kept.result["moved"], kept.ended_at) == ("done", "12.500000000000", NOON + 2 * MINUTE)
    with pytest.raises(JobNotResumable):
        services.resume(organization_id=cast.acme.id, job_id=job.id, **WHO)
    with pytest.raises(JobNotStoppable):
        services.request_stop(organization_id=cast.acme.id, job_id=job.id, **WHO)


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_the_job() -> None:
    job = opened(the_cast())
    ready = threading.Barrier(4)
    got: list[bool] = []

    def work() -> None:
        try:
            ready.wait(timeout=10)
            got.append(services.claim(job_id=job.id, at=NOON) is not None)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(got) == [False, False, False, True]


def test_an_import_is_resumed_by_its_command_alone(cast: Cast) -> None:
    job = services.open_job(organization_id=cast.acme.id, kind="import", parameters={}, **WHO)
    services.request_stop(organization_id=cast.acme.id, job_id=job.id, **WHO)
    with pytest.raises(JobNotResumable, match="import_usage"):
        services.resume(organization_id=cast.acme.id, job_id=job.id, **WHO)
    assert services.resume(organization_id=cast.acme.id, job_id=job.id, by_command=True, **WHO).state == "queued"


def test_a_worker_that_fell_silent_loses_its_turn(cast: Cast) -> None:
    first = claimed(cast)
    assert services.claim(job_id=first.id, at=NOON + MINUTE) is None
    second = services.claim(job_id=first.id, at=NOON + MINUTE + timedelta(microseconds=1))
    assert second is not None
    # The first wakes up and must not write a thing.
    with pytest.raises(JobLost):
        services.progress(job=first, done=1, at=NOON + 2 * MINUTE)
    with pytest.raises(JobLost):
        services.finish(job=first, result={}, at=NOON + 2 * MINUTE)
    assert services.progress(job=second, done=1, at=NOON + 2 * MINUTE)


def test_stop_is_heeded_at_the_next_step_and_resume_goes_on_from_there(cast: Cast) -> None:
    job = claimed(cast)
    about: dict[str, Any] = {"organization_id": cast.acme.id, "job_id": job.id, **WHO}
    services.request_stop(**about)
    services.request_stop(**about)
    assert not services.progress(job=job, done=7, cursor={"after": 7}, at=NOON)
    assert selectors.job(cast.acme.id, job.id).state == "stopped"
    assert services.request_stop(**about).state == "stopped"
    services.resume(**about)
    again = services.claim(job_id=job.id, at=NOON + MINUTE)
    assert again is not None
    assert (again.done, again.cursor, again.stop_requested) == (7, {"after": 7}, False)


def test_a_stop_can_be_taken_back_and_a_queued_job_stops_at_once(cast: Cast) -> None:
    job = claimed(cast)
    about: dict[str, Any] = {"organization_id": cast.acme.id, "job_id": job.id, **WHO}
    services.request_stop(**about)
    services.resume(**about)
    assert services.progress(job=job, done=1, at=NOON)
    waiting = opened(cast)
    stopped = services.request_stop(organization_id=cast.acme.id, job_id=waiting.id, **WHO)
    assert stopped.state == "stopped"
    assert services.claim(job_id=waiting.id, at=NOON) is None


def test_a_failed_job_says_why_and_can_be_tried_again(cast: Cast) -> None:
    job = claimed(cast)
    services.fail(job=job, error="The price book has no currency." * 200, at=NOON)
    kept = selectors.job(cast.acme.id, job.id)
    assert kept.state == "failed"
    assert len(kept.error) == 2000
    assert services.claim(job_id=job.id, at=NOON) is None
    services.resume(organization_id=cast.acme.id, job_id=job.id, **WHO)
    assert services.claim(job_id=job.id, at=NOON) is not None


def test_the_schedule_finds_what_nobody_was_told_of(cast: Cast) -> None:
    waiting, silent, busy = opened(cast), claimed(cast), claimed(cast)
    later = NOON + 2 * MINUTE
    services.progress(job=busy, done=1, at=later)
    assert selectors.claimable(later, kinds=("rerate",)) == [waiting.id, silent.id]


def test_jobs_of_another_organization_are_not_there(cast: Cast) -> None:
    job = opened(cast)
    for call in (services.request_stop, services.resume):
        with pytest.raises(NotFound):
            call(organization_id=cast.globex.id, job_id=job.id, **WHO)
    with pytest.raises(NotFound):
        selectors.job(cast.globex.id, job.id)
    assert not selectors.jobs(cast.globex.id).exists()


def test_a_job_that_waits_is_there_for_whoever_comes_next(cast: Cast) -> None:
    job = claimed(cast)
    services.progress(job=job, done=3, total=9, at=NOON)
    assert services.wait(job=job, at=NOON)
    assert selectors.claimable(NOON, kinds=("rerate",)) == [job.id]
    with pytest.raises(JobLost):
        services.progress(job=job, done=4, at=NOON)
    again = services.claim(job_id=job.id, at=NOON + MINUTE)
    assert again is not None
    assert (again.done, again.total) == (3, 9)
    services.request_stop(organization_id=cast.acme.id, job_id=job.id, **WHO)
    assert not services.wait(job=again, at=NOON + MINUTE)
    assert selectors.job(cast.acme.id, job.id).state == "stopped"


def test_what_has_states_of_its_own_is_stopped_and_resumed_there(cast: Cast) -> None:
    job = services.open_job(organization_id=cast.acme.id, kind="experiment", parameters={}, **WHO)
    about: dict[str, Any] = {"organization_id": cast.acme.id, "job_id": job.id, **WHO}
    with pytest.raises(JobNotStoppable, match="/api/v1/experiments"):
        services.request_stop(**about)
    assert services.request_stop(**about, by_owner=True).state == "stopped"
    with pytest.raises(JobNotResumable, match="/api/v1/experiments"):
        services.resume(**about)
    assert services.resume(**about, by_owner=True).state == "queued"
