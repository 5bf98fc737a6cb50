"""Incidents: opened, seen again, escalated, acknowledged and over; each of these is news for channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from finops.alerts.models import Incident
from finops.alerts.types import MACHINES, Event, Finding
from finops.audit.services import record
from finops.core.actors import Actor, system
from finops.core.errors import FinopsError, NotFound

HOUSE: Final = system("alerts")
# One statement for any number of findings. What is worse than before escalates, and is not acknowledged any more: an
# acknowledgement was of what was known then.
_OPEN: Final = """
INSERT INTO alerts_incident AS i (organization_id, rule_id, kind, key, severity, step, budget_id, dimension, subject,
    details, opened_at, last_seen_at, ends_at, count, acknowledged_by, resolved_by, resolution)
SELECT %(organization)s, f.rule_id, f.kind, f.key, f.severity, f.step, f.budget_id, f.dimension, f.subject, f.details,
    %(at)s, %(at)s, f.ends_at, 1, '', '', ''
FROM unnest(%(rules)s::int[], %(kinds)s::text[], %(keys)s::text[], %(severities)s::text[], %(steps)s::int[],
    %(budgets)s::int[], %(dimensions)s::text[], %(subjects)s::text[], %(details)s::jsonb[], %(ends)s::timestamptz[])
    AS f(rule_id, kind, key, severity, step, budget_id, dimension, subject, details, ends_at)
ORDER BY f.kind, f.key
ON CONFLICT (organization_id, kind, key) WHERE resolved_at IS NULL DO UPDATE SET
    last_seen_at = EXCLUDED.last_seen_at, details = EXCLUDED.details, ends_at = EXCLUDED.ends_at,
    count = i.count + %(again)s,
    step = greatest(i.step, EXCLUDED.step),
    severity = CASE WHEN EXCLUDED.step > i.step THEN EXCLUDED.severity ELSE i.severity END,
    escalated_at = CASE WHEN EXCLUDED.step > i.step THEN EXCLUDED.last_seen_at ELSE i.escalated_at END,
    acknowledged_at = CASE WHEN EXCLUDED.step > i.step THEN NULL ELSE i.acknowledged_at END,
    acknowledged_by = CASE WHEN EXCLUDED.step > i.step THEN '' ELSE i.acknowledged_by END
RETURNING i.id, xmax = 0, i.escalated_at IS NOT DISTINCT FROM %(at)s
"""
# To every channel of every rule that means the incident; of its end only where its beginning was told.
_QUEUE: Final = """
INSERT INTO alerts_delivery (organization_id, incident_id, channel_id, event, step, digest, state, tries, next_try_at,
    last_error, created_at)
SELECT i.organization_id, i.id, c.id, %(event)s, i.step, bool_and(r.digest), 'waiting', 0,
    CASE WHEN bool_and(r.digest) THEN
        to_timestamp((floor(extract(epoch FROM %(at)s::timestamptz) / (60 * c.digest_minutes)) + 1)
            * 60 * c.digest_minutes)
    ELSE %(at)s END, '', %(at)s
FROM alerts_incident AS i
JOIN alerts_alertrule AS r ON r.organization_id = i.organization_id AND r.kind = i.kind
    AND r.enabled AND r.archived_at IS NULL AND (i.rule_id IS NULL OR r.id = i.rule_id)
    AND (r.params -> 'budgets' IS NULL OR r.params -> 'budgets' @> to_jsonb(i.budget_id))
    AND coalesce((r.params ->> 'least_percent')::int, 0) <= i.step
JOIN alerts_channel AS c ON c.organization_id = i.organization_id AND c.archived_at IS NULL
    AND (r.every_channel OR c.id = ANY(r.channel_ids))
WHERE i.id = ANY(%(incidents)s) AND (%(media)s::text[] IS NULL OR c.kind = ANY(%(media)s))
    AND (%(event)s <> 'resolved' OR EXISTS (SELECT FROM alerts_delivery AS d
        WHERE d.incident_id = i.id AND d.channel_id = c.id AND d.event <> 'resolved'))
