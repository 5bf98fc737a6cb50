"""Limits and circuit breakers are set and removed; said of the same subject again, they replace what was said.

Gateways know of a change with the next look at the version of the organization's budgets.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model

from finops.audit.services import record
from finops.budgets.models import BreakerRule, BudgetsVersion, Limit
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.rules.limits import BreakerDraft, LimitDraft, check_breaker, check_limit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound

MOST_LIMITS: Final = 5_000
MOST_BREAKERS: Final = 1_000
_MODELS: Final = {"key": "VirtualKey"}


class TooManyLimits(FinopsError):
    code = "budgets.too_many_limits"
    status = 409


@transaction.atomic
def set_limit(*, organization_id: int, draft: LimitDraft, by: Actor, at: datetime) -> Limit:
    """What the calls of a subject may be from now on. Raises BudgetInvalid and TooManyLimits."""
    draft = check_limit(draft)
    check_owner(organization_id, draft.dimension, draft.subject)
    _changed(organization_id)
    where: dict[str, Any] = {"organization_id": organization_id, "dimension": draft.dimension, "subject": draft.subject}
    _check_room(Limit, where, MOST_LIMITS)
    says = {
        "allowed_models": None if draft.allowed_models is None else list(draft.allowed_models),
        "requests_per_minute": draft.requests_per_minute,
        "tokens_per_minute": draft.tokens_per_minute,
        "max_concurrent": draft.max_concurrent,
    }
    made, _ = Limit.objects.update_or_create(**where, defaults=says)
    _record(made, "limit.set", {"dimension": made.dimension, "subject": made.subject, **says}, by, at)
    return made


@transaction.atomic
def remove_limit(*, organization_id: int, limit_id: int, by: Actor, at: datetime) -> None:
    """Raises NotFound."""
    found = Limit.objects.select_for_update().filter(organization_id=organization_id, id=limit_id).first()
    if found is None:
        raise NotFound("there is no such limit")
    _changed(organization_id)
    _record(found, "limit.removed", {"dimension": found.dimension, "subject": found.subject}, by, at)
    found.delete()


@transaction.atomic
def set_breaker(*, organization_id: int, draft: BreakerDraft, by: Actor, at: datetime) -> BreakerRule:
    """A breaker in place of the default, or of what was said before. Raises BudgetInvalid and TooManyLimits."""
    draft = check_breaker(draft)
    check_owner(organization_id, "agent" if draft.dimension == "session" else draft.dimension, draft.subject)
    _changed(organization_id)
    where: dict[str, Any] = {
        "organization_id": organization_id,
        "dimension": draft.dimension,
        "subject": draft.subject,
        "measure": draft.measure,
    }
    _check_room(BreakerRule, where, MOST_BREAKERS)
    says = {"threshold": draft.threshold, "pause_minutes": draft.pause_minutes}
    made, _ = BreakerRule.objects.update_or_create(**where, defaults=says)
    _record(made, "breaker.set", _shown(made), by, at)
    return made


@transaction.atomic
def remove_breaker(*, organization_id: int, breaker_id: int, by: Actor, at: datetime) -> None:
    """The default holds again, where there is one. Raises NotFound."""
    found = BreakerRule.objects.select_for_update().filter(organization_id=organization_id, id=breaker_id).first()
    if found is None:
        raise NotFound("there is no such breaker")
    _changed(organization_id)
    _record(found, "breaker.removed", _shown(found), by, at)
    found.delete()


def forget_minutes(*, before: datetime) -> int:
    """Drop what was counted for minutes that are over; gives how many rows there were. Doing it again drops nothing."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM budgets_rate WHERE bucket < %s", [int(before.timestamp())])
        return int(cursor.rowcount)


def check_owner(organization_id: int, dimension: str, subject: str) -> None:
    """Raises BudgetInvalid when an owner is not the organization's; '' is each and 0 nobody."""
    if subject in ("", "0"):
        return
    model: Any = apps.get_model("orgs", _MODELS.get(dimension, dimension.capitalize()))
    if not model._default_manager.filter(organization_id=organization_id, id=int(subject)).exists():
        raise BudgetInvalid(f"there is no such {dimension} here", field="subject")


def _changed(organization_id: int) -> None:
    """Whoever has these rules knows that they are stale. One writer at a time, until the transaction ends."""
    BudgetsVersion.objects.update_or_create(organization_id=organization_id, defaults={"token": uuid.uuid4()})


def _check_room(model: type[Limit] | type[BreakerRule], where: dict[str, Any], most: int) -> None:
    rows: Any = model._default_manager
    others = rows.filter(organization_id=where["organization_id"])
    if not others.filter(**where).exists() and others.count() >= most:
        raise TooManyLimits(f"an organization has at most {most:,} of them; one may be for each")


def _shown(row: BreakerRule) -> dict[str, Any]:
    return {
        "dimension": row.dimension,
        "subject": row.subject,
        "measure": row.measure,
        "threshold": None if row.threshold is None else str(row.threshold),
        "pause_minutes": row.pause_minutes,
    }


def _record(row: Model, verb: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    record(
        organization_id=row.organization_id,  # type: ignore[attr-defined]  # both have one
        verb=verb,
        subject_kind=verb.partition(".")[0],
        subject_id=row.pk,
        by=by,
        at=at,
        details=details,
    )
