"""Reads of what was held."""

from __future__ import annotations

from django.db.models import Count, QuerySet

from finops.core.errors import NotFound
from finops.ingest.models import QuarantinedRecord


def quarantine(
    organization_id: int, *, state: str = "", code: str = "", source: str = ""
) -> QuerySet[QuarantinedRecord]:
    """Newest first, without the records' text. `source` is a slug."""
    rows = QuarantinedRecord.objects.filter(organization_id=organization_id)
    for name, value in (("state", state), ("code", code), ("source__slug", source)):
        if value:
            rows = rows.filter(**{name: value})
    return rows.select_related("source").defer("raw").order_by("-received_at", "-id")


def quarantined(organization_id: int, record_id: int) -> QuarantinedRecord:
    """With its text. Raises NotFound."""
    rows = QuarantinedRecord.objects.filter(organization_id=organization_id, id=record_id)
    found = rows.select_related("source").first()
    if found is None:
        raise NotFound("There is no such record.")
    return found


def held_ids(
    organization_id: int, *, code: str = "", source: str = "", after: int = 0, limit: int = 10_000
) -> list[int]:
    """Ids above `after` of held records, oldest first: what a replay of all takes on."""
    rows = quarantine(organization_id, state=QuarantinedRecord.State.HELD, code=code, source=source)
    return list(rows.filter(id__gt=after).order_by("id").values_list("id", flat=True)[:limit])


def held_by_code(organization_id: int) -> list[tuple[str, int]]:
    """(code, how many are held), most first."""
    rows = QuarantinedRecord.objects.filter(organization_id=organization_id, state=QuarantinedRecord.State.HELD)
    counted = rows.order_by().values("code").annotate(held=Count("id")).order_by("-held", "code")
    return [(row["code"], row["held"]) for row in counted]
