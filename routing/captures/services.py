"""Switches captures on and off, opens them, and deletes them. All of it but expiry is audited, each reading too;
nothing of what was captured is in the trail.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import NotFound
from finops.core.sealing import CannotOpen
from finops.orgs.models import Project
from routing.captures import rules
from routing.captures.hot import Exchange, open_sealed, sealer
from routing.captures.models import Capture, CaptureSettings
from routing.captures.selectors import said_of
from routing.captures.types import OFF, Capturing

# Rows of one transaction, and of one run: what is over is deleted little by little, beside everything else.
AT_ONCE: Final = 200
MOST_A_RUN: Final = 4_000
_SAID: Final = ("is_on", "share", "days_kept", "most_a_day", "most_kib")


class Opened(NamedTuple):
    """A capture with its contents."""

    row: Capture
    exchange: Exchange


@transaction.atomic
def change_capturing(*, organization_id: int, changes: Mapping[str, Any], by: Actor, at: datetime) -> Capturing:
    """Change fields of `Capturing`; what is not named stays as it is by then, so that nobody switches on what somebody
    else has just switched off. In force at gateways within a second. Fewer days hold for what was captured already;
    more do not. What was captured stays until it expires, also when it is switched off. Raises CapturingInvalid.
    """
    row = _locked(organization_id, at)
    before = said_of(row)
    said = rules.check(replace(before, **changes))
    mine = Project.objects.filter(organization_id=organization_id, id__in=said.project_ids)
    if mine.count() != len(said.project_ids):
        raise rules.CapturingInvalid("there is no such project", field="projects")
    if said == before:
        return said
    for name in _SAID:
        setattr(row, name, getattr(said, name))
    row.task_types, row.project_ids = list(said.task_types), list(said.project_ids)
    row.token, row.changed_at = uuid.uuid4(), at
    row.save()
    if said.days_kept < before.days_kept:
        soonest = F("at") + timedelta(days=said.days_kept)
        _captured(organization_id).filter(expires_at__gt=soonest).update(expires_at=soonest)
    verb = "changed" if said.is_on == before.is_on else "switched_on" if said.is_on else "switched_off"
    shown = {name: [_plain(getattr(before, name)), _plain(getattr(said, name))] for name in Capturing.__slots__}
    changed = {name: pair for name, pair in shown.items() if pair[0] != pair[1]}
    _note(organization_id, f"captures.{verb}", "settings", changed, by, at)
    return said


@transaction.atomic
def delete_captured(*, organization_id: int, by: Actor, at: datetime) -> int:
    """Nobody reads what was captured until now any more, and it is deleted: the first of it here, the rest within
    minutes. Gives how many there were.
    """
    # Whoever is storing is done before, or begins after.
    _locked(organization_id, at)
    gone = _delete(list(_captured(organization_id).order_by("id").values_list("id", flat=True)[:AT_ONCE]))
    gone += _captured(organization_id).filter(expires_at__gt=at).update(expires_at=at)
    _note(organization_id, "captures.deleted", "captured", {"captures": gone}, by, at)
    return gone


@transaction.atomic
def read_capture(*, organization_id: int, call_id: str, by: Actor, at: datetime) -> Opened:
    """A call as it was asked and answered. Raises NotFound, and CannotOpen where the secret is not known any more."""
    row = _captured(organization_id).filter(call_id=call_id, expires_at__gt=at).first()
    if row is None:
        raise NotFound("There is no such capture.")
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    exchange = open_sealed(sealer(secrets, organization_id), row.sealed, row.call_id)
    _note(organization_id, "capture.read", row.call_id, {}, by, at)
    return Opened(row, exchange)


@transaction.atomic
def read_captures(
    *, organization_id: int, call_ids: Sequence[str], for_kind: str, for_id: int, by: Actor, at: datetime
) -> list[Opened]:
    """Several at once, for something of the house that may: one line in the trail says for what, and how many. Those
    that are there, in no order; what cannot be opened any more is left out.
    """
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    opens = sealer(secrets, organization_id)
    found: list[Opened] = []
    for row in _captured(organization_id).filter(call_id__in=list(call_ids), expires_at__gt=at):
        with suppress(CannotOpen):
            found.append(Opened(row, open_sealed(opens, row.sealed, row.call_id)))
    if found:
        audit.record(
            organization_id=organization_id, verb="captures.opened", subject_kind=for_kind, subject_id=for_id,
            details={"captures": len(found)}, by=by, at=at,
        )  # fmt: skip
    return found


def forget_expired(*, at: datetime) -> int:
    """Delete what is over, of every organization, as much as one run may; gives how many."""
    done = 0
    while done < MOST_A_RUN:
        over = Capture.objects.filter(expires_at__lte=at).order_by("expires_at", "id")
        ids = list(over.values_list("id", flat=True)[:AT_ONCE])
        done += _delete(ids)
        if len(ids) < AT_ONCE:
            break
    return done


def _captured(organization_id: int) -> QuerySet[Capture]:
    return Capture.objects.filter(organization_id=organization_id)


def _delete(ids: list[int]) -> int:
    gone, _ = Capture.objects.filter(id__in=ids).delete()
    return gone


def _locked(organization_id: int, at: datetime) -> CaptureSettings:
    usual = {name: getattr(OFF, name) for name in _SAID} | {"token": uuid.uuid4(), "changed_at": at}
    CaptureSettings.objects.get_or_create(organization_id=organization_id, defaults=usual)
    return CaptureSettings.objects.select_for_update().get(organization_id=organization_id)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else list(value) if isinstance(value, tuple) else value


def _note(organization_id: int, verb: str, subject: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=organization_id, verb=verb, subject_kind="capture", subject_id=subject, details=details, by=by,
        at=at,
    )  # fmt: skip
