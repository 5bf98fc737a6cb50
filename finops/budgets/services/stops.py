"""Stop now, and let go on. Every gateway hears of it the moment it is committed (`sql/0010_guard.sql`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from finops.audit.services import announce, record
from finops.budgets import guard_rules
from finops.budgets.models import Stop
from finops.budgets.rules.limits import check_stop
from finops.budgets.services.limits import check_owner
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound

MOST_OPEN: Final = 10_000


class TooManyStops(FinopsError):
    code = "budgets.too_many_stops"
    status = 409


class AlreadyLifted(FinopsError):
    """It was lifted, or its time has passed."""

    code = "budgets.already_lifted"
    status = 409


@transaction.atomic
def stop_now(
    *,
    organization_id: int,
    dimension: str,
    subject: str = "",
    reason: str = "",
    until: datetime | None = None,
    by: Actor,
    at: datetime,
) -> Stop:
    """No call of a subject is let through from now on, and those under way are cut; until somebody lifts it, or
    `until`. Said of the same subject again, it replaces what was said. Raises BudgetInvalid and TooManyStops.
    """
    reason = " ".join(reason.split())
    check_stop(dimension, subject, reason=reason, until=until, at=at)
    if dimension not in ("organization", "session"):
        check_owner(organization_id, dimension, subject)
    _alone(organization_id, dimension, subject)
    where: dict[str, Any] = {
        "organization_id": organization_id,
        "kind": Stop.Kind.MANUAL,
        "dimension": dimension,
        "subject": subject,
        "lifted_at": None,
    }
    says = {"reason": reason, "until": until, "by": by.reference[:120], "at": at}
    opened = guard_rules.stops(organization_id, open_at=at)
    if not opened.filter(**where).exists() and opened.count() >= MOST_OPEN:
        raise TooManyStops(f"{MOST_OPEN:,} stops are open; lift some first, or stop what is above them")
    made, _ = Stop.objects.update_or_create(**where, defaults=says)
    _tell(made, "stop.made", by, at)
    return made


@transaction.atomic
def lift_stop(*, organization_id: int, stop_id: int, by: Actor, at: datetime) -> Stop:
    """Its calls go on; a breaker counts anew. Raises NotFound and AlreadyLifted."""
    found = Stop.objects.filter(organization_id=organization_id, id=stop_id).first()
    if found is None:
        raise NotFound("there is no such stop")
    _alone(organization_id, found.dimension, found.subject)
    found.refresh_from_db()
    if found.lifted_at is not None or (found.until is not None and found.until <= at):
        raise AlreadyLifted("it is over already")
    found.lifted_at, found.lifted_by = at, by.reference[:120]
    found.save(update_fields=["lifted_at", "lifted_by"])
    _tell(found, "stop.lifted", by, at)
    return found


def _alone(organization_id: int, dimension: str, subject: str) -> None:
    """Nobody else stops or lifts the same until the transaction ends; what ended by its time is over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT budgets_stop_alone(%s, %s, %s)", [organization_id, dimension, subject])


def _tell(row: Stop, verb: str, by: Actor, at: datetime) -> None:
    """In the trail and to whoever is to be told. Not why: what people write may name people."""
    details = {
        "stop": row.id,
        "kind": row.kind,
        "dimension": row.dimension,
        "subject": row.subject,
        "until": None if row.until is None else row.until.isoformat(),
    }
    record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind=row.dimension,
        subject_id=row.subject or row.organization_id,
        by=by,
        at=at,
        details=details,
    )
    announce(
        organization_id=row.organization_id,
        kind=verb,
        key=f"{row.dimension}:{row.subject}",
        at=at,
        details=details,
    )
