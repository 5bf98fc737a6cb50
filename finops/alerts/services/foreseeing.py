"""What is to come and what is not as usual: budgets that end before their period does, and unusual spend."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from finops.alerts.models import AlertRule, Incident
from finops.alerts.rules import anomalies
from finops.alerts.rules.anomalies import Direction, Noise, find_anomalies
from finops.alerts.rules.kinds import meant
from finops.alerts.services.forecasts import AccountForecast, account_forecasts, pasts
from finops.alerts.services.watching import Finders
from finops.alerts.types import Finding, Kind, Severity
from finops.budgets import selectors as budgets
from finops.budgets.standings import standings
from finops.core.money import from_pico, to_pico
from finops.ledger import selectors as ledger
from finops.ledger.types import WORDS
from finops.orgs import selectors as orgs

# Of each budget so many accounts, the fullest; of each dimension so many values, the dearest.
MOST_ACCOUNTS: Final = 500
MOST_VALUES: Final = 500
# More at once are one problem.
MOST_UNUSUAL: Final = 50


def _crossing(rule: AlertRule, at: datetime) -> list[Finding]:
    """Each account whose limit is reached before its period is over, at this rate. What is open stays so until even the
    dearest end that is likely does not reach it, or it would come and go with every hour.
    """
    only = meant(rule.kind, rule.params, "budgets")
    rows = budgets.budgets(rule.organization_id).prefetch_related("exceptions")
    terms = {row.id: budgets.terms_of(row) for row in (rows.filter(id__in=only) if only else rows)}
    found = standings(rule.organization_id, dict.fromkeys(terms), most=MOST_ACCOUNTS, at=at)
    accounts = [
        row for standing in found.values() for row in standing.fullest if 0 < row.spent < row.limit_amount
    ]  # what is spent is no forecast
    open_keys = set(
        Incident.objects.filter(
            organization_id=rule.organization_id, kind=Kind.FORECAST, resolved_at__isnull=True
        ).values_list("key", flat=True)
    )
    told: list[Finding] = []
    for one in account_forecasts(rule.organization_id, accounts, terms, at=at):
        key = f"account:{one.account.id}"
        when = one.crossing.at or (one.crossing.earliest if key in open_keys else None)
        if when is not None and (one.forecast.error is not None or key in open_keys):
            told.append(_ends_early(one, key, when, terms[one.account.budget_id].each))
    return told


def _ends_early(one: AccountForecast, key: str, when: datetime, each: str) -> Finding:
    account, forecast, crossing = one
    details: dict[str, Any] = {
        "account": account.id,
        "day": f"{when:%-d %B}",
        "at": when.isoformat(timespec="minutes"),
        "earliest": crossing.earliest.isoformat(timespec="minutes") if crossing.earliest else None,
        "latest": crossing.latest.isoformat(timespec="minutes") if crossing.latest else None,
        "spent": f"{account.spent:f}",
        "limit": f"{account.limit_amount:f}",
        "expected": f"{from_pico(forecast.point):f}",
        "low": f"{from_pico(forecast.low):f}",
        "high": f"{from_pico(forecast.high):f}",
    }
    return Finding(
        Kind.FORECAST, key, Severity.WARNING, details, account.budget_id, each, account.subject, ends_at=account.ends_at
    )


def _unusual(rule: AlertRule, at: datetime) -> list[Finding]:
    """Spend that is not as usual, by each of the rule's dimensions; the largest differences first."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    noise = Noise(amount=to_pico(Decimal(meant(rule.kind, rule.params, "least_amount"))))
    currency = orgs.organization(rule.organization_id).reporting_currency
    told: list[tuple[int, Finding]] = []
    for dimension in meant(rule.kind, rule.params, "dimensions"):
        by = "" if dimension == "total" else dimension
        known = pasts(rule.organization_id, by=by, filters={}, limit=MOST_VALUES if by else None, at=at)
        found = find_anomalies(
            known, today=midnight.date(), noise=noise, passed=_passed(at - midnight), currency=currency
        )
        words = ledger.labels(rule.organization_id, by, [one.key for one in found]) if by in WORDS else {}
        told += [(abs(one.seen - one.expected), _of_value(rule, by, one, words)) for one in found]
    told.sort(key=lambda pair: (-pair[0], pair[1].key))
    return [finding for _, finding in told[:MOST_UNUSUAL]]


def _passed(since_midnight: timedelta) -> timedelta:
    """How much of today can be judged: of an hour or two nothing can be said."""
    return since_midnight if since_midnight >= timedelta(hours=2) else timedelta(0)


def _of_value(rule: AlertRule, by: str, one: anomalies.Finding[int], words: Mapping[int, str]) -> Finding:
    subject = (
        "" if not by else str(one.key) if by not in WORDS else words.get(one.key, str(one.key)) if one.key else "-"
    )
    higher = one.direction is not Direction.LOWER
    details = {
        "direction": one.direction.value,
        "since": one.since.isoformat(),
        "until": one.until.isoformat(),
        "days": one.days,
        "partial": one.partial,
        "seen": f"{from_pico(one.seen):f}",
        "expected": f"{from_pico(one.expected):f}",
        "deviations": f"{one.deviations:.1f}",
        "why": one.words,
    }
    key = f"rule:{rule.id}:{by or 'total'}:{subject}:{'higher' if higher else 'lower'}"
    return Finding(
        Kind.ANOMALY, key[:300], Severity.WARNING, details, dimension=by, subject=subject[:300], rule_id=rule.id
    )


FORESEEN: Final[Finders] = {Kind.FORECAST: _crossing, Kind.ANOMALY: _unusual}
