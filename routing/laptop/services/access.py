"""How the engineer gets in: one virtual key, kept in the data folder, and for the pages a login."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from finops.orgs import secrets, selectors
from finops.orgs import services as orgs
from finops.orgs.models import Membership, User, VirtualKey
from finops.orgs.rules import Permission, Role
from routing.laptop.services.making import CONFIG

KEY_NAME: Final = "capstan gateway"


def keep_key(*, organization_id: int, person_id: int, path: Path, at: datetime) -> bool:
    """A key of the person's whose secret is at `path`. Where what is there is none any more, another is issued and the
    one before revoked. Whether it is a new one.
    """
    who: dict[str, Any] = {"organization_id": organization_id, "by": CONFIG, "at": at}
    mine = VirtualKey.objects.filter(organization_id=organization_id, person_id=person_id, name=KEY_NAME)
    live = [row for row in mine.filter(revoked_at__isnull=True).order_by("id") if selectors.key_live(row, at)]
    secret = _kept(path)
    if secret and any(secrets.same(row.digest, secrets.digest(secret)) for row in live):
        return False
    for row in live:
        orgs.revoke_key(key_id=row.id, **who)
    issued = orgs.issue_key(name=KEY_NAME, permissions=(Permission.CALLS_MAKE,), person_id=person_id, **who)
    _keep(path, issued.secret)
    return True


def keep_login(*, organization_id: int, email: str, at: datetime) -> User:
    """The login that owns the organization; it chooses its password by the link of `invitations.way_in`."""
    members = Membership.objects.filter(organization_id=organization_id, archived_at__isnull=True)
    found = members.filter(user__email=email, user__is_active=True).select_related("user").first()
    if found is None:
        found = orgs.invite(organization_id=organization_id, email=email, role=Role.OWNER, by=CONFIG, at=at)
    return found.user


def _kept(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").strip()
    return ""


def _keep(path: Path, secret: str) -> None:
    """Beside and renamed, readable by nobody else at any moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secret + "\n")
    fresh.replace(path)
