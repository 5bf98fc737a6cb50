"""Features of calls that pass, as gateways left them: whether any are kept, what becomes of them, and their end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from finops.core.actors import Actor
from routing.classify import rules, selectors
from routing.classify.models import LabelledCall, SampledCall, SamplingSettings
from routing.classify.packed import unpack
from routing.classify.rules import Label, LabelInvalid
from routing.classify.services.common import note
from routing.classify.services.labelling import take_labels
from routing.classify.store import LOCK
from routing.classify.types import Sampling, Source

# Of one organization and one run, each of `rules.MOST_AT_ONCE`.
_BATCHES: Final = 10
_DELETED_AT_ONCE: Final = 2_000
_DELETED_A_RUN: Final = 40_000
_OVER: Final = """
DELETE FROM classify_sampledcall WHERE id IN (
    SELECT id FROM classify_sampledcall WHERE at <= %s ORDER BY at, id LIMIT %s
)
"""
_BEYOND: Final = """
DELETE FROM classify_sampledcall WHERE id IN (
    SELECT id FROM classify_sampledcall WHERE organization_id = %s ORDER BY at DESC, id DESC OFFSET %s LIMIT %s
)
"""


@transaction.atomic
def change_sampling(*, organization_id: int, changes: Mapping[str, Any], by: Actor, at: datetime) -> Sampling:
    """Change fields of `Sampling`; in force at gateways within a second, and at the database at once. Switched off,
    what was sampled is deleted, and so are the labels that calls brought with them; what was learned of them stays
    until something else is. Raises SamplingInvalid.
    """
    # Whoever is storing is done before, or hears of it.
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [organization_id])
    before = selectors.sampling(organization_id)
    said = rules.check_sampling(replace(before, **changes))
    if said == before:
        return said
    SamplingSettings.objects.update_or_create(
        organization_id=organization_id,
        defaults={"is_on": said.is_on, "most_a_day": said.most_a_day, "token": uuid.uuid4(), "changed_at": at},
    )
    details: dict[str, Any] = {
        name: [getattr(before, name), getattr(said, name)]
        for name in Sampling.__slots__
        if getattr(before, name) != getattr(said, name)
    }
    if not said.is_on:
        gone, _ = SampledCall.objects.filter(organization_id=organization_id).delete()
        labels, _ = LabelledCall.objects.filter(organization_id=organization_id).exclude(source=Source.API).delete()
        details |= {"deleted": gone, "labels_deleted": labels}
    note(organization_id, "sampling.changed", "sampling", details, by, at)
    return said


def take_sampled(*, by: Actor, at: datetime) -> int:
    """Make labels of calls whose type somebody said, of every organization; gives how many were looked at. Calls are
    facts, so no line in the trail tells of each.
    """
    taken = 0
    for organization_id in selectors.with_untaken():
        for _ in range(_BATCHES):
            size = _take(organization_id, by, at)
            taken += size
            if size < rules.MOST_AT_ONCE:
                break
    return taken


def forget_sampled(*, at: datetime) -> int:
    """Delete what is older than `rules.SAMPLED_FOR`, and of each organization all but the newest; gives how many."""
    done = 0
    while done < _DELETED_A_RUN:
        gone = _deleted(_OVER, [at - rules.SAMPLED_FOR, _DELETED_AT_ONCE])
        done += gone
        if gone < _DELETED_AT_ONCE:
            break
    for organization_id in selectors.with_too_many_sampled(rules.MOST_SAMPLED):
        done += _deleted(_BEYOND, [organization_id, rules.MOST_SAMPLED, _DELETED_A_RUN])
    return done


@transaction.atomic
def _take(organization_id: int, by: Actor, at: datetime) -> int:
    rows = list(
        SampledCall.objects.select_for_update(skip_locked=True)
        .filter(organization_id=organization_id, is_taken=False)
        .order_by("id")[: rules.MOST_AT_ONCE]
    )
    take_labels(organization_id, _labels(organization_id, rows), by, at)
    SampledCall.objects.filter(id__in=[row.id for row in rows]).update(is_taken=True)
    return len(rows)


def _labels(organization_id: int, rows: Sequence[SampledCall]) -> list[Label]:
    """Of those that are labels at all: strangers' words may be anything, and types have an end."""
    known = {one.task_type for one in selectors.task_types(organization_id)}
    found = []
    for row in rows:
        signs = unpack(bytes(row.words), bytes(row.marks))
        said = Label(row.call_id, row.task_type, signs, Source(row.source), drawn_with=bytes(row.session))
        try:
            label = rules.check(said)
        except LabelInvalid:
            continue
        if label.task_type in known or len(known) < rules.MOST_LABELLED_TYPES:
            known.add(label.task_type)
            found.append(label)
    return found


def _deleted(statement: str, given: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return int(cursor.rowcount)
