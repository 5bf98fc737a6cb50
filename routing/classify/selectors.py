"""Reads of task types: which there are, what is labelled, and what classifies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from django.db.models import Count, F, Q, QuerySet, Sum

from finops.jobs import selectors as jobs
from finops.jobs.models import Job
from routing.classify.models import (
    ConfusedDay,
    LabelledCall,
    SampledCall,
    SamplingSettings,
    TrainedClassifier,
    Watched,
)
from routing.classify.packed import unpack
from routing.classify.types import SAMPLING, Sampling, Signs, wire
from routing.classify.types.learned import Labelled

# The kind of job that a training is.
TRAIN: Final = "train"


class TypeCount(NamedTuple):
    """`by_source` is how many of them who said, by `types.Source`."""

    task_type: str
    labelled: int
    by_source: dict[str, int]


class Since(NamedTuple):
    """Of all weeks since a classifier was trained."""

    calls: int
    named: int
    right: int


def task_types(organization_id: int) -> list[TypeCount]:
    """Every type that a call is labelled with, by name, with the calls that are kept."""
    rows = LabelledCall.objects.filter(organization_id=organization_id).values("task_type", "source")
    found: dict[str, dict[str, int]] = {}
    for row in rows.annotate(labelled=Count("id")).order_by("task_type", "source"):
        found.setdefault(row["task_type"], {})[row["source"]] = row["labelled"]
    return [TypeCount(name, sum(by_source.values()), by_source) for name, by_source in found.items()]


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


class SeenDay(NamedTuple):
    """Of calls that came with a type on a day: how many, how many of them were named, and how many of these rightly."""

    day: date
    calls: int
    named: int
    right: int


class Confusion(NamedTuple):
    task_type: str
    guessed: str
    number: int


class Confused(NamedTuple):
    """What calls that came with a type were guessed to be: by day, the oldest first; and all together, the commonest
    first, `guessed` '' for unknown.
    """

    days: list[SeenDay]
    pairs: list[Confusion]


def confused(organization_id: int, at: datetime, *, days: int = 30, most: int = 200) -> Confused:
    """Of the last days, by whichever classifier was in force."""
    rows = ConfusedDay.objects.filter(organization_id=organization_id, day__gt=(at - timedelta(days=days)).date())
    number = Sum("number", default=0)
    by_day = rows.values("day").annotate(
        calls=number,
        named=Sum("number", filter=~Q(guessed=""), default=0),
        right=Sum("number", filter=Q(guessed=F("task_type")), default=0),
    )
    pairs = rows.values("task_type", "guessed").annotate(calls=number).order_by("-calls", "task_type", "guessed")
    return Confused(
        [SeenDay(row["day"], row["calls"], row["named"], row["right"]) for row in by_day.order_by("day")],
        [Confusion(row["task_type"], row["guessed"], row["calls"]) for row in pairs[:most]],
    )


def sampling(organization_id: int) -> Sampling:
    """As it is in force."""
    row = SamplingSettings.objects.filter(organization_id=organization_id).first()
    return SAMPLING if row is None else Sampling(is_on=row.is_on, most_a_day=row.most_a_day)


class Sampled(NamedTuple):
    """A call as it was sampled, and what calls of its session share."""

    signs: Signs
    drawn_with: bytes


def sampled(organization_id: int, call_ids: Sequence[str]) -> dict[str, Sampled]:
    """Of these calls those of which features are kept."""
    rows = SampledCall.objects.filter(organization_id=organization_id, call_id__in=call_ids).order_by("id")
    return {
        call_id: Sampled(unpack(bytes(words), bytes(marks)), bytes(session))
        for call_id, words, marks, session in rows.values_list("call_id", "words", "marks", "session")
    }


def sampled_number(organization_id: int) -> int:
    return SampledCall.objects.filter(organization_id=organization_id).count()


def with_untaken() -> list[int]:
    """Every organization with calls whose label nobody has taken."""
    rows = SampledCall.objects.filter(is_taken=False).order_by("organization_id")
    return list(rows.values_list("organization_id", flat=True).distinct())


def with_sampled() -> list[int]:
    """Every organization of whose calls features are kept."""
    rows = SampledCall.objects.order_by("organization_id")
    return list(rows.values_list("organization_id", flat=True).distinct())


def with_too_many_sampled(most: int) -> list[int]:
    rows = SampledCall.objects.values("organization_id").annotate(number=Count("id")).filter(number__gt=most)
    return list(rows.order_by("organization_id").values_list("organization_id", flat=True))
