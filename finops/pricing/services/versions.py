"""Says that something prices depend on has changed, so that every process reads again."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from finops.pricing.models import PricingVersion


def touch(*, organization_id: int | None, at: datetime) -> None:
    """A new token for the public part (None) or one organization. Also puts writers of the same part in a queue."""
    whose: dict[str, Any] = {"organization_id": organization_id}
    PricingVersion.objects.update_or_create(**whose, defaults={"token": uuid.uuid4(), "changed_at": at})
