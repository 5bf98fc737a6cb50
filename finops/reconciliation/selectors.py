"""Reads of reconciled days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from django.db.models import QuerySet, Sum

from finops.core.periods import DayRange
from finops.ledger.selectors import spend, term_ids
from finops.ledger.types import Grain, SpendQuestion
from finops.reconciliation.models import CountingRule, ReconciledDay
from finops.sources.models import Source
from finops.statements import selectors as statements


def rules(organization_id: int) -> QuerySet[CountingRule]:
    return CountingRule.objects.filter(organization_id=organization_id).select_related("source").order_by("provider")


def days(organization_id: int, *, provider: str = "", period: DayRange | None = None) -> QuerySet[ReconciledDay]:
    """Days as they were compared last, newest first."""
    rows = ReconciledDay.objects.filter(organization_id=organization_id).order_by("-day", "provider")
    if provider:
        rows = rows.filter(provider=provider)
    return rows if period is None else rows.filter(day__gte=period.start, day__lt=period.end)


def changed(rule: CountingRule, *, since: date, at: datetime) -> Iterator[tuple[date, str]]:
    """Days of a provider that are to be compared, with what they are made of: they are over, stated, and not as they
    were when they were compared last.
    """
    over = (at - timedelta(hours=rule.after_hours)).date()
    since = max(since, rule.since)
    if over <= since:
        return
    stated = statements.days(rule.organization_id, provider=rule.provider, since=since, before=over)
    known = dict(
        ReconciledDay.objects.filter(
            organization_id=rule.organization_id, provider=rule.provider, day__gte=since
        ).values_list("day", "basis")
    )
    called = _called(rule, DayRange(since, over)) if stated else {}
    for day, told_at in sorted(stated.items()):
        basis = f"{rule.id} {rule.source_id} {rule.level} {rule.whole} {told_at.isoformat()} {called.get(day, '')}"
        if known.get(day) != basis:
            yield day, basis


def _called(rule: CountingRule, period: DayRange) -> dict[date, str]:
    """What each day's calls come to, without what reconciling it added."""
    provider = term_ids(rule.organization_id, "provider", [rule.provider])
    if not provider:
        return {}
    asked = SpendQuestion(
        organization_id=rule.organization_id,
        period=period,
        group_by=("source",),
        filters={"provider": frozenset(provider.values())},
        grain=Grain.DAY,
    )
    found: dict[date, list[str]] = {}
    for row in spend(asked):
        if row.bucket is not None and row.values != (rule.source_id,):
            found.setdefault(row.bucket, []).append(
                f"{row.values[0]}:{row.calls}:{row.effective_cost}:{row.input_tokens}"
            )
    return {day: blake2b(" ".join(sorted(each)).encode(), digest_size=8).hexdigest() for day, each in found.items()}


def drift(source: Source, *, since: date) -> dict[str, Decimal]:
    """What calls stood at beyond what a source billed for the same days, by currency; nothing where it is no money."""
    rows = ReconciledDay.objects.filter(organization_id=source.organization_id, day__gte=since).filter(
        provider__in=CountingRule.objects.filter(organization_id=source.organization_id, source=source).values(
            "provider"
        )
    )
    found = rows.values_list("currency").annotate(off=Sum("seen") - Sum("billed")).order_by("currency")
    return dict(found)
