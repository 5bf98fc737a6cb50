"""Virtual keys: issued with the secret shown once, rotated, revoked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid
from finops.orgs import secrets
from finops.orgs.models import Agent, Customer, Person, Project, Team, VirtualKey
from finops.orgs.rules import KEY_PERMISSIONS, Permission
from finops.orgs.services.checks import active, clean_name, locked

# How stale `last_used_at` may be. A key that works a thousand times a second is written once a minute.
USE_NOTED_EVERY: Final = timedelta(minutes=1)
# How long the secret before a new one works, where nobody says otherwise, and at most.
OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=30)
_BOUND: Final[dict[str, type[Team | Person | Project | Agent | Customer]]] = {
    "team": Team,
    "person": Person,
    "project": Project,
    "agent": Agent,
    "customer": Customer,
}


class KeyPermissionInvalid(Invalid):
    """Not a permission, or one that no key may carry."""

    code = "orgs.key_permission_invalid"


class KeyExpiryInvalid(Invalid):
    code = "orgs.key_expiry_invalid"


class KeyRevoked(FinopsError):
    code = "orgs.key_revoked"
    status = 409


class KeyExpired(FinopsError):
    code = "orgs.key_expired"
    status = 409


class KeyGraceInvalid(Invalid):
    code = "orgs.key_grace_invalid"


@dataclass(frozen=True, slots=True)
class Issued:
    """A key and its new secret, which exists nowhere else."""

    key: VirtualKey
    secret: str

    def __repr__(self) -> str:
        return f"Issued({self.key.prefix})"


@transaction.atomic
def issue_key(
    *,
    organization_id: int,
    name: str,
    permissions: Iterable[str] = (Permission.USAGE_WRITE,),
    team_id: int | None = None,
    person_id: int | None = None,
    project_id: int | None = None,
    agent_id: int | None = None,
    customer_id: int | None = None,
    task_type: str = "",
    expires_at: datetime | None = None,
    by: Actor,
    at: datetime,
) -> Issued:
    """A key bound to default dimensions: usage that says nothing else is theirs, and reading stops at them.

    Raises NameInvalid, KeyPermissionInvalid, KeyExpiryInvalid and OwnerUnknown.
    """
    bound = _bound(
        organization_id,
        {"team": team_id, "person": person_id, "project": project_id, "agent": agent_id, "customer": customer_id},
    )
    if expires_at is not None and expires_at <= at:
        raise KeyExpiryInvalid("a key cannot expire before it is issued", field="expires_at")
    row = VirtualKey(
        organization_id=organization_id,
        name=clean_name(name),
        permissions=_permissions(permissions),
        task_type=clean_name(task_type, field="task_type", most=60) if task_type else "",
        expires_at=expires_at,
        **bound,
    )
    secret = _save_with_secret(row)
    expiry = expires_at.isoformat() if expires_at else None
    _note("key.issued", row, by, at, {"permissions": row.permissions, "expires_at": expiry, **bound})
    return Issued(row, secret)


@transaction.atomic
def rotate_key(*, organization_id: int, key_id: int, grace: timedelta = OVERLAP, by: Actor, at: datetime) -> Issued:
    """A new secret of the same key, so that its limits, budgets and stops stay its own. The secret before works for
    `grace` more, and one before that no longer. Raises KeyGraceInvalid, KeyRevoked, KeyExpired and NotFound.
    """
    if not timedelta(0) <= grace <= LONGEST_OVERLAP:
        raise KeyGraceInvalid(f"the secret before works for 0 to {LONGEST_OVERLAP.days} days more", field="grace_s")
    row: VirtualKey = locked(VirtualKey, organization_id, key_id, "key")
    if row.revoked_at is not None:
        raise KeyRevoked("This key is revoked; issue a new one.")
    if row.expires_at is not None and row.expires_at <= at:
        raise KeyExpired("This key has expired; issue a new one.")
    row.former_digest, row.former_until = (row.digest, at + grace) if grace else ("", None)
    secret = secrets.renew(row.prefix)
    row.digest = secrets.digest(secret)
    row.save(update_fields=["digest", "former_digest", "former_until"])
    _note("key.rotated", row, by, at, {"former_until": row.former_until.isoformat() if row.former_until else None})
    return Issued(row, secret)


@transaction.atomic
def revoke_key(*, organization_id: int, key_id: int, by: Actor, at: datetime) -> VirtualKey:
    """Stops working at once, for good. Revoking twice is as good as once. Raises NotFound."""
    row: VirtualKey = locked(VirtualKey, organization_id, key_id, "key")
    if row.revoked_at is None:
        row.revoked_at = at
        row.save(update_fields=["revoked_at"])
        _note("key.revoked", row, by, at, {})
    return row


def note_use(*, key_id: int, last_used_at: datetime | None, at: datetime) -> None:
    """Remember that a key was used, at most once a minute. Not audited: it changes nothing but the memory of it."""
    if last_used_at is not None and at < last_used_at + USE_NOTED_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=at - USE_NOTED_EVERY)
    VirtualKey.objects.filter(stale, id=key_id).update(last_used_at=at)


def _bound(organization_id: int, owners: Mapping[str, int | None]) -> dict[str, int | None]:
    return {f"{name}_id": active(_BOUND[name], organization_id, row_id, field=name) for name, row_id in owners.items()}


def _permissions(wanted: Iterable[str]) -> list[str]:
    found = sorted({str(name) for name in wanted})
    refused = [name for name in found if name not in KEY_PERMISSIONS]
    if refused or not found:
        raise KeyPermissionInvalid(
            f"a key may carry {', '.join(sorted(KEY_PERMISSIONS))}, and at least one of them", field="permissions"
        )
    return found


def _save_with_secret(row: VirtualKey) -> str:
    # Two keys in a trillion share a prefix; the second is made again.
    for attempt in range(3):
        secret, row.prefix = secrets.make()
        row.digest = secrets.digest(secret)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            if attempt == 2 or not VirtualKey.objects.filter(prefix=row.prefix).exists():
                raise
            continue
        return secret
    raise AssertionError("unreachable")


def _note(verb: str, row: VirtualKey, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    audit.record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="key",
        subject_id=row.id,
        # Not the name: people put people's names there, and the trail cannot be rewritten.
        subject_label=row.prefix,
        details=details,
        by=by,
        at=at,
    )