GROUP BY i.id, c.id
ORDER BY i.id, c.id
ON CONFLICT DO NOTHING
"""


class Resolved(FinopsError):
    """It is over already."""

    code = "alerts.resolved"
    status = 409


class Opened(NamedTuple):
    """Ids of incidents that are new, and of those that got worse."""

    new: list[int]
    worse: list[int]


@transaction.atomic
def open_found(*, organization_id: int, found: Sequence[Finding], again: int = 0, at: datetime) -> Opened:
    """Make sure that each finding is an open incident, and queue the news. Of one kind and key only the last counts.

    `again` is added to the count of those that are open already: 1 where each finding is another occurrence.
    """
    once = list({(one.kind, one.key): one for one in found}.values())
    if not once:
        return Opened([], [])
    with connection.cursor() as cursor:
        cursor.execute(
            _OPEN,
            {
                "organization": organization_id,
                "at": at,
                "again": again,
                "rules": [one.rule_id for one in once],
                "kinds": [one.kind.value for one in once],
                "keys": [one.key[:300] for one in once],
                "severities": [one.severity.value for one in once],
                "steps": [one.step for one in once],
                "budgets": [one.budget_id for one in once],
                "dimensions": [one.dimension[:20] for one in once],
                "subjects": [one.subject[:300] for one in once],
                "details": [Jsonb(one.details) for one in once],
                "ends": [one.ends_at for one in once],
            },
        )
        rows = cursor.fetchall()
    new = [row[0] for row in rows if row[1]]
    worse = [row[0] for row in rows if not row[1] and row[2]]
    queue_news(new, Event.OPENED, at=at)
    queue_news(worse, Event.ESCALATED, at=at)
    return Opened(new, worse)


def queue_news(incident_ids: Iterable[int], event: Event, *, machines_only: bool = False, at: datetime) -> None:
    """Deliveries to every channel that is to hear of it. Doing it twice makes none twice."""
    ids = list(incident_ids)
    if ids:
        media = list(MACHINES) if machines_only else None
        with connection.cursor() as cursor:
            cursor.execute(_QUEUE, {"incidents": ids, "event": event.value, "media": media, "at": at})


@transaction.atomic
def resolve_over(*, incident_ids: Iterable[int], why: str, quietly: bool = False, at: datetime) -> int:
    """By itself: the fact is over. `quietly` tells machines only. How many were open."""
    open_ids = list(
        Incident.objects.select_for_update()
        .filter(id__in=list(incident_ids), resolved_at__isnull=True)
        .order_by("id")
        .values_list("id", flat=True)
    )
    Incident.objects.filter(id__in=open_ids).update(resolved_at=at, resolved_by=HOUSE.reference, resolution=why[:200])
    queue_news(open_ids, Event.RESOLVED, machines_only=quietly, at=at)
    return len(open_ids)


def resolve_ended(*, at: datetime) -> int:
    """What was to be over by now. The end of a period is no news to people."""
    ended = list(Incident.objects.filter(resolved_at__isnull=True, ends_at__lte=at).order_by("id")[:5_000])
    of_periods = [one.id for one in ended if one.kind.startswith("budget.")]
    others = [one.id for one in ended if not one.kind.startswith("budget.")]
    done = resolve_over(incident_ids=of_periods, why="The period is over.", quietly=True, at=at)
    return done + resolve_over(incident_ids=others, why="It has not come again.", at=at)


@transaction.atomic
def acknowledge(*, organization_id: int, incident_id: int, by: Actor, at: datetime) -> Incident:
    """Somebody looks after it. Raises NotFound and Resolved; again by anybody changes nothing."""
    row = _open(organization_id, incident_id)
    if row.acknowledged_at is None:
        row.acknowledged_at, row.acknowledged_by = at, by.reference[:120]
        row.save(update_fields=["acknowledged_at", "acknowledged_by"])
        _record(row, "incident.acknowledged", by, at)
    return row


@transaction.atomic
def resolve(*, organization_id: int, incident_id: int, note: str = "", by: Actor, at: datetime) -> Incident:
    """Somebody says it is over. Raises NotFound and Resolved."""
    row = _open(organization_id, incident_id)
    row.resolved_at, row.resolved_by, row.resolution = at, by.reference[:120], " ".join(note.split())[:200]
    row.save(update_fields=["resolved_at", "resolved_by", "resolution"])
    _record(row, "incident.resolved", by, at)
    queue_news([row.id], Event.RESOLVED, at=at)
    return row


def _open(organization_id: int, incident_id: int) -> Incident:
    row = Incident.objects.select_for_update().filter(organization_id=organization_id, id=incident_id).first()
    if row is None:
        raise NotFound("There is no such incident.")
    if row.resolved_at is not None:
        raise Resolved("It is over already.")
    return row


def _record(row: Incident, verb: str, by: Actor, at: datetime) -> None:
    details: dict[str, Any] = {"kind": row.kind, "key": row.key}
    record(
        organization_id=row.organization_id, verb=verb, subject_kind="incident", subject_id=row.id, by=by, at=at,
        details=details,
    )  # fmt: skip
