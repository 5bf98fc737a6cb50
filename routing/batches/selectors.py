"""Reads of batches."""

from __future__ import annotations

from datetime import datetime

from routing.batches import hot
from routing.batches.models import Batch


def due(at: datetime, *, most: int) -> list[int]:
    """Every organization's batches that are to be looked at, who waited longest first."""
    rows = Batch.objects.filter(state__in=hot.DUE, look_at__lte=at).order_by("look_at", "id")
    return list(rows.values_list("id", flat=True)[:most])
