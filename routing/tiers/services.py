"""What an organization says of models: said, said otherwise, and taken back. Audited."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.orgs.models import Organization
from routing.tiers import rules, selectors
from routing.tiers.models import ModelTier, TiersVersion
from routing.tiers.types import Entry


@transaction.atomic
def set_entry(*, organization_id: int, entry: Entry, by: Actor, at: datetime) -> ModelTier:
    """Say this of a model, in place of whatever was said before. Again changes nothing.

    Raises ModelTierInvalid, TooManyEntries.
    """
    said = rules.check(entry)
    # One writer at a time, so that the bound holds.
    Organization.objects.select_for_update().get(id=organization_id)
    row = ModelTier.objects.filter(organization_id=organization_id, model=said.model).first()
    before = None if row is None else selectors.entry_of(row)
    if row is not None and before == said:
        return row
    if row is None:
        if ModelTier.objects.filter(organization_id=organization_id).count() >= rules.MOST_ENTRIES:
            raise rules.TooManyEntries(f"an organization says something of at most {rules.MOST_ENTRIES:,} names")
        row = ModelTier(organization_id=organization_id, model=said.model)
    row.vendor, row.origin = said.vendor, said.origin
    row.tier, row.open_weights = said.tier.value if said.tier else "", said.open_weights
    row.changed_at = at
    row.save()
    _changed(organization_id)
    _note("model_tier.set", row, {"said": _plain(said), "before": None if before is None else _plain(before)}, by, at)
    return row


@transaction.atomic
def remove_entry(*, organization_id: int, model_tier_id: int, by: Actor, at: datetime) -> None:
    """From now on the register speaks of it again. Raises NotFound."""
    row = selectors.entry(organization_id, model_tier_id, lock=True)
    _note("model_tier.removed", row, {"before": _plain(selectors.entry_of(row))}, by, at)
    row.delete()
    _changed(organization_id)


def _changed(organization_id: int) -> None:
    """What is published is stale."""
    TiersVersion.objects.update_or_create(organization_id=organization_id, defaults={"token": uuid.uuid4()})


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "tier": entry.tier.value if entry.tier else "", "vendor": entry.vendor, "origin": entry.origin,
        "open_weights": entry.open_weights,
    }  # fmt: skip


def _note(verb: str, row: ModelTier, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=row.organization_id, verb=verb, subject_kind="model_tier", subject_id=row.id,
        subject_label=str(row), details=details, by=by, at=at,
    )  # fmt: skip
