"""When: rollups are folded every few seconds, days settled every hour, partitions made ahead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from finops.ledger import services
from finops.orgs.models import Organization


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
        services.rematch(organization_id=organization_id, since=since, at=at)
