"""When captures are over."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from routing.captures import services


@shared_task(name="captures.forget_expired")
def forget_expired(**_: object) -> None:
    services.forget_expired(at=timezone.now())
