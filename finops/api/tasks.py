"""When old first answers are forgotten."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from finops.api import idempotency


@shared_task(name="api.forget_answers")
def forget_answers(**_: object) -> None:
    idempotency.forget(before=timezone.now() - idempotency.KEPT)
