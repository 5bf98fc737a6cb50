"""Reads of connected accounts and their feeds."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from finops.core.errors import NotFound
from finops.jobs.models import Job
from finops.jobs.selectors import STALE_AFTER
from finops.polling.models import ConnectedAccount, PolledFeed
from finops.sources.models import Source

BACKFILL: Final = "backfill"
_POLLED: Final = (PolledFeed.State.ACTIVE, PolledFeed.State.LIMITED, PolledFeed.State.FAILING)


def accounts(organization_id: int) -> QuerySet[ConnectedAccount]:
    """With their feeds and the feeds' sources."""
    rows = ConnectedAccount.objects.filter(organization_id=organization_id)
    return rows.prefetch_related("feeds__source").order_by("id")


def account(organization_id: int, account_id: int) -> ConnectedAccount:
    """Raises NotFound."""
    found = accounts(organization_id).filter(id=account_id).first()
    if found is None:
        raise NotFound("There is no such account.")
    return found


def feeds(organization_id: int) -> QuerySet[PolledFeed]:
    rows = PolledFeed.objects.filter(organization_id=organization_id)
    return rows.select_related("account", "source").order_by("id")


def feed(organization_id: int, feed_id: int) -> PolledFeed:
    """Raises NotFound."""
    found = feeds(organization_id).filter(id=feed_id).first()
    if found is None:
        raise NotFound("There is no such feed.")
    return found


def feed_of(organization_id: int, source: Source) -> PolledFeed | None:
    """What fills a source; None where usage is sent to it."""
    return feeds(organization_id).filter(source=source).first()


def polled() -> Q:
    """Feeds that are read at all."""
    return Q(state__in=_POLLED, account__disconnected_at__isnull=True, source__archived_at__isnull=True)


def waiting(at: datetime) -> Q:
    """Feeds whose time has come and that nobody is reading."""
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=at)
    return polled() & free & Q(next_at__lte=at)


def due(at: datetime, *, limit: int) -> list[int]:
    """Ids of feeds of all organizations that are to be polled, the longest waiting first."""
    rows = PolledFeed.objects.filter(waiting(at)).order_by("next_at", "id")
    return list(rows.values_list("id", flat=True)[:limit])


def at_work(at: datetime) -> int:
    """How many feeds are being read."""
    return PolledFeed.objects.filter(leased_until__gte=at).count()


def backfills(organization_id: int, feed_ids: Collection[int]) -> dict[int, Job]:
    """The last one of each feed."""
    rows = Job.objects.filter(organization_id=organization_id, kind=BACKFILL, parameters__feed__in=list(feed_ids))
    newest = rows.order_by("parameters__feed", "-id").distinct("parameters__feed")
    return {job.parameters["feed"]: job for job in newest}


def backfills_at_work(at: datetime) -> int:
    """Of all organizations, and whose worker is not silent."""
    rows = Job.objects.filter(kind=BACKFILL, state=Job.State.RUNNING, beat_at__gte=at - STALE_AFTER)
    return rows.count()
