"""Classifiers learned from what is labelled, and put in force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.jobs import selectors as jobs_selectors
from finops.jobs import services as jobs
from finops.jobs.models import Job
from routing.classify import rules, selectors
from routing.classify.models import TrainedClassifier
from routing.classify.selectors import TRAIN
from routing.classify.services.common import lock, note
from routing.classify.services.watching import drift_key
from routing.classify.types import wire
from routing.classify.types.learned import Trained

# Ends what is said of a classifier that drifts.
TRAINED: Final = "classifier.trained"


@transaction.atomic
def open_training(*, organization_id: int, by: Actor, at: datetime) -> Job:
    """Queue a training; one that waits or runs already is as good. Raises rules.CannotLearn where it is plain that
    there is too little to learn from.
    """
    lock(organization_id)
    under_way = jobs_selectors.jobs(organization_id, kind=TRAIN).filter(state__in=(Job.State.QUEUED, Job.State.RUNNING))
    found = under_way.filter(stop_requested=False).first()
    if found is not None:
        return found
    counts = selectors.task_types(organization_id)
    if sum(one.labelled >= rules.LEAST_CALLS for one in counts) < 2:
        raise rules.CannotLearn(f"two types at least need {rules.LEAST_CALLS} labelled calls each", field="labels")
    labelled = sum(one.labelled for one in counts)
    return jobs.open_job(organization_id=organization_id, kind=TRAIN, parameters={"labelled": labelled}, by=by, at=at)


def open_trainings(*, by: Actor, at: datetime) -> list[Job]:
    """Queue one for each organization that has enough more labels than its last training had."""
    opened = []
    for organization_id in selectors.with_labels():
        last = selectors.in_force(organization_id)
        if rules.is_worth_training(selectors.labelled_number(organization_id), last.labelled if last else 0):
            try:
                opened.append(open_training(organization_id=organization_id, by=by, at=at))
            except rules.CannotLearn:
                continue
    return opened


def run_training(*, job: Job, now: Callable[[], datetime]) -> None:
    """Work a job of `open_training`. Raises rules.CannotLearn and JobLost; ends quietly where it was stopped."""
    steps = rules.STEPS

    def told(done: int) -> bool:
        return jobs.progress(job=job, done=done, total=steps, at=now())

    by = Actor(job.requested_by)
    try:
        row = train(organization_id=job.organization_id, told=told, by=by, at=now())
    except rules.Stopped:
        return
    result = {"version": row.version, "calls": row.calls, "named": row.named, "right": row.right}
    jobs.finish(job=job, result=result, at=now())


def train(
    *, organization_id: int, told: Callable[[int], bool] = rules.nobody, by: Actor, at: datetime
) -> TrainedClassifier:
    """Learn from all that is labelled, and put what was learned in force. `told` hears of each step of rules.STEPS,
    and says whether to go on. Raises rules.CannotLearn and rules.Stopped, and then what was in force stays.
    """
    found = selectors.labelled(organization_id)
    # Outside of a transaction: it takes a while, and nothing is to wait for it.
    # What it takes to learn is loaded by workers alone: it is large, and web processes would carry it for nothing.
    from routing.classify import learning

    trained = learning.train(found, told=told)
    return _put_in_force(organization_id, trained, len(found.types), by, at)


@transaction.atomic
def _put_in_force(organization_id: int, trained: Trained, labelled: int, by: Actor, at: datetime) -> TrainedClassifier:
    lock(organization_id)
    mine = TrainedClassifier.objects.filter(organization_id=organization_id)
    last = mine.order_by("-version").values_list("version", flat=True).first() or 0
    measured, published = trained.measured, wire.renamed(trained.published, version=last + 1)
    drifted = mine.filter(is_in_force=True, drifting_at__isnull=False).values_list("version", flat=True).first()
    mine.filter(is_in_force=True).update(is_in_force=False)
    row = TrainedClassifier.objects.create(
        organization_id=organization_id,
        version=published.version,
        body=wire.encode(published),
        task_types=list(published.types),
        left_out=list(trained.left_out),
        labelled=labelled,
        calls=measured.calls,
        named=measured.named,
        right=measured.right,
        least_right=measured.least_right,
        error=measured.error,
        threshold=published.threshold,
        bins=[one._asdict() for one in measured.bins],
        confused=[one._asdict() for one in measured.confused],
        trained_at=at,
        trained_by=by.reference,
        is_in_force=True,
    )
    mine.filter(version__lte=row.version - rules.MOST_VERSIONS).delete()
    details: dict[str, Any] = {
        "task_types": len(published.types), "calls": row.calls, "named": row.named, "right": row.right,
    }  # fmt: skip
    note(organization_id, "classifier.trained", str(row.version), details, by, at)
    if drifted is not None:
        told = {"version": row.version}
        audit.announce(organization_id=organization_id, kind=TRAINED, key=drift_key(drifted), at=at, details=told)
    return row
