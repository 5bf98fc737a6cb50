"""When decisions are over, and when it is looked whether a maker has too much of the spend."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from routing.rules import services


@shared_task(name="rules.forget_decisions")
def forget_decisions(**_: object) -> None:
    services.forget_decisions(at=timezone.now())


@shared_task(name="rules.follow_concentration")
def follow_concentration(**_: object) -> None:
    services.follow_concentration(at=timezone.now())
