"""Keys that may be blocked at a provider or a proxy: whose spend each makes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction

from finops.audit.services import record
from finops.budgets.enforcement import enforceable
from finops.budgets.models import Enforceable
from finops.budgets.types import OWNERS
from finops.connectors.enforcement import CONNECTORS
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid
from finops.sources.models import Source, SourceAccess

MOST: Final = 200_000


class KeyInvalid(Invalid):
    """A key that cannot be blocked; `field` says why."""

    code = "budgets.key_invalid"


class KeyTaken(FinopsError):
    """Whose that key is was said already; archive that first."""

    code = "budgets.key_taken"
    status = 409


@transaction.atomic
def add_enforceable(
    *,
    organization_id: int,
    source: Source,
    external_id: str,
    dimension: str,
    owner_id: int,
    label: str = "",
    by: Actor,
    at: datetime,
) -> Enforceable:
    """Say whose spend a key at a source makes. From now on it is blocked when a cap of theirs is about to be passed.

    The owner is the organization's: whoever calls has looked it up. Raises KeyInvalid and KeyTaken.
    """
    access = SourceAccess.objects.filter(organization_id=organization_id, source=source).first()
    if access is None or source.archived_at is not None:
        raise KeyInvalid("say first how the source's administration is reached", field="source")
    known = CONNECTORS[access.connector]
    if not known.key_shape.fullmatch(external_id):
        raise KeyInvalid(f"say {known.key_help}", field="external_id")
    if dimension not in OWNERS or owner_id <= 0:
        raise KeyInvalid(f"a key is one of {', '.join(OWNERS)}'s", field="dimension")
    if len(label) > 200 or not label.isprintable():
        raise KeyInvalid("a label has at most 200 printable characters", field="label")
    if Enforceable.objects.filter(organization_id=organization_id, archived_at__isnull=True).count() >= MOST:
        raise KeyInvalid(f"an organization has at most {MOST:,} keys", field="external_id")
    row = Enforceable(
        organization_id=organization_id,
        source=source,
        external_id=external_id,
        label=label,
        dimension=dimension,
        subject=str(owner_id),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise KeyTaken("whose that key is was said already; archive that first", field="external_id") from None
    _note(row, "enforceable.added", by, at)
    return row


@transaction.atomic
def archive_enforceable(*, organization_id: int, enforceable_id: int, by: Actor, at: datetime) -> Enforceable:
    """It is blocked no more; should it be now, it is given back. Raises NotFound."""
    row = enforceable(organization_id, enforceable_id)
    if row.archived_at is None:
        row.archived_at = at
        row.save(update_fields=["archived_at"])
        _note(row, "enforceable.archived", by, at)
    return row


def _note(row: Enforceable, verb: str, by: Actor, at: datetime) -> None:
    record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="enforceable",
        subject_id=row.id,
        subject_label=row.external_id,
        by=by,
        at=at,
        details={"source": row.source_id, row.dimension: row.subject},
    )
