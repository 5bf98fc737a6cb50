"""When: days are reconciled every few minutes, where something came or changed."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from finops.reconciliation.services import reconcile
from finops.statements.selectors import organizations

logger = logging.getLogger(__name__)


@shared_task(name="reconciliation.reconcile")
def reconcile_all(**_: Any) -> None:
    for organization_id in organizations():
        reconcile(organization_id=organization_id, at=timezone.now())


@shared_task(name="reconciliation.reconcile_one")
def reconcile_one(*, organization_id: int, **_: Any) -> None:
    reconcile(organization_id=organization_id, at=timezone.now())


def send(organization_id: int) -> None:
    """Asks a worker once what was changed is committed. Nobody there to ask is no failure: the schedule does it."""

    def tell() -> None:
        try:
            reconcile_one.apply_async(
                kwargs={"organization_id": organization_id}, queue="ingest", retry=False, expires=300
            )
        except BrokerAway as error:
            logger.warning(
                "organization %d is reconciled by the schedule: the broker does not answer (%s)",
                organization_id,
                type(error).__name__,
            )

    transaction.on_commit(tell)
