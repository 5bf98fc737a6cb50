"""What other rooms announced becomes incidents, in the order of it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from finops.alerts.models import AlertRule, Incident
from finops.alerts.rules.signals import ENDS, finding_of
from finops.alerts.services.incidents import open_found, resolve_over
from finops.alerts.types import SIGNALLED, Finding
from finops.audit.models import Signal

BATCH: Final = 500
# One at a time, so that an end is never taken before its beginning.
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtext('alerts.signals'))"


@transaction.atomic
def take_signals(*, at: datetime) -> int:
    """Take the oldest that wait; how many. 0 when none does, or somebody else is at it."""
    with connection.cursor() as cursor:
        cursor.execute(_ALONE)
        row = cursor.fetchone()
    if not (row and row[0]):
        return 0
    waiting = Signal.objects.select_for_update(skip_locked=True).filter(handled_at__isnull=True).order_by("id")
    taken = list(waiting[:BATCH])
    listening = _listening({one.organization_id for one in taken})
    by_organization: dict[int, list[Signal]] = defaultdict(list)
    for one in taken:
        by_organization[one.organization_id].append(one)
    for organization_id, signals in by_organization.items():
        _take(organization_id, signals, listening, at)
    Signal.objects.filter(id__in=[one.id for one in taken]).update(handled_at=at)
    return len(taken)


def _listening(organizations: set[int]) -> set[tuple[int, str]]:
    """What has a rule in force."""
    rules = AlertRule.objects.filter(
        organization_id__in=organizations, kind__in=[*SIGNALLED], enabled=True, archived_at__isnull=True
    )
    return set(rules.values_list("organization_id", "kind"))


def _take(organization_id: int, signals: list[Signal], listening: set[tuple[int, str]], at: datetime) -> None:
    """Beginnings are gathered; an end comes after those before it."""
    gathered: dict[tuple[str, str], Finding] = {}

    def open_gathered() -> None:
        open_found(organization_id=organization_id, found=list(gathered.values()), again=1, at=at)
        gathered.clear()

    for one in signals:
        if one.kind in ENDS:
            open_gathered()
            over = Incident.objects.filter(
                organization_id=organization_id, kind__in=ENDS[one.kind], key=one.key, resolved_at__isnull=True
            )
            resolve_over(incident_ids=over.values_list("id", flat=True), why=f"{one.kind}", at=at)
            continue
        found = finding_of(one.kind, one.key, one.details, one.at)
        if found is None or (organization_id, one.kind) not in listening:
            continue
        if (one.kind, one.key) in gathered:
            # Each is an occurrence to be counted.
            open_gathered()
        gathered[one.kind, one.key] = found
    open_gathered()
