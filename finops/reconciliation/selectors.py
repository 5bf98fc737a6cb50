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
from finops.reconciliation.counting import Counting, by_provider
from finops.reconciliation.models import CountingRule, ReconciledDay
from finops.reconciliation.types import Compared, Total
from finops.sources.models import Source
from finops.statements import selectors as statements

_State = ReconciledDay.State
# Another account's bill may be a few days behind; an account that nobody uses has none.
LONGEST_WAIT: Final = timedelta(days=3)
_AMOUNTS: Final = ("billed", "seen", "unseen", "unattributed")


def rules(organization_id: int) -> QuerySet[CountingRule]:
    rows = CountingRule.objects.filter(organization_id=organization_id).select_related("source")
    return rows.order_by("provider", "source_id")


def countings(organization_id: int) -> list[Counting]:
    """By provider."""
    return by_provider(rules(organization_id))


def rule(organization_id: int, rule_id: int) -> CountingRule:
    """Raises NotFound."""
    found = rules(organization_id).filter(id=rule_id).first()
    if found is None:
        raise NotFound("There is no such counting rule.")
    return found


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
    counted = {one.provider: one for one in countings(organization_id)}
    terms = term_ids(organization_id, "provider", counted)
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
        one = counted[named[row.values[0]]]
        if row.bucket is None or not row.calls or one.on(row.bucket) is None:
            continue
        over = row.bucket < one.over_before(at)
        if (one.provider, row.bucket) not in stated if over else not_over:
            waiting.add((row.values[0], row.bucket))
    found: dict[str, set[date]] = {}
    for term, day in on_a_bill(organization_id, waiting):
        found.setdefault(named[term], set()).add(day)
    return {provider: tuple(sorted(each)) for provider, each in sorted(found.items())}


def let_go(counting: Counting) -> list[ReconciledDay]:
    """Days that were compared and that no rule speaks of any more."""
    rows = ReconciledDay.objects.filter(organization_id=counting.organization_id, provider=counting.provider)
    for days, _ in counting.spans():
        rows = rows.exclude(day__gte=days.start, day__lt=days.end)
    return list(rows.order_by("-day"))


def is_behind(counting: Counting) -> bool:
    """Whether days may lie far back that are not as the rules say: one was changed, or is new."""
    house, provider = counting.organization_id, counting.provider
    for days, spoken in counting.spans():
        known = ReconciledDay.objects.filter(
            organization_id=house, provider=provider, day__gte=days.start, day__lt=days.end
        )
        if known.exclude(basis__startswith=spoken.by).exists():
            return True
        first = statements.first_day(house, provider=provider, days=days)
        earliest = known.aggregate(day=Min("day"))["day"]
        if first is not None and (earliest is None or first < earliest):
            return True
    return False


def changed(counting: Counting, *, since: date, at: datetime, not_come: bool = False) -> Iterator[tuple[date, str]]:
    """Days of a provider that are to be compared, with what they are made of: they are over, stated, and not as they
    were when they were compared last. The newest first: when somebody stops, the oldest are left, by which it is known
    that some are (`is_behind`). A day waits for a bill that did not come as far, as long as it may still come, unless
    such days are asked for as well (`not_come`).
    """
    house, provider, over = counting.organization_id, counting.provider, counting.over_before(at)
    since = max(since, min(rule.since for rule in counting.rules))
    if over <= since:
        return
    stated = statements.days(house, provider=provider, since=since, before=over)
    known = dict(
        ReconciledDay.objects.filter(organization_id=house, provider=provider, day__gte=since).values_list(
            "day", "basis"
        )
    )
    called = _called(counting, DayRange(since, over)) if stated else {}
    come = statements.stated_until(house, provider=provider)
    waits_from = over if not_come else over - LONGEST_WAIT
    for day, told_at in sorted(stated.items(), reverse=True):
        spoken = counting.on(day)
        if spoken is None or (day >= waits_from and not spoken.has_come(day, come)):
            continue
        basis = f"{spoken.by}{told_at.isoformat()} {called.get(day, '')}"
        if known.get(day) != basis:
            yield day, basis


def _called(counting: Counting, period: DayRange) -> dict[date, str]:
    """What each day's calls come to, without what reconciling it added."""
    provider = term_ids(counting.organization_id, "provider", [counting.provider])
    if not provider:
        return {}
    asked = SpendQuestion(
        organization_id=counting.organization_id,
        period=period,
        group_by=("source",),
        filters={"provider": frozenset(provider.values())},
        grain=Grain.DAY,
    )
    # Charges of those are what reconciling added.
    added = {(one.id,) for one in statements.money_sources(counting.organization_id)}
    found: dict[date, list[str]] = {}
    for row in spend(asked):
        if row.bucket is not None and row.values not in added:
            found.setdefault(row.bucket, []).append(
                f"{row.values[0]}:{row.calls}:{row.effective_cost}:{row.input_tokens}"
            )
    return {day: blake2b(" ".join(sorted(each)).encode(), digest_size=8).hexdigest() for day, each in found.items()}


def drift(source: Source, *, since: date) -> dict[str, Decimal]:
    """What calls stood at beyond what was billed for the same days by the providers that a source bills, by currency;
    nothing where it is no money. A provider's bills are taken together: which calls are on which no call says.
    """
    counted = CountingRule.objects.filter(organization_id=source.organization_id, source=source)
    rows = ReconciledDay.objects.filter(organization_id=source.organization_id, day__gte=since).filter(
        provider__in=counted.exclude(level=CountingRule.Level.REPEATED).values("provider")
    )
    found = rows.values_list("currency").annotate(off=Sum("seen") - Sum("billed")).order_by("currency")
    return dict(found)
