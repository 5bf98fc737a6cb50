"""When: rollups are folded every few seconds, partitions made ahead, the wide cube compacted by night."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from finops.ledger import services
from finops.orgs.models import Organization


@shared_task(name="ledger.fold_rollups", queue="control")
def fold_rollups(**_: Any) -> None:
    services.fold_all()


@shared_task(name="ledger.make_partitions", queue="control")
def make_partitions(**_: Any) -> None:
    services.ensure_months(services.months_ahead(timezone.now()))


@shared_task(name="ledger.compact", queue="control")
def compact(*, days: int = 3, **_: Any) -> None:
    """Regroup the last days of the wide cube, which folds append to."""
    today = timezone.now().date()
    for organization_id in Organization.objects.order_by("id").values_list("id", flat=True):
        for back in range(days):
            services.compact_day(organization_id=organization_id, day=today - timedelta(days=back))
