"""Limits, breakers and stops as they are written, and as a gateway's guard takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db.models import Q, QuerySet

from finops.budgets.guard.terms import AMOUNTS, DEFAULTS, LIMITED, BreakerTerms, GuardRules, LimitTerms, Measure
from finops.budgets.models import BreakerRule, BudgetsVersion, Limit, Stop
from finops.budgets.rules.sight import Sight, sees, subjects_seen
from finops.budgets.selectors import sight_of, teams_above
from finops.budgets.types import OWNERS
from finops.core.money import convert_pico, to_pico
from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.orgs.rules import Caller, Permission
from finops.pricing.selectors import load_exchange

Row = TypeVar("Row", Limit, BreakerRule, Stop)

_DOLLAR: Final = 10**12
# How far back it is asked whose a session is.
_SESSIONS_AGO: Final = timedelta(days=92)


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


# --- What a caller may see and do -------------------------------------------------------------------------------------
def limits_seen(caller: Caller) -> QuerySet[Limit]:
    """Those of each, and of whom the caller may see; every one for who manages them."""
    return _seen(caller, limits(caller.organization_id), LIMITED)


def breakers_seen(caller: Caller) -> QuerySet[BreakerRule]:
    """As `limits_seen`. Those of sessions name an agent at most, and are for all to see."""
    return _seen(caller, breaker_rules(caller.organization_id), ("agent", "key"), Q(dimension="session"))


def stops_seen(caller: Caller, *, open_at: datetime | None = None) -> QuerySet[Stop]:
    """Those of the organization, of whom the caller may see, and their own; all for who sees everything."""
    rows = stops(caller.organization_id, open_at=open_at)
    return _seen(caller, rows, OWNERS, Q(dimension="organization") | Q(by=caller.actor.reference))


def _seen(caller: Caller, rows: QuerySet[Row], dimensions: Iterable[str], also: Q | None = None) -> QuerySet[Row]:
    sight = sight_of(caller)
    if caller.can(Permission.BUDGETS_MANAGE) or sight.everything:
        return rows
    found = Q(subject="") if also is None else Q(subject="") | also
    for name in dimensions:
        subjects = subjects_seen(sight, {}, name)
        if subjects is None:
            found |= Q(dimension=name)
            continue
        if name == "team":
            above = teams_above(caller.organization_id)
            subjects |= {str(one) for team in subjects for one in above.get(int(team), ())}
        found |= Q(dimension=name, subject__in=subjects)
    return rows.filter(found)


def may_stop(caller: Caller, dimension: str, subject: str, *, at: datetime) -> bool:
    """As `may_stop_each`, of one."""
    return may_stop_each(caller, [(dimension, subject)], at=at)[0]


def may_stop_each(caller: Caller, subjects: Iterable[tuple[str, str]], *, at: datetime) -> list[bool]:
    """Of each subject, whether the caller may stop it: anything, or what is within their reach. A session is, when all
    that is known of it belongs there.
    """
    if not caller.can(Permission.CALLS_STOP):
        return [False for _ in subjects]
    if not caller.reach:
        return [True for _ in subjects]
    sight = sight_of(caller)
    return [
        (bool(subject) and sees(sight, {}, dimension, subject))
        if dimension in OWNERS
        else dimension == "session" and _session_within(caller, sight, subject, at)
        for dimension, subject in subjects
    ]


def _session_within(caller: Caller, sight: Sight, subject: str, at: datetime) -> bool:
    period = DayRange(at.date() - _SESSIONS_AGO, at.date() + timedelta(days=1))
    known = ledger.sessions(caller.organization_id, period, session=subject)
    return bool(known) and all(
        any(
            owner and sees(sight, {}, name, str(owner))
            for name, owner in (("person", row.person_id), ("agent", row.agent_id), ("project", row.project_id))
        )
        for row in known
    )


def _limit(row: Limit) -> LimitTerms:
    models = None if row.allowed_models is None else tuple(row.allowed_models)
    numbers = row.requests_per_minute, row.tokens_per_minute, row.max_concurrent
    return LimitTerms(row.dimension, row.subject, models, *numbers)


def _breaker(row: BreakerRule) -> BreakerTerms:
    threshold = None
    if row.threshold is not None:
        threshold = to_pico(row.threshold) if Measure(row.measure) in AMOUNTS else int(row.threshold)
    return BreakerTerms(row.dimension, row.subject, row.measure, threshold, row.pause_minutes * 60)
