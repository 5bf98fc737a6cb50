"""Reads of sources."""

from __future__ import annotations

from django.db.models import QuerySet

from finops.core.errors import NotFound
from finops.sources.models import Source, SourceAccess


def sources(organization_id: int, *, archived: bool = False) -> QuerySet[Source]:
    rows = Source.objects.filter(organization_id=organization_id).order_by("slug")
    return rows if archived else rows.filter(archived_at__isnull=True)


def source(organization_id: int, slug: str) -> Source:
    """Raises NotFound."""
    found = Source.objects.filter(organization_id=organization_id, slug=slug).first()
    if found is None:
        raise NotFound("There is no such source.")
    return found


def heard() -> QuerySet[Source]:
    """Every organization's sources that ever sent something and still may."""
    return Source.objects.filter(archived_at__isnull=True, last_received_at__isnull=False).order_by("id")


def access_of(organization_id: int, source: Source) -> SourceAccess:
    """Raises NotFound."""
    found = SourceAccess.objects.filter(organization_id=organization_id, source=source).first()
    if found is None:
        raise NotFound("The source's administration cannot be reached: no access is set.")
    return found
