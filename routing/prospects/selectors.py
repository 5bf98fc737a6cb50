"""Reads of what is foreseen of calls, and of what they came to."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

from routing.classify.models import SampledCall
from routing.classify.packed import unpack
from routing.classify.types import wire
from routing.prospects import rules
from routing.prospects.models import TrainedProspects
from routing.prospects.types import Came, Sampled

# A replay or a judge may score a call several times at one model.
_CAME: Final = """
SELECT s.id, o.model, avg(o.score), avg(o.cost)::float8, bool_or(o.randomised), (s.chances ->> o.model)::float8
FROM (
    SELECT evaluation_id, item, model, score, cost, randomised FROM evidence_outcome
    WHERE organization_id = %(organization)s ORDER BY id DESC LIMIT %(outcomes)s
) AS o
JOIN evidence_evaluation AS e ON e.id = o.evaluation_id AND e.withdrawn_at IS NULL
JOIN classify_sampledcall AS s ON s.organization_id = %(organization)s AND s.call_id = o.item
GROUP BY s.id, o.model ORDER BY s.id DESC, o.model
"""


def versions(organization_id: int) -> QuerySet[TrainedProspects]:
    """Newest first, without their weights."""
    rows = TrainedProspects.objects.filter(organization_id=organization_id).defer("body")
    return rows.order_by("-version")


def in_force(organization_id: int) -> TrainedProspects | None:
    """Without its weights."""
    return versions(organization_id).filter(is_in_force=True).first()


def published(organization_id: int) -> wire.Prospects | None:
    """What is in force; None where nothing is."""
    rows = TrainedProspects.objects.filter(organization_id=organization_id, is_in_force=True)
    body = rows.values_list("body", flat=True).first()
    return None if body is None else wire.decode_prospects(bytes(body))


def came(organization_id: int) -> list[Came]:
    """What sampled calls came to, the newest first, by outcomes that are not withdrawn."""
    given: dict[str, Any] = {"organization": organization_id, "outcomes": rules.MOST_OUTCOMES}
    with connection.cursor() as cursor:
        cursor.execute(_CAME, given)
        return [Came(*row) for row in cursor.fetchall()]


def sampled(organization_id: int, calls: list[int]) -> dict[int, Sampled]:
    """Features of these calls, by their ids."""
    rows = SampledCall.objects.filter(organization_id=organization_id, id__in=calls).order_by("id")
    return {
        row: Sampled(unpack(bytes(words), bytes(marks)), bytes(session).hex())
        for row, session, words, marks in rows.values_list("id", "session", "words", "marks").iterator()
    }
