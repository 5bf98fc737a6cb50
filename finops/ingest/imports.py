"""Brings a file through the corridor piece by piece, as a job that can be killed anywhere and run again.

A row's id is the file's digest and its number, unless a column is mapped to `id`; so running an import again adds
nothing, and two rows that say the same are both counted. The job's cursor only saves time: what is exactly once is the
corridor's doing, not the cursor's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from finops.connectors.files.readers import Piece, Position, Reader
from finops.connectors.types import Problem
from finops.core.actors import Actor
from finops.core.errors import FinopsError
from finops.core.tokens import INPUT_SLICE, OUTPUT_SLICE
from finops.ingest.rules import check
from finops.ingest.services import take
from finops.ingest.types import Outcome, Status
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.sources.models import Source

KIND: Final = "import"
_FIRST_PROBLEMS: Final = 10
# The first of the two numbers of our advisory locks: "IMPO".
_LOCKS: Final = 0x494D504F


class ImportBusy(FinopsError):
    code = "ingest.import_busy"
    status = 409


class Progress(NamedTuple):
    """How far an import is: `done` of `total` in the reader's unit, `row` rows, and what became of them."""

    done: int
    total: int
    row: int
    counts: Counter[str]


class Result(NamedTuple):
    """`problems` are the first few, each with the row's id. `finished` is False when somebody asked for a stop."""

    counts: Counter[str]
    rows: int
    problems: list[tuple[str, Problem]]
    finished: bool
    input_tokens: int = 0
    output_tokens: int = 0


Clock = Callable[[], datetime]
Tell = Callable[[Progress], None]


@contextmanager
def job_of(*, organization_id: int, parameters: dict[str, Any], total: int, by: Actor, now: Clock) -> Iterator[Job]:
    """The job of this very import: the one left unfinished, or a new one; held by this process until the end.

    Raises ImportBusy when another process is at it. The lock is the session's, so a killed process leaves it free.
    """
    unfinished = Job.objects.filter(organization_id=organization_id, kind=KIND, parameters=parameters)
    job = unfinished.exclude(state=Job.State.DONE).order_by("-id").first()
    if job is None:
        job = jobs.open_job(
            organization_id=organization_id, kind=KIND, parameters=parameters, total=total, by=by, at=now()
        )
    if not _locked(job.id):
        raise ImportBusy(f"This file is being imported by another process (job {job.id}).")
    try:
        yield _claimed(job, by, now)
    finally:
        _unlock(job.id)


def run_import(*, job: Job, source: Source, reader: Reader, tell: Tell, now: Clock) -> Result:
    """Take the rows behind the job's cursor, piece by piece. Raises JobLost."""
    position = Position(int(job.cursor.get("row", 0)), int(job.cursor.get("offset", 0)))
    counts: Counter[str] = Counter({name: int(many) for name, many in job.cursor.get("counts", {}).items()})
    problems: list[tuple[str, Problem]] = []
    for piece in reader.pieces(position):
        outcomes = take(
            organization_id=source.organization_id,
            source_id=source.id,
            parser=reader.parser,
            received=piece.received,
            at=now(),
        )
        counts.update(outcome.status.value for outcome in outcomes)
        _note_problems(problems, piece, outcomes)
        position = piece.end
        done = min(reader.done(position), reader.total)
        cursor = {"row": position.row, "offset": position.offset, "counts": dict(counts)}
        go_on = jobs.progress(job=job, done=done, total=reader.total, cursor=cursor, at=now())
        tell(Progress(done, reader.total, position.row, counts))
        if not go_on:
            return Result(counts, position.row, problems, finished=False)
    jobs.finish(job=job, result={"rows": position.row, **counts}, at=now())
    return Result(counts, position.row, problems, finished=True)


def try_out(*, reader: Reader, tell: Tell, at: datetime) -> Result:
    """Read and check every row, and write nothing."""
    counts: Counter[str] = Counter()
    problems: list[tuple[str, Problem]] = []
    tokens_in = tokens_out = row = 0
    for piece in reader.pieces(Position()):
        for received in piece.received:
            event = received.event
            problem = received.problem or (check(event, now=at) if event else None)
            if problem is not None:
                counts[Status.QUARANTINED.value] += 1
                if len(problems) < _FIRST_PROBLEMS:
                    problems.append((received.external_id, problem))
            elif event is not None:
                counts["readable"] += 1
                tokens_in += sum(event.counts[place] for place in INPUT_SLICE)
                tokens_out += sum(event.counts[place] for place in OUTPUT_SLICE)
        row = piece.end.row
        tell(Progress(min(reader.done(piece.end), reader.total), reader.total, row, counts))
    return Result(counts, row, problems, True, tokens_in, tokens_out)


def stop(*, job: Job, by: Actor, now: Clock) -> None:
    """Mark an import that was interrupted as stopped, so that the list of jobs tells the truth."""
    jobs.request_stop(organization_id=job.organization_id, job_id=job.id, by=by, at=now())
    jobs.progress(job=job, done=job.done, at=now())


def _claimed(job: Job, by: Actor, now: Clock) -> Job:
    """The job as this worker's turn. We hold its lock, so whoever was at it is gone."""
    job.refresh_from_db()
    if job.state == Job.State.RUNNING:
        jobs.fail(job=job, error="The process that worked on it ended.", at=now())
    jobs.resume(organization_id=job.organization_id, job_id=job.id, by=by, at=now(), by_command=True)
    claimed = jobs.claim(job_id=job.id, at=now())
    if claimed is None:
        raise ImportBusy(f"This file is being imported by another process (job {job.id}).")
    return claimed


def _note_problems(problems: list[tuple[str, Problem]], piece: Piece, outcomes: list[Outcome]) -> None:
    if len(problems) >= _FIRST_PROBLEMS:
        return
    for received, outcome in zip(piece.received, outcomes, strict=True):
        if outcome.problem is not None and len(problems) < _FIRST_PROBLEMS:
            problems.append((outcome.external_id or received.external_id, outcome.problem))


def _locked(job_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, job_id])
        row = cursor.fetchone()
    return bool(row and row[0])


def _unlock(job_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, job_id])
