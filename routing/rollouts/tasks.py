"""When rules under way are looked at, and savings are measured."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from routing.rollouts import selectors, services

QUEUE = "routing"


@shared_task(name="rollouts.follow_one", acks_late=True)
def follow_one(*, organization_id: int, **_: Any) -> None:
    services.follow(organization_id=organization_id, by=services.HOUSE, at=timezone.now())


@shared_task(name="rollouts.follow")
def follow(**_: Any) -> None:
    """Queue each organization that has a rule under way."""
    for organization_id in selectors.followed():
        follow_one.apply_async(kwargs={"organization_id": organization_id}, queue=QUEUE, expires=60)


@shared_task(name="rollouts.measure_one", acks_late=True)
def measure_one(*, organization_id: int, **_: Any) -> None:
    services.measure(organization_id=organization_id, by=services.HOUSE, at=timezone.now())


@shared_task(name="rollouts.measure")
def measure(**_: Any) -> None:
    """Queue each organization that has a rule; forget sessions of which nothing new can be heard."""
    services.forget_sessions(at=timezone.now())
    for organization_id in selectors.measured():
        measure_one.apply_async(kwargs={"organization_id": organization_id}, queue=QUEUE, expires=900)
