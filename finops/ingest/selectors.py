"""Reads of what was held."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from django.db.models import Count, Max, Q, QuerySet, Sum

from finops.core.errors import NotFound
from finops.ingest.models import QuarantinedRecord, RefusedBody, SourceDay
from finops.sources.models import Source


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


class Came(NamedTuple):
    """What a source sent: in all, and how late what was charged came on the last days; None where nothing was."""

    records: int
    charged: int
    duplicates: int
    revised: int
    sighted: int
    held: int
    late: timedelta | None
    latest: timedelta | None


def came(source: Source, *, late_since: date) -> Came:
    """One question. Not of what is fetched."""
    lately = Q(day__gte=late_since)
    found = SourceDay.objects.filter(organization_id=source.organization_id, source=source).aggregate(
        **{f"{name}_in_all": Sum(name, default=0) for name in Came._fields[:-2]},
        late=Sum("late_s", filter=lately), latest=Max("latest_s", filter=lately), of=Sum("charged", filter=lately),
    )  # fmt: skip
    late = latest = None
    if found["of"]:
        late, latest = timedelta(seconds=round(found["late"] / found["of"])), timedelta(seconds=found["latest"])
    return Came(**{name: found[f"{name}_in_all"] for name in Came._fields[:-2]}, late=late, latest=latest)


def refused(source: Source) -> QuerySet[RefusedBody]:
    """Bodies that were refused whole, by code, the newest first."""
    rows = RefusedBody.objects.filter(organization_id=source.organization_id, source=source)
    return rows.order_by("-last_at", "code")
