"""Takes labels, learns from them, and watches how that does since. No text of a call reaches a row or the trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from django.db import connection, transaction
from django.db.models import F

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.jobs import selectors as jobs_selectors
from finops.jobs import services as jobs
from finops.jobs.models import Job
from routing.classify import drift, rules, selectors
from routing.classify.hot import Classifier
from routing.classify.models import LabelledCall, TrainedClassifier, Watched
from routing.classify.packed import pack
from routing.classify.rules import Label, LabelInvalid
from routing.classify.selectors import TRAIN
from routing.classify.types import UNKNOWN, Source, wire
from routing.classify.types.learned import Trained

DRIFTING: Final = "classifier.drifting"
_FIELDS: Final = ("task_type", "source", "session", "words", "marks", "at")


class Taken(NamedTuple):
    """`new` calls were labelled for the first time, `changed` otherwise than before, `same` as before; and of `kept`
    somebody whose word counts for more had said something else.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    kept: int = 0


@transaction.atomic
def label_calls(*, organization_id: int, labels: Sequence[Label], by: Actor, at: datetime) -> Taken:
    """Say which types calls are of. A call has one label, the last one of the best source; said again, nothing changes.
    Raises LabelInvalid, and then nothing is taken.
    """
    if len(labels) > rules.MOST_AT_ONCE:
        raise LabelInvalid(f"at most {rules.MOST_AT_ONCE} labels at once", field="labels")
    given: dict[str, Label] = {}
    for place, one in enumerate(labels):
        checked = rules.check(one, field=f"labels[{place}]")
        if checked.call_id in given:
            raise LabelInvalid("this call came before", field=f"labels[{place}].call_id")
        given[checked.call_id] = checked
    _lock(organization_id)
    mine = LabelledCall.objects.filter(organization_id=organization_id)
    before = {row.call_id: row for row in mine.filter(call_id__in=list(given)).defer("words", "marks")}
    _check_types(organization_id, {one.task_type for one in given.values()})
    new = [_row(organization_id, one, at) for name, one in given.items() if name not in before]
    LabelledCall.objects.bulk_create(new)
    changed, surer, same, kept = [], [], 0, 0
    for name, row in before.items():
        counts_more = rules.overrides(given[name].source, Source(row.source))
        if row.task_type == given[name].task_type:
            same += 1
            if counts_more and row.source != given[name].source:
                row.source = given[name].source.value
                surer.append(row)
        elif counts_more:
            changed.append(_row(organization_id, given[name], at, id_=row.id))
        else:
            kept += 1
    LabelledCall.objects.bulk_update(changed, _FIELDS)
    LabelledCall.objects.bulk_update(surer, ["source"])
    taken = Taken(new=len(new), changed=len(changed), same=same, kept=kept)
    if new or changed:
        _forget_oldest(organization_id, {row.task_type for row in (*new, *changed)})
        _watch(organization_id, [given[row.call_id] for row in new], by, at)
        types = Counter(row.task_type for row in (*new, *changed)).most_common(20)
        details = taken._asdict() | {"task_types": dict(types)}
        _note(organization_id, "task_types.labelled", "labels", details, by, at)
    return taken


@transaction.atomic
def open_training(*, organization_id: int, by: Actor, at: datetime) -> Job:
    """Queue a training; one that waits or runs already is as good. Raises rules.CannotLearn where it is plain that
    there is too little to learn from.
    """
    _lock(organization_id)
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
    _lock(organization_id)
    mine = TrainedClassifier.objects.filter(organization_id=organization_id)
    last = mine.order_by("-version").values_list("version", flat=True).first() or 0
    measured, published = trained.measured, wire.renamed(trained.published, version=last + 1)
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
    _note(organization_id, "classifier.trained", str(row.version), details, by, at)
    return row


def _watch(organization_id: int, labels: Sequence[Label], by: Actor, at: datetime) -> None:
    """Calls that came with a label, against what the classifier in force says of them: it has not learned from them."""
    row = selectors.in_force(organization_id)
    body = selectors.published(organization_id)
    if row is None or body is None or not labels:
        return
    classifier = Classifier.of(body)
    # Of types that it never learned too: to name such a call is wrong.
    guesses = [(classifier.judge(one.signs).task_type, one.task_type) for one in labels]
    named = [(guess, said) for guess, said in guesses if guess != UNKNOWN]
    right = sum(guess == said for guess, said in named)
    week = at.date() - timedelta(days=at.weekday())
    Watched.objects.get_or_create(organization_id=organization_id, classifier_id=row.id, week=week)
    mine = Watched.objects.filter(organization_id=organization_id, classifier_id=row.id, week=week)
    mine.update(calls=F("calls") + len(labels), named=F("named") + len(named), right=F("right") + right)
    seen = mine.get()
    if row.drifting_at is None and drift.drifts(named=seen.named, right=seen.right, measured=row.least_right):
        TrainedClassifier.objects.filter(id=row.id).update(drifting_at=at)
        details = {
            "version": row.version, "named": seen.named, "right": seen.right, "measured": f"{row.least_right:.3f}",
        }  # fmt: skip
        _note(organization_id, DRIFTING, str(row.version), details, by, at)
        audit.announce(
            organization_id=organization_id, kind=DRIFTING, key=f"classifier:{row.version}", at=at, details=details
        )


def _check_types(organization_id: int, named: set[str]) -> None:
    rows = LabelledCall.objects.filter(organization_id=organization_id).values_list("task_type", flat=True)
    if len(set(rows.order_by("task_type").distinct()) | named) > rules.MOST_LABELLED_TYPES:
        raise LabelInvalid(f"an organization has at most {rules.MOST_LABELLED_TYPES} task types", field="labels")


def _forget_oldest(organization_id: int, task_types: set[str]) -> None:
    for task_type in sorted(task_types):
        rows = LabelledCall.objects.filter(organization_id=organization_id, task_type=task_type)
        over = list(rows.order_by("-at", "-id").values_list("id", flat=True)[rules.MOST_PER_TYPE :])
        if over:
            LabelledCall.objects.filter(id__in=over).delete()


def _row(organization_id: int, label: Label, at: datetime, *, id_: int | None = None) -> LabelledCall:
    packed = pack(label.signs)
    # Nothing is to be linked with a session by this, only calls of one told to be so.
    session = f"{organization_id} {label.session or label.call_id}"
    return LabelledCall(
        id=id_,
        organization_id=organization_id,
        call_id=label.call_id,
        task_type=label.task_type,
        source=label.source.value,
        session=blake2b(session.encode(), digest_size=8).digest(),
        words=packed.words,
        marks=packed.marks,
        at=at,
    )


def _lock(organization_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('classify'), %s)", [organization_id])


def _note(organization_id: int, verb: str, subject: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=organization_id, verb=verb, subject_kind="classifier", subject_id=subject, details=details,
        by=by, at=at,
    )  # fmt: skip
