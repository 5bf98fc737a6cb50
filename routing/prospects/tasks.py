"""When prospects are learned, and held against what calls came to."""

from __future__ import annotations

from typing import Any, Final

from celery import shared_task
from django.utils import timezone

from finops.core.actors import system
from routing.classify import selectors as classify
from routing.prospects import services

HOUSE: Final = system("prospects")
QUEUE: Final = "routing"


@shared_task(name="prospects.follow_one", acks_late=True)
def follow_one(*, organization_id: int, **_: Any) -> None:
    services.follow(organization_id=organization_id, by=HOUSE, at=timezone.now())


@shared_task(name="prospects.follow")
def follow(**_: Any) -> None:
    """Queue each organization of whose calls features are kept."""
    for organization_id in classify.with_sampled():
        follow_one.apply_async(kwargs={"organization_id": organization_id}, queue=QUEUE, expires=900)
