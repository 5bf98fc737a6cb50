"""When decisions are over."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from routing.rules import services


@shared_task(name="rules.forget_decisions")
def forget_decisions(**_: object) -> None:
    services.forget_decisions(at=timezone.now())
