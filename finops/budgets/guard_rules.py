"""Limits, breakers and stops as they are written, and as a gateway's guard takes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q, QuerySet

from finops.budgets.guard.terms import AMOUNTS, DEFAULTS, BreakerTerms, GuardRules, LimitTerms, Measure
from finops.budgets.models import BreakerRule, BudgetsVersion, Limit, Stop
from finops.budgets.selectors import teams_above
from finops.core.money import convert_pico, to_pico
from finops.pricing.selectors import load_exchange

_DOLLAR = 10**12


def load_guard_rules(organization_id: int, *, at: datetime) -> GuardRules:
    """All that a guard needs to know of an organization but for what is stopped, which gateways hear of by themselves.

    Its version is that of the organization's budgets: whoever changes limits or breakers changes it.
    """
    token = BudgetsVersion.objects.filter(organization_id=organization_id).values_list("token", flat=True).first()
    return GuardRules(
        organization_id=organization_id,
        version="" if token is None else str(token),
        currency=load_exchange(organization_id).reporting_currency,
        above={team: tuple(sorted(above)) for team, above in teams_above(organization_id).items()},
        limits=tuple(_limit(row) for row in limits(organization_id)),
        breakers=(*default_breakers(organization_id, at), *(_breaker(row) for row in breaker_rules(organization_id))),
    )


def limits(organization_id: int) -> QuerySet[Limit]:
    return Limit.objects.filter(organization_id=organization_id).order_by("id")


def breaker_rules(organization_id: int) -> QuerySet[BreakerRule]:
    """What the organization says itself."""
    return BreakerRule.objects.filter(organization_id=organization_id).order_by("id")


def default_breakers(organization_id: int, at: datetime) -> Iterator[BreakerTerms]:
    """What holds because nobody said otherwise. Amounts are the defaults' dollars in the reporting currency; where
    nobody knows the rate, those breakers are not there.
    """
    said = set(breaker_rules(organization_id).filter(subject="").values_list("dimension", "measure"))
    rate = load_exchange(organization_id).rate("USD", at.date())
    for one in DEFAULTS:
        threshold = one.threshold
        if one.measure in AMOUNTS:
            if rate is None:
                continue
            threshold = convert_pico(one.threshold * _DOLLAR, rate.rate)
        if (one.dimension, one.measure.value) not in said:
            yield BreakerTerms(one.dimension, "", one.measure.value, threshold, one.pause_minutes * 60)


def stops(organization_id: int, *, open_at: datetime | None = None) -> QuerySet[Stop]:
    """Newest first; only those in force at an instant, when one is given."""
    rows = Stop.objects.filter(organization_id=organization_id)
    if open_at is not None:
        rows = rows.filter(Q(until__isnull=True) | Q(until__gt=open_at), lifted_at__isnull=True)
    return rows.order_by("-id")


def _limit(row: Limit) -> LimitTerms:
    models = None if row.allowed_models is None else tuple(row.allowed_models)
    return LimitTerms(row.dimension, row.subject, models, row.requests_per_minute, row.tokens_per_minute)


def _breaker(row: BreakerRule) -> BreakerTerms:
    threshold = None
    if row.threshold is not None:
        threshold = to_pico(row.threshold) if Measure(row.measure) in AMOUNTS else int(row.threshold)
    return BreakerTerms(row.dimension, row.subject, row.measure, threshold, row.pause_minutes * 60)
