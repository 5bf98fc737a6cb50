"""Reads of task types: which there are, what is labelled, and what classifies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from django.db.models import Count, QuerySet, Sum

from finops.jobs import selectors as jobs
from finops.jobs.models import Job
from routing.classify.models import LabelledCall, TrainedClassifier, Watched
from routing.classify.packed import unpack
from routing.classify.types import wire
from routing.classify.types.learned import Labelled

# The kind of job that a training is.
TRAIN: Final = "train"


class TypeCount(NamedTuple):
    task_type: str
    labelled: int


class Since(NamedTuple):
    """Of all weeks since a classifier was trained."""

    calls: int
    named: int
    right: int


def task_types(organization_id: int) -> list[TypeCount]:
    """Every type that a call is labelled with, by name, with the calls that are kept."""
    rows = LabelledCall.objects.filter(organization_id=organization_id).values("task_type")
    found = rows.annotate(labelled=Count("id")).order_by("task_type")
    return [TypeCount(row["task_type"], row["labelled"]) for row in found]


def with_labels() -> list[int]:
    """Every organization that has labelled calls."""
    rows = LabelledCall.objects.order_by("organization_id").values_list("organization_id", flat=True)
    return list(rows.distinct())


def labelled_number(organization_id: int) -> int:
    return LabelledCall.objects.filter(organization_id=organization_id).count()


def labelled(organization_id: int) -> Labelled:
    """Everything to learn from, the oldest first."""
    rows = LabelledCall.objects.filter(organization_id=organization_id).order_by("at", "id")
    found: Sequence[tuple[str, bytes, bytes, bytes]] = [
        (task_type, bytes(session), bytes(words), bytes(marks))
        for task_type, session, words, marks in rows.values_list("task_type", "session", "words", "marks").iterator()
    ]
    return Labelled(
        [unpack(words, marks) for _, _, words, marks in found],
        [task_type for task_type, _, _, _ in found],
        [session.hex() for _, session, _, _ in found],
    )


def classifiers(organization_id: int) -> QuerySet[TrainedClassifier]:
    """Newest first, without their weights."""
    rows = TrainedClassifier.objects.filter(organization_id=organization_id).defer("body")
    return rows.order_by("-version")


def in_force(organization_id: int) -> TrainedClassifier | None:
    """Without its weights."""
    return classifiers(organization_id).filter(is_in_force=True).first()


def published(organization_id: int) -> wire.Classifier | None:
    """The weights of the classifier in force; None where there is none."""
    rows = TrainedClassifier.objects.filter(organization_id=organization_id, is_in_force=True)
    body = rows.values_list("body", flat=True).first()
    return None if body is None else wire.decode_classifier(bytes(body))


def last_training(organization_id: int) -> Job | None:
    """The newest there is, whatever became of it."""
    return jobs.jobs(organization_id, kind=TRAIN).first()


def since(organization_id: int, classifier_id: int) -> Since:
    """How it does on calls that were labelled after it was trained."""
    rows = Watched.objects.filter(organization_id=organization_id, classifier_id=classifier_id)
    found = rows.aggregate(calls=Sum("calls", default=0), named=Sum("named", default=0), right=Sum("right", default=0))
    return Since(**found)
