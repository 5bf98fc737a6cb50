"""Reads of statements."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec
from django.db.models import Count, Max, Min, Q, QuerySet

from finops.connectors.types import UsageEvent
from finops.core.periods import DayRange
from finops.sources.models import Source
from finops.statements.models import Statement

_decode: Final = msgspec.msgpack.Decoder(UsageEvent).decode
_PAGE: Final = 2_000


class Stated(NamedTuple):
    """A provider whose cost a source states, from its first day on."""

    provider: str
    source_id: int
    since: date


def stated(organization_id: int) -> list[Stated]:
    """By provider, the sources in the order in which they were connected."""
    rows = Statement.objects.filter(organization_id=organization_id, source__states=Source.States.MONEY)
    found = rows.values_list("provider", "source_id").annotate(since=Min("day")).order_by("provider", "source_id")
    return [Stated(*row) for row in found]


def days(organization_id: int, *, provider: str, since: date, before: date) -> dict[date, datetime]:
    """Days `[since, before)` that somebody stated the cost of, and when what is stated of each last changed."""
    rows = Statement.objects.filter(organization_id=organization_id, provider=provider, day__gte=since, day__lt=before)
    found = rows.values_list("day").annotate(
        money=Count("id", filter=Q(source__states=Source.States.MONEY)), at=Max("told_at")
    )
    return {day: at for day, money, at in found.order_by("day") if money}


def first_day(organization_id: int, *, provider: str, since: date) -> date | None:
    """The first day from then on that somebody stated the cost of."""
    rows = Statement.objects.filter(organization_id=organization_id, provider=provider, day__gte=since)
    return rows.filter(source__states=Source.States.MONEY).order_by("day").values_list("day", flat=True).first()


def stated_days(organization_id: int, period: DayRange) -> set[tuple[str, date]]:
    """Providers and days that somebody stated the cost of."""
    rows = Statement.objects.filter(organization_id=organization_id, day__gte=period.start, day__lt=period.end)
    return set(rows.filter(source__states=Source.States.MONEY).values_list("provider", "day").distinct())


def of_day(organization_id: int, provider: str, day: date) -> Iterator[tuple[Source, UsageEvent]]:
    """The rows of a provider's day with their sources, in the order of their ids."""
    rows = Statement.objects.filter(organization_id=organization_id, provider=provider, day=day)
    for row in rows.select_related("source").order_by("source_id", "external_id").iterator(_PAGE):
        yield row.source, _decode(bytes(row.event))


def between(source: Source, since: datetime, until: datetime) -> Iterator[UsageEvent]:
    """Rows of a source whose time begins in `[since, until)`."""
    rows = Statement.objects.filter(
        organization_id=source.organization_id, source=source, day__gte=since.date(), day__lte=until.date()
    ).order_by("id")
    for body in rows.values_list("event", flat=True).iterator(_PAGE):
        event = _decode(bytes(body))
        if since <= event.occurred_at < until:
            yield event


def money_sources(organization_id: int) -> QuerySet[Source]:
    """Those that state what a time cost, in the order in which they were connected."""
    return Source.objects.filter(organization_id=organization_id, states=Source.States.MONEY).order_by("id")


def states_money_of(organization_id: int, *, source_id: int, provider: str) -> bool:
    rows = Statement.objects.filter(organization_id=organization_id, source_id=source_id, provider=provider)
    return rows.filter(source__states=Source.States.MONEY).exists()


def organizations() -> list[int]:
    """Those that some provider's cost is stated to."""
    rows = Source.objects.filter(states=Source.States.MONEY).order_by("organization_id")
    return list(rows.values_list("organization_id", flat=True).distinct())
