"""Reads of captures, without their contents: those are opened by a service, for each reading is audited."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import QuerySet

from finops.orgs.models import Project
from routing.captures.models import Capture, CaptureSettings
from routing.captures.rules import CapturingInvalid
from routing.captures.types import OFF, Capturing


def capturing(organization_id: int) -> Capturing:
    """As it is in force; off where nobody ever said anything."""
    row = CaptureSettings.objects.filter(organization_id=organization_id).first()
    return OFF if row is None else said_of(row)


def said_of(row: CaptureSettings) -> Capturing:
    return Capturing(
        is_on=row.is_on,
        share=row.share,
        days_kept=row.days_kept,
        most_a_day=row.most_a_day,
        most_kib=row.most_kib,
        task_types=tuple(row.task_types),
        project_ids=tuple(row.project_ids),
    )


def captures(
    organization_id: int, at: datetime, *, model: str = "", task_type: str = "", status: int | None = None
) -> QuerySet[Capture]:
    """Those that are not over, newest first, without their contents."""
    rows = Capture.objects.filter(organization_id=organization_id, expires_at__gt=at).defer("sealed")
    if model:
        rows = rows.filter(model=model)
    if task_type:
        rows = rows.filter(task_type=task_type)
    if status is not None:
        rows = rows.filter(status=status)
    return rows.order_by("-at", "-id")


def project_ids(organization_id: int, slugs: Collection[str]) -> tuple[int, ...]:
    """Raises CapturingInvalid for a project that there is not."""
    found = dict(Project.objects.filter(organization_id=organization_id, slug__in=slugs).values_list("slug", "id"))
    for slug in slugs:
        if slug not in found:
            raise CapturingInvalid(f"there is no project {slug[:60]!r}", field="projects")
    return tuple(found.values())


def project_slugs(organization_id: int, ids: Collection[int]) -> list[str]:
    if not ids:
        return []
    rows = Project.objects.filter(organization_id=organization_id, id__in=ids)
    return list(rows.order_by("slug").values_list("slug", flat=True))
