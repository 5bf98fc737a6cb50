"""When: batches are looked at as they come due."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from routing.batches.services import follow


@shared_task(name="batches.follow")
def follow_batches(**_: Any) -> None:
    """What a worker that died was at comes due again by itself."""
    follow(timezone.now)
