"""How a classifier does since it was trained: calls that came with a label, against what it says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import F

from finops.audit import services as audit
from finops.core.actors import Actor
from routing.classify import drift, rules, selectors
from routing.classify.hot import Classifier
from routing.classify.models import ConfusedDay, TrainedClassifier, Watched
from routing.classify.rules import Label
from routing.classify.services.common import note
from routing.classify.types import UNKNOWN

# A signal, which alerts go by.
DRIFTING: Final = "classifier.drifting"
_CONFUSED: Final = """
INSERT INTO classify_confusedday (organization_id, classifier_id, day, task_type, guessed, number)
SELECT %s, %s, %s, task_type, guessed, number FROM unnest(%s::text[], %s::text[], %s::int[])
    AS came (task_type, guessed, number) ORDER BY task_type, guessed
ON CONFLICT (classifier_id, day, task_type, guessed) DO UPDATE
SET number = classify_confusedday.number + excluded.number
"""


def drift_key(version: int) -> str:
    """What the drift of a classifier goes by, and its end."""
    return f"classifier:{version}"


def watch(organization_id: int, labels: Sequence[Label], by: Actor, at: datetime) -> None:
    """Before it has learned from them. Of types that it never learned too: to name such a call is wrong."""
    row = selectors.in_force(organization_id)
    body = selectors.published(organization_id)
    if row is None or body is None or not labels:
        return
    classifier = Classifier.of(body)
    guesses = [(classifier.judge(one.signs).task_type, one.task_type) for one in labels]
    _count_pairs(row, guesses, at)
    named = [(guess, said) for guess, said in guesses if guess != UNKNOWN]
    right = sum(guess == said for guess, said in named)
    week = at.date() - timedelta(days=at.weekday())
    Watched.objects.get_or_create(organization_id=organization_id, classifier_id=row.id, week=week)
    mine = Watched.objects.filter(organization_id=organization_id, classifier_id=row.id, week=week)
    before = mine.get()
    mine.update(calls=F("calls") + len(labels), named=F("named") + len(named), right=F("right") + right)
    seen = mine.get()
    if _drifts(seen, row) and not _drifts(before, row):
        # Once a week, for as long as it goes on: whoever listens is to know that it is not over.
        _say_drifting(row, seen, by, at)


def forget_confused(*, at: datetime) -> int:
    """Delete days of confusion that nobody looks at any more, of every organization; gives how many rows."""
    gone, _ = ConfusedDay.objects.filter(day__lt=(at - rules.CONFUSED_FOR).date()).delete()
    return gone


def _drifts(seen: Watched, row: TrainedClassifier) -> bool:
    return drift.drifts(named=seen.named, right=seen.right, measured=row.least_right)


def _say_drifting(row: TrainedClassifier, seen: Watched, by: Actor, at: datetime) -> None:
    details = {
        "version": row.version, "named": seen.named, "right": seen.right, "measured": f"{row.least_right:.3f}",
        "reason": (
            f"of {seen.named:,} calls of this week that somebody named, {seen.right:,} were guessed rightly;"
            f" {row.least_right:.0%} were to be expected"
        ),
    }  # fmt: skip
    if row.drifting_at is None:
        TrainedClassifier.objects.filter(id=row.id).update(drifting_at=at)
        note(row.organization_id, DRIFTING, str(row.version), details, by, at)
    audit.announce(
        organization_id=row.organization_id, kind=DRIFTING, key=drift_key(row.version), at=at, details=details
    )


def _count_pairs(row: TrainedClassifier, guesses: Sequence[tuple[str, str]], at: datetime) -> None:
    counted = Counter((said, "" if guess == UNKNOWN else guess) for guess, said in guesses)
    pairs = list(counted)
    with connection.cursor() as cursor:
        cursor.execute(
            _CONFUSED,
            [row.organization_id, row.id, at.date(), [one for one, _ in pairs], [one for _, one in pairs],
             list(counted.values())],
        )  # fmt: skip
