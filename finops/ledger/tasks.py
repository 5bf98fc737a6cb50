"""When: rollups are folded every few seconds, days settled every hour, partitions made ahead."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone
from psycopg.errors import DeadlockDetected

from finops.ledger import services
from finops.orgs.models import Organization

logger = logging.getLogger(__name__)


@shared_task(name="ledger.fold_rollups")
def fold_rollups(**_: Any) -> None:
    services.fold_all()


@shared_task(name="ledger.make_partitions")
def make_partitions(**_: Any) -> None:
    services.ensure_months(services.months_ahead(timezone.now()))


@shared_task(name="ledger.settle")
def settle(**_: Any) -> None:
    """Make the larger blocks of days that lie behind, and regroup the newest days of the wide cube."""
    today = timezone.now().date()
    for organization_id in Organization.objects.order_by("id").values_list("id", flat=True):
        services.settle_days(organization_id=organization_id)
        for day in (today - timedelta(days=1), today):
            services.compact_day(organization_id=organization_id, day=day)


@shared_task(name="ledger.rematch")
def rematch(*, hours: int, **_: Any) -> None:
    """Calls without a request id that were booked in the last hours: has another source told of them since?"""
    at = timezone.now()
    since = at - timedelta(hours=hours)
    services.forget_lone(before=at - services.KEPT)
    for organization_id in services.with_lone(since=since):
        try:
            services.rematch(organization_id=organization_id, since=since, at=at)
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
            # Somebody revised what was looked at. The others are not kept waiting for it: it is looked at again soon.
            logger.warning("rematch of organization %s gave way to a revision", organization_id)
