"""Reads of statements."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet

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


class Row(NamedTuple):
    """A row of a report as it is told now. `says` is equal where two sources tell the same under the same id."""

    source: Source
    parser: str
    says: tuple[str, bytes]
    event: UsageEvent


class Bill(NamedTuple):
    """What a source states of a provider: by which parsers, of which accounts that are named, and in how many rows."""

    parsers: frozenset[str]
    accounts: frozenset[str]
    rows: int


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


def stated_until(organization_id: int, *, provider: str) -> dict[int, date]:
    """By source that states what the provider cost, the last day it did so of."""
    rows = Statement.objects.filter(organization_id=organization_id, provider=provider)
    found = rows.filter(source__states=Source.States.MONEY).values_list("source_id")
    return dict(found.annotate(last=Max("day")).order_by("source_id"))


def first_day(organization_id: int, *, provider: str, days: DayRange) -> date | None:
    """The first of the days that somebody stated the cost of."""
    rows = Statement.objects.filter(
        organization_id=organization_id, provider=provider, day__gte=days.start, day__lt=days.end
    )
    return rows.filter(source__states=Source.States.MONEY).order_by("day").values_list("day", flat=True).first()


def stated_days(organization_id: int, period: DayRange) -> set[tuple[str, date]]:
    """Providers and days that somebody stated the cost of."""
    rows = Statement.objects.filter(organization_id=organization_id, day__gte=period.start, day__lt=period.end)
    return set(rows.filter(source__states=Source.States.MONEY).values_list("provider", "day").distinct())


def of_day(organization_id: int, provider: str, day: date) -> Iterator[Row]:
    """The rows of a provider's day, in the order of the ids of their sources."""
    rows = Statement.objects.filter(organization_id=organization_id, provider=provider, day=day)
    for row in rows.select_related("source").order_by("source_id", "external_id").iterator(_PAGE):
        yield Row(row.source, row.parser, (row.external_id, bytes(row.content_hash)), _decode(bytes(row.event)))


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


def bill(organization_id: int, *, source_id: int, provider: str) -> Bill:
    rows = Statement.objects.filter(organization_id=organization_id, source_id=source_id, provider=provider)
    parsers = rows.order_by("parser").values_list("parser", flat=True).distinct()
    accounts = rows.exclude(account="").order_by("account").values_list("account", flat=True).distinct()
    return Bill(frozenset(parsers), frozenset(accounts), rows.count())


def alike(organization_id: int, *, source_id: int, other_id: int, provider: str) -> int:
    """How many rows of a source another tells as well, word by word under the same id."""
    same = Statement.objects.filter(
        organization_id=organization_id, source_id=other_id, external_id=OuterRef("external_id"),
        content_hash=OuterRef("content_hash"),
    )  # fmt: skip
    rows = Statement.objects.filter(organization_id=organization_id, source_id=source_id, provider=provider)
    return rows.filter(Exists(same)).count()


def organizations() -> list[int]:
    """Those that some provider's cost is stated to."""
    rows = Source.objects.filter(states=Source.States.MONEY).order_by("organization_id")
    return list(rows.values_list("organization_id", flat=True).distinct())
