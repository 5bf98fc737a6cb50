"""Promoted tag keys: ten slots an organization, given once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from finops.attribution.models import MAX_SLOTS, PromotedTag
from finops.attribution.services.checks import one_at_a_time
from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid, NotFound


class TagKeyInvalid(Invalid):
    code = "attribution.tag_key_invalid"


class TagSlotsFull(FinopsError):
    code = "attribution.tag_slots_full"
    status = 409


@transaction.atomic
def promote_tag(*, organization_id: int, key: str, by: Actor, at: datetime) -> PromotedTag:
    """Gives a tag key a slot, for calls from now on. A key that was retired gets its old slot back; one that is
    promoted already stays as it is. Raises TagKeyInvalid and TagSlotsFull.
    """
    if not key.strip() or len(key) > 200 or not key.isprintable():
        raise TagKeyInvalid("a tag key has 1 to 200 printable characters", field="key")
    one_at_a_time(organization_id)
    rows = {row.key: row for row in PromotedTag.objects.filter(organization_id=organization_id).order_by("slot")}
    row = rows.get(key)
    if row is not None and row.retired_at is None:
        return row
    if row is None:
        free = sorted(set(range(1, MAX_SLOTS + 1)) - {known.slot for known in rows.values()})
        if not free:
            raise TagSlotsFull(
                f"All {MAX_SLOTS} slots are given, and a retired key keeps its own: charges hold its values there.",
                field="key",
            )
        row = PromotedTag.objects.create(organization_id=organization_id, slot=free[0], key=key, promoted_at=at)
    else:
        row.retired_at = None
        row.save(update_fields=["retired_at"])
    _note("tag.promoted", row, by, at, {"slot": row.slot})
    return row


@transaction.atomic
def retire_tag(*, organization_id: int, tag_id: int, by: Actor, at: datetime) -> PromotedTag:
    """Stops filling the slot, and keeps it. Retiring twice is as good as once. Raises NotFound."""
    one_at_a_time(organization_id)
    row = PromotedTag.objects.filter(organization_id=organization_id, id=tag_id).first()
    if row is None:
        raise NotFound("There is no such promoted tag.")
    if row.retired_at is None:
        row.retired_at = at
        row.save(update_fields=["retired_at"])
        _note("tag.retired", row, by, at, {"slot": row.slot})
    return row


def _note(verb: str, row: PromotedTag, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    audit.record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="promoted_tag",
        subject_id=row.id,
        subject_label=row.key,
        by=by,
        at=at,
        details=details,
    )
