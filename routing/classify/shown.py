"""Classifiers and features between JSON and what this room goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from finops.jobs.models import Job
from routing.classify.hot import MOST_NAMES
from routing.classify.models import TrainedClassifier
from routing.classify.rules import LabelInvalid, check_words
from routing.classify.selectors import Since


class TrainingOutput(serializers.ModelSerializer[Job]):
    """`error` says why nothing could be learned."""

    class Meta:
        model = Job
        fields = ("id", "state", "done", "total", "result", "error", "requested_at", "ended_at")


def classifier(row: TrainedClassifier, since: Since) -> dict[str, Any]:
    names = (
        "version", "trained_at", "task_types", "left_out", "labelled", "calls", "named", "right", "error", "threshold",
        "confused", "drifting_at",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names} | {
        "accuracy": row.right / row.named if row.named else 0.0,
        "least_accuracy": row.least_right,
        "reliability": row.bins,
        "since": since._asdict(),
    }


def about(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `hot.features` is to be told besides a text, normalised as it would be."""
    found = dict(given)
    if "languages" in found:
        shares = sorted(found["languages"].items(), key=lambda one: (-one[1], one[0]))
        found["languages"] = tuple((name.lower(), share) for name, share in shares[:MOST_NAMES])
    for name in ("modalities", "recent_tools"):
        if name in found:
            found[name] = tuple(found[name])
    return found


def buckets(given: Mapping[str, int], *, field: str) -> dict[int, int]:
    """Raises LabelInvalid."""
    found = {int(one): often for one, often in given.items() if one.isascii() and one.isdigit() and len(one) < 7}
    if len(found) != len(given):
        raise LabelInvalid("buckets are numbers", field=field)
    check_words(found, field=field)
    return found
