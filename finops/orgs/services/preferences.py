"""What a login prefers. It is of no organization, so each that the login belongs to hears of a change."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import Invalid
from finops.orgs.models import Membership, User

THEMES: Final = ("light", "dark", "system")


class PreferenceInvalid(Invalid):
    code = "orgs.preference_invalid"


@transaction.atomic
def change_preferences(
    *, user_id: int, theme: str | None = None, shortcuts: bool | None = None, by: Actor, at: datetime
) -> User:
    """Colours and single-letter keys; None leaves one as it is. Raises PreferenceInvalid."""
    if theme is not None and theme not in THEMES:
        raise PreferenceInvalid(f"a theme is one of {', '.join(THEMES)}", field="theme")
    user = User.objects.select_for_update().get(id=user_id)
    wished = {"theme": theme, "shortcuts": shortcuts}
    after = {name: value for name, value in wished.items() if value is not None and value != getattr(user, name)}
    if not after:
        return user
    before = {name: getattr(user, name) for name in after}
    for name, value in after.items():
        setattr(user, name, value)
    user.save(update_fields=list(after))
    memberships = Membership.objects.filter(user_id=user_id, archived_at__isnull=True).order_by("organization_id")
    for organization_id in memberships.values_list("organization_id", flat=True):
        audit.record(
            organization_id=organization_id,
            verb="user.preferences_changed",
            subject_kind="user",
            subject_id=user_id,
            details={"before": before, "after": after},
            by=by,
            at=at,
        )
    return user
