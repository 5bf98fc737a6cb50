"""Files of outcomes, of the shape that `outcomes.py` reads, recorded piece by piece as a job: it can be killed anywhere
and run again. Prompts are not kept: a hash of each is, which finds the same item under two ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from django.db import transaction

from finops.core.actors import Actor
from finops.core.errors import FinopsError
from finops.core.money import LEDGER_PLACES
from finops.jobs import services as jobs
from finops.jobs.models import Job
from routing.evidence.outcomes import MOST_ROWS, OPTIONAL, REQUIRED, OutcomesInvalid, checked_rows
from routing.evidence.services import add_outcomes, record_evaluation
from routing.evidence.types import EvaluationDraft, OutcomeDraft

KIND: Final = "outcomes"
PIECE: Final = 10_000

Clock = Callable[[], datetime]
Tell = Callable[[int, int], None]


class Imported(NamedTuple):
    """`finished` is False when somebody asked for a stop; then the same again goes on."""

    evaluation_id: int
    rows: int
    new: int
    repeated: int
    finished: bool


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_import(
    *, organization_id: int, path: Path, draft: EvaluationDraft, by: Actor, now: Clock, tell: Tell
) -> Imported:
    """Record a file as one evaluation. A file that was begun before goes on where it was. Raises OutcomesInvalid, which
    names the row; EvaluationConflict, OutcomeConflict, JobLost.
    """
    try:
        with pq.ParquetFile(path) as file:
            total = file.metadata.num_rows
            names = file.schema_arrow.names
            _check(total, names)
            job = _job(organization_id, path, draft, total, by, now)
            try:
                return _run(file, job, draft, by, now, tell)
            except FinopsError as error:
                if not isinstance(error, jobs.JobLost):
                    jobs.fail(job=job, error=error.message, at=now())
                raise
    except (OSError, pa.ArrowException) as error:
        raise OutcomesInvalid(f"{path.name} cannot be read as Parquet: {error}", field="outcomes") from None


def _run(file: pq.ParquetFile, job: Job, draft: EvaluationDraft, by: Actor, now: Clock, tell: Tell) -> Imported:
    done, new, repeated = (int(job.cursor.get(name, 0)) for name in ("row", "new", "repeated"))
    # One time for all of the file: what came together has no order.
    at = job.requested_at
    run = record_evaluation(organization_id=job.organization_id, draft=draft, outcomes=(), by=by, at=at).evaluation_id
    for first, rows in _pieces(file, done):
        drafts = [_draft(row) for row in rows.itertuples(index=False)]
        with transaction.atomic():
            found = add_outcomes(
                organization_id=job.organization_id, evaluation_id=run, outcomes=drafts, by=by, at=at, path="rows",
                first=first + 1,
            )  # fmt: skip
            done, new, repeated = first + len(drafts), new + len(found.new), repeated + len(found.repeated)
            cursor = {"row": done, "new": new, "repeated": repeated}
            go_on = jobs.progress(job=job, done=done, cursor=cursor, at=now())
        tell(done, job.total or done)
        if not go_on:
            return Imported(run, done, new, repeated, finished=False)
    jobs.finish(job=job, result={"rows": done, "new": new, "repeated": repeated, "evaluation": run}, at=now())
    return Imported(run, done, new, repeated, finished=True)


def _pieces(file: pq.ParquetFile, behind: int) -> Iterator[tuple[int, pd.DataFrame]]:
    """Rows behind so many, checked; with the number of the first, from 0. Never more in memory than one piece."""
    columns = [name for name in (*REQUIRED, *OPTIONAL) if name in file.schema_arrow.names]
    first = 0
    for batch in file.iter_batches(batch_size=PIECE, columns=columns):
        if first + batch.num_rows > behind:
            skipped = max(behind - first, 0)
            rows = batch.slice(skipped).to_pandas(ignore_metadata=True)
            yield first + skipped, checked_rows(rows, before=first + skipped)
        first += batch.num_rows


def _draft(row: Any) -> OutcomeDraft:
    prompt = row.prompt.encode("utf-8", "replace")
    return OutcomeDraft(
        item=f"{row.dataset}:{row.task_id}" if row.dataset else row.task_id,
        task_type=row.task_type,
        model=row.model,
        score=row.score,
        cost=round(Decimal(str(row.cost_usd)), LEDGER_PLACES),
        fingerprint=hashlib.blake2b(prompt, digest_size=16).hexdigest() if prompt else "",
    )


def _check(total: int, names: list[str]) -> None:
    if total > MOST_ROWS:
        raise OutcomesInvalid(f"at most {MOST_ROWS:,} rows", field="rows")
    for name in REQUIRED:
        if name not in names:
            raise OutcomesInvalid(f"there is no column {name}", field=name)


def _job(organization_id: int, path: Path, draft: EvaluationDraft, total: int, by: Actor, now: Clock) -> Job:
    """The job of this file and this evaluation: the one left unfinished, or a new one; claimed."""
    parameters = {"file": path.name, "digest": digest_of(path), "evaluation": draft.name}
    unfinished = Job.objects.filter(organization_id=organization_id, kind=KIND, parameters=parameters)
    job = unfinished.exclude(state=Job.State.DONE).order_by("-id").first()
    if job is None:
        job = jobs.open_job(
            organization_id=organization_id, kind=KIND, parameters=parameters, total=total, by=by, at=now()
        )
    elif job.state in jobs.ENDED:
        job = jobs.resume(organization_id=organization_id, job_id=job.id, by=by, at=now(), by_command=True)
    claimed = jobs.claim(job_id=job.id, at=now())
    if claimed is None:
        raise jobs.JobLost(f"Another process is at this file (job {job.id}); try again in a minute.")
    return claimed
