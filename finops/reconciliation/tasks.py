"""When: days are reconciled every few minutes, where something came or changed."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from finops.reconciliation.services import reconcile
from finops.statements.selectors import organizations


@shared_task(name="reconciliation.reconcile")
def reconcile_all(**_: Any) -> None:
    for organization_id in organizations():
        reconcile(organization_id=organization_id, at=timezone.now())
