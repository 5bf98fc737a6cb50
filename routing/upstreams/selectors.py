"""Reads of upstreams, deployments and what keys wish."""

from __future__ import annotations

from django.db.models import QuerySet

from finops.core.errors import NotFound
from routing.upstreams.models import Deployment, KeyWishes, Upstream


def upstreams(organization_id: int, *, archived: bool = False) -> QuerySet[Upstream]:
    """By name; with `archived`, those that are out of use too."""
    rows = Upstream.objects.filter(organization_id=organization_id).order_by("name")
    return rows if archived else rows.filter(archived_at__isnull=True)


def upstream(organization_id: int, upstream_id: int) -> Upstream:
    """Archived or not. Raises NotFound."""
    found = Upstream.objects.filter(organization_id=organization_id, id=upstream_id).first()
    if found is None:
        raise NotFound("There is no such upstream.")
    return found


def deployments(organization_id: int, upstream_id: int) -> QuerySet[Deployment]:
    """Of one upstream, by model."""
    return Deployment.objects.filter(organization_id=organization_id, upstream_id=upstream_id).order_by("model", "id")


def deployments_in_use(organization_id: int) -> QuerySet[Deployment]:
    """Of every upstream that is not archived, in the order they are tried in."""
    rows = Deployment.objects.filter(organization_id=organization_id, upstream__archived_at__isnull=True)
    return rows.order_by("model", "rank", "id")


def wishes(organization_id: int) -> QuerySet[KeyWishes]:
    """Of every key that wishes something, each with its key; of revoked ones too."""
    return KeyWishes.objects.filter(organization_id=organization_id).select_related("key").order_by("key_id")


def wishes_of(organization_id: int, key_id: int) -> KeyWishes:
    """Raises NotFound: there is no such key, or it wishes nothing."""
    found = wishes(organization_id).filter(key_id=key_id).first()
    if found is None:
        raise NotFound("There is no such key that wishes anything.")
    return found
