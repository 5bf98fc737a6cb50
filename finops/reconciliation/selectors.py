"""Reads of reconciled days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from finops.core.errors import NotFound
from finops.core.periods import DayRange
from finops.ledger.selectors import on_a_bill, spend, term_ids
from finops.ledger.types import Grain, SpendQuestion
from finops.reconciliation.models import CountingRule, ReconciledDay
from finops.reconciliation.types import Compared, Total
from finops.sources.models import Source
from finops.statements import selectors as statements

_State = ReconciledDay.State
_AMOUNTS: Final = ("billed", "seen", "unseen", "unattributed")


def rules(organization_id: int) -> QuerySet[CountingRule]:
    return CountingRule.objects.filter(organization_id=organization_id).select_related("source").order_by("provider")


def rule(organization_id: int, rule_id: int) -> CountingRule:
    """Raises NotFound."""
    found = rules(organization_id).filter(id=rule_id).first()
    if found is None:
        raise NotFound("There is no such counting rule.")
    return found


def bills_of(rule: CountingRule) -> list[Source]:
    """Sources whose statements may be the provider's money: those that stated some, and the present one."""
    house, provider = rule.organization_id, rule.provider
    return [
        one
        for one in statements.money_sources(house)
        if one.id == rule.source_id or statements.states_money_of(house, source_id=one.id, provider=provider)
    ]


def days(organization_id: int, *, provider: str = "", period: DayRange | None = None) -> QuerySet[ReconciledDay]:
    """Days as they were compared last, newest first."""
    rows = ReconciledDay.objects.filter(organization_id=organization_id).order_by("-day", "provider")
    if provider:
        rows = rows.filter(provider=provider)
    return rows if period is None else rows.filter(day__gte=period.start, day__lt=period.end)


def totals(organization_id: int, period: DayRange, *, at: datetime) -> list[Total]:
    """By provider and currency; as many questions, however many days there are."""
    rows = days(organization_id, period=period).order_by("provider", "currency").values("provider", "currency")
    counted = Q(state__in=[_State.TIED, _State.COMPARED])
    amounts = {name: Coalesce(Sum(name, filter=counted), Decimal(0)) for name in _AMOUNTS}
    numbers = {str(state): Count("id", filter=Q(state=state)) for state in _State}
    calls = Coalesce(Sum("calls", filter=counted), 0)
    waiting = waiting_days(organization_id, period, at=at)
    found = []
    for row in _read(rows.annotate(**amounts, **numbers, all_calls=calls)):
        said = {name: row[name] for name in ("provider", "currency", *_AMOUNTS)}
        said |= {
            "calls": row["all_calls"],
            "tied": row["tied"],
            "compared": row["compared"],
            "apart": row["currencies"],
        }
        # With the first of a provider's currencies: a day that has no bill has none.
        found.append(Total(**said, waiting=waiting.pop(row["provider"], ())))
    found += [Total(provider, "", waiting=days) for provider, days in waiting.items()]
    return sorted(found, key=lambda one: (one.provider, one.currency))


def by_day(organization_id: int, period: DayRange, *, provider: str = "") -> list[Compared]:
    """Amounts of tied and compared days, by day and currency, oldest first. One question."""
    rows = days(organization_id, provider=provider, period=period).filter(state__in=[_State.TIED, _State.COMPARED])
    sums = {name: Sum(name) for name in _AMOUNTS}
    summed = rows.values("day", "currency").annotate(**sums).order_by("day", "currency")
    return [Compared(**row) for row in _read(summed)]


def _read(rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Rows whose columns no type can say: they are named by what is asked."""
    for row in rows:
        yield dict(row)


def waiting_days(
    organization_id: int, period: DayRange, *, at: datetime, not_over: bool = False
) -> dict[str, tuple[date, ...]]:
    """By provider that has a rule, days that are over and had calls, and that nobody stated the cost of yet. Calls that
    a plan of seats pays for are on no bill. `not_over`: with the days that are not to be compared yet, whatever is
    stated of them.
    """
    by_provider = {one.provider: one for one in rules(organization_id)}
    terms = term_ids(organization_id, "provider", by_provider)
    usage = term_ids(organization_id, "category", ["Usage"])
    if not (terms and usage):
        return {}
    asked = SpendQuestion(
        organization_id=organization_id,
        period=period,
        group_by=("provider",),
        # Calls at other hosts are on another bill.
        filters={
            "provider": frozenset(terms.values()), "category": frozenset(usage.values()), "host": frozenset({0}),
        },
        grain=Grain.DAY,
    )  # fmt: skip
    named = {term: provider for provider, term in terms.items()}
    stated = statements.stated_days(organization_id, period)
    waiting: set[tuple[int, date]] = set()
    for row in spend(asked):
        one = by_provider[named[row.values[0]]]
        if row.bucket is None or not row.calls or row.bucket < one.since:
            continue
        over = row.bucket < over_before(one, at)
        if (one.provider, row.bucket) not in stated if over else not_over:
            waiting.add((row.values[0], row.bucket))
    found: dict[str, set[date]] = {}
    for term, day in on_a_bill(organization_id, waiting):
        found.setdefault(named[term], set()).add(day)
    return {provider: tuple(sorted(each)) for provider, each in sorted(found.items())}


def over_before(rule: CountingRule, at: datetime) -> date:
    """The first day that is not to be compared yet."""
    return (at - timedelta(hours=rule.after_hours)).date()


def let_go(rule: CountingRule) -> list[ReconciledDay]:
    """Days that were compared and that the rule does not speak for any more."""
    rows = ReconciledDay.objects.filter(
        organization_id=rule.organization_id, provider=rule.provider, day__lt=rule.since
    )
    return list(rows.order_by("-day"))


def is_behind(rule: CountingRule) -> bool:
    """Whether days may lie far back that are not as the rule says: it was changed, or is new."""
    known = ReconciledDay.objects.filter(
        organization_id=rule.organization_id, provider=rule.provider, day__gte=rule.since
    )
    if known.exclude(basis__startswith=_by(rule)).exists():
        return True
    first = statements.first_day(rule.organization_id, provider=rule.provider, since=rule.since)
    earliest = known.aggregate(day=Min("day"))["day"]
    return first is not None and (earliest is None or first < earliest)


def changed(rule: CountingRule, *, since: date, at: datetime) -> Iterator[tuple[date, str]]:
    """Days of a provider that are to be compared, with what they are made of: they are over, stated, and not as they
    were when they were compared last. The newest first: when somebody stops, the oldest are left, by which it is known
    that some are (`is_behind`).
    """
    over = over_before(rule, at)
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
    for day, told_at in sorted(stated.items(), reverse=True):
        basis = f"{_by(rule)}{told_at.isoformat()} {called.get(day, '')}"
        if known.get(day) != basis:
            yield day, basis


def _by(rule: CountingRule) -> str:
    """How the basis of a day begins that was made by the rule as it is."""
    return f"{rule.id} {rule.source_id} {rule.level} {rule.whole} "


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
    # Charges of those are what reconciling added.
    added = {(one.id,) for one in statements.money_sources(rule.organization_id)}
    found: dict[date, list[str]] = {}
    for row in spend(asked):
        if row.bucket is not None and row.values not in added:
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
