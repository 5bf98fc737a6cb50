"""Opens jobs, hands them to one worker at a time, and keeps their progress."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound
from finops.jobs.models import Job
from finops.jobs.selectors import waiting

# Kinds worked by a command in somebody's terminal, not by the server's workers: what to run to go on.
COMMANDS: Final = {"import": "import_usage", "outcomes": "import_outcomes"}
# Kinds that are the working side of something with states of its own: where it is stopped and resumed.
OWNED: Final = {"experiment": "/api/v1/experiments"}
ENDED: Final = (Job.State.STOPPED, Job.State.DONE, Job.State.FAILED)


class JobLost(FinopsError):
    """Another worker has the job, or it has ended: whoever gets this must stop writing."""

    code = "jobs.lost"
    status = 409


class JobNotStoppable(FinopsError):
    code = "jobs.not_stoppable"
    status = 409


class JobNotResumable(FinopsError):
    code = "jobs.not_resumable"
    status = 409


@transaction.atomic
def open_job(
    *, organization_id: int, kind: str, parameters: Mapping[str, Any], total: int | None = None, by: Actor, at: datetime
) -> Job:
    """Queue work. The caller sends it to a worker after commit; a job nobody was told of is found by the schedule."""
    job = Job.objects.create(
        organization_id=organization_id,
        kind=kind,
        parameters=dict(parameters),
        total=total,
        requested_by=by.reference,
        requested_at=at,
    )
    _note("job.opened", job, by, at, {"kind": kind, "parameters": dict(parameters)})
    return job


def claim(*, job_id: int, at: datetime) -> Job | None:
    """Take a job that is queued, or whose worker fell silent; None when somebody else has it or it has ended.

    One conditional update, so that of two workers one gets it. `started_at` is the worker's proof of its turn: pass
    the job itself to `progress`, `finish` and `fail`, which refuse when the turn has passed to another.
    """
    taken = Job.objects.filter(waiting(at), id=job_id).update(
        state=Job.State.RUNNING, started_at=at, beat_at=at, ended_at=None, error=""
    )
    return Job.objects.get(id=job_id) if taken else None


def progress(
    *,
    job: Job,
    done: int,
    total: int | None = None,
    cursor: Mapping[str, Any] | None = None,
    at: datetime,
) -> bool:
    """Say how far the work is and renew the beat. Call it in the transaction of the step it reports, so that a resumed
    job neither repeats a step nor skips one. True: go on. False: stopping was asked for, the job is stopped.

    Raises JobLost.
    """
    with transaction.atomic():
        row = _held(job)
        row.done = done
        row.total = max(total, done) if total is not None else (None if row.total is None else max(row.total, done))
        if cursor is not None:
            row.cursor = dict(cursor)
        row.beat_at = at
        stop = row.stop_requested
        if stop:
            row.state, row.stop_requested, row.ended_at = Job.State.STOPPED, False, at
        row.save(update_fields=["done", "total", "cursor", "beat_at", "state", "stop_requested", "ended_at"])
    job.done, job.total, job.cursor = row.done, row.total, row.cursor
    return not stop


def wait(*, job: Job, at: datetime) -> bool:
    """There is nothing to do at the moment, or others are to have their turn: it is queued again, as far as it is, for
    whoever takes it up next. False: stopping was asked for, the job is stopped. Raises JobLost.
    """
    with transaction.atomic():
        row = _held(job)
        row.state, row.beat_at = Job.State.QUEUED, at
        if row.stop_requested:
            row.state, row.stop_requested, row.ended_at = Job.State.STOPPED, False, at
        row.save(update_fields=["state", "beat_at", "stop_requested", "ended_at"])
    return row.state == Job.State.QUEUED


def finish(*, job: Job, result: Mapping[str, Any], at: datetime) -> None:
    """The work is done. `result` holds counts, and amounts as text. Raises JobLost."""
    with transaction.atomic():
        row = _held(job)
        row.state, row.result, row.ended_at, row.beat_at = Job.State.DONE, dict(result), at, at
        row.stop_requested = False
        row.save(update_fields=["state", "result", "ended_at", "beat_at", "stop_requested"])
        _note("job.done", row, Actor("system:jobs", "Capstan"), at, {"result": dict(result)})


def fail(*, job: Job, error: str, at: datetime) -> None:
    """The work cannot go on. `error` is a sentence for people, without input or secrets. Raises JobLost."""
    with transaction.atomic():
        row = _held(job)
        row.state, row.error, row.ended_at, row.beat_at = Job.State.FAILED, error[:2000], at, at
        row.stop_requested = False
        row.save(update_fields=["state", "error", "ended_at", "beat_at", "stop_requested"])
        _note("job.failed", row, Actor("system:jobs", "Capstan"), at, {"error": error[:200]})


@transaction.atomic
def request_stop(*, organization_id: int, job_id: int, by: Actor, at: datetime, by_owner: bool = False) -> Job:
    """Ask a job to stop after its current step; one that is queued stops at once. Asking twice is as good as once.

    Raises JobNotStoppable when it has ended, or is stopped elsewhere (by what says so: `by_owner`), and NotFound.
    """
    row = _locked(organization_id, job_id)
    if row.kind in OWNED and not by_owner:
        raise JobNotStoppable(f"Stop what it works on: see {OWNED[row.kind]}.")
    if row.state in ENDED:
        if row.state == Job.State.STOPPED:
            return row
        raise JobNotStoppable(f"This job has ended: {row.state}.")
    if row.state == Job.State.QUEUED:
        row.state, row.ended_at = Job.State.STOPPED, at
    elif row.stop_requested:
        return row
    else:
        row.stop_requested = True
    row.save(update_fields=["state", "ended_at", "stop_requested"])
    _note("job.stop_requested", row, by, at, {})
    return row


@transaction.atomic
def resume(
    *, organization_id: int, job_id: int, by: Actor, at: datetime, by_command: bool = False, by_owner: bool = False
) -> Job:
    """Queue a stopped or failed job again, from where its cursor stands. A stop not yet heeded is taken back.

    Raises JobNotResumable when it is done, or when only a command (which says so by `by_command`) works its kind, or it
    is resumed elsewhere (`by_owner`); and NotFound.
    """
    row = _locked(organization_id, job_id)
    if row.kind in OWNED and not by_owner:
        raise JobNotResumable(f"Resume what it works on: see {OWNED[row.kind]}.")
    if row.kind in COMMANDS and not by_command:
        raise JobNotResumable(f"Run {COMMANDS[row.kind]} again with the same file: it goes on from where it stood.")
    if row.state == Job.State.DONE:
        raise JobNotResumable("This job is done.")
    if row.state == Job.State.QUEUED or (row.state == Job.State.RUNNING and not row.stop_requested):
        return row
    if row.state != Job.State.RUNNING:
        row.state, row.ended_at, row.error = Job.State.QUEUED, None, ""
    row.stop_requested = False
    row.save(update_fields=["state", "ended_at", "error", "stop_requested"])
    _note("job.resumed", row, by, at, {})
    return row


def _held(job: Job) -> Job:
    """The row, locked, while it is still this worker's turn. Raises JobLost."""
    row = Job.objects.select_for_update().get(id=job.id)
    if row.state != Job.State.RUNNING or row.started_at != job.started_at:
        raise JobLost(f"Job {job.id} is no longer this worker's.")
    return row


def _locked(organization_id: int, job_id: int) -> Job:
    row = Job.objects.select_for_update().filter(organization_id=organization_id, id=job_id).first()
    if row is None:
        raise NotFound("There is no such job.")
    return row


def _note(verb: str, job: Job, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    audit.record(
        organization_id=job.organization_id,
        verb=verb,
        subject_kind="job",
        subject_id=job.id,
        subject_label=job.kind,
        details=details,
        by=by,
        at=at,
    )
