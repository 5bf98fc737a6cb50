"""Facts that are looked for on schedule: spend that belongs to nobody, calls without a price, sources gone quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection, transaction

from finops.alerts.models import AlertRule, Incident, SourceRhythm
from finops.alerts.rules.kinds import meant
from finops.alerts.rules.silence import judge, noted
from finops.alerts.services.incidents import open_found, resolve_over
from finops.alerts.types import Finding, Kind, Severity
from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.ledger.types import UNATTRIBUTED, SpendQuestion
from finops.sources import selectors as sources

# Of one rule at most so many at once, the largest first: more are one problem.
MOST_UNPRICED: Final = 50
# What is so by one rule, now.
Finders = Mapping[Kind, Callable[[AlertRule, datetime], list[Finding]]]
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtext('alerts.watch ' || %s), %s)"


def watched(finders: Finders | None = None) -> list[int]:
    """Organizations with such rules, or with what is still open of them."""
    kinds = list(finders or FINDERS)
    rules = AlertRule.objects.filter(kind__in=kinds, enabled=True, archived_at__isnull=True)
    still = Incident.objects.filter(kind__in=kinds, resolved_at__isnull=True)
    return sorted({*rules.values_list("organization_id", flat=True), *still.values_list("organization_id", flat=True)})


@transaction.atomic
def watch(*, organization_id: int, at: datetime, finders: Finders | None = None) -> int:
    """Look after each rule of these kinds; how many incidents are open by them. 0 while another does it."""
    finders = finders or FINDERS
    with connection.cursor() as cursor:
        cursor.execute(_ALONE, [" ".join(sorted(finders)), organization_id])
        row = cursor.fetchone()
    if not (row and row[0]):
        return 0
    rules = list(
        AlertRule.objects.filter(
            organization_id=organization_id, kind__in=list(finders), enabled=True, archived_at__isnull=True
        ).order_by("id")
    )
    found = [finding for rule in rules for finding in finders[Kind(rule.kind)](rule, at)]
    open_found(organization_id=organization_id, found=found, at=at)
    _end_others(organization_id, found, finders, at)
    return len(found)


def _end_others(organization_id: int, found: Iterable[Finding], kinds: Iterable[Kind], at: datetime) -> None:
    """What is open and was not found again, also of rules that are no more."""
    still = {(one.kind.value, one.key) for one in found}
    rows = Incident.objects.filter(organization_id=organization_id, kind__in=list(kinds), resolved_at__isnull=True)
    over = [one for one, kind, key in rows.values_list("id", "kind", "key") if (kind, key) not in still]
    resolve_over(incident_ids=over, why="It is so no longer.", at=at)


def _days(rule: AlertRule, at: datetime) -> DayRange:
    last = at.date() + timedelta(days=1)
    return DayRange(last - timedelta(days=meant(rule.kind, rule.params, "days")), last)


def _unattributed(rule: AlertRule, at: datetime) -> list[Finding]:
    """The share of spend that belongs to nobody, over the rule's last days."""
    period = _days(rule, at)
    rows = ledger.spend(SpendQuestion(rule.organization_id, period, ("state",)))
    state = ledger.term_ids(rule.organization_id, "state", [UNATTRIBUTED]).get(UNATTRIBUTED)
    whole = sum((row.reporting_cost for row in rows), Decimal(0))
    loose = sum((row.reporting_cost for row in rows if row.values[0] == state), Decimal(0))
    percent, least = meant(rule.kind, rule.params, "percent"), Decimal(meant(rule.kind, rule.params, "least_amount"))
    if whole <= 0 or loose < least or loose * 100 <= percent * whole:
        return []
    details = {
        "percent": f"{loose * 100 / whole:.1f}", "allowed": percent, "amount": f"{loose:f}", "of": f"{whole:f}",
        "days": period.days,
    }  # fmt: skip
    return [Finding(Kind.UNATTRIBUTED, f"rule:{rule.id}", Severity.WARNING, details, rule_id=rule.id)]


def _unpriced(rule: AlertRule, at: datetime) -> list[Finding]:
    """Each model with calls that nobody knows the price of."""
    groups = ledger.unpriced(rule.organization_id, _days(rule, at))
    return [
        Finding(
            Kind.UNPRICED,
            f"rule:{rule.id}:{one.provider.value}/{one.model.value}"[:300],
            Severity.WARNING,
            {
                "provider": one.provider.value, "model": one.model.value, "calls": one.calls,
                "first_day": one.first_day.isoformat(), "last_day": one.last_day.isoformat(),
            },
            dimension="model",
            subject=one.model.value[:300],
            rule_id=rule.id,
        )
        for one in groups[:MOST_UNPRICED]
        if one.calls >= meant(rule.kind, rule.params, "calls")
    ]  # fmt: skip


def _quiet(rule: AlertRule, at: datetime) -> list[Finding]:
    """Each source silent for longer than it ever was of late."""
    rhythms = {one.source_id: one for one in SourceRhythm.objects.filter(organization_id=rule.organization_id)}
    found = []
    for source in sources.sources(rule.organization_id):
        rhythm = rhythms.get(source.id)
        if source.last_received_at is None or rhythm is None:
            continue
        allowed = judge(
            rhythm.longest, arrivals=rhythm.arrivals, first_at=rhythm.first_at, at=at,
            times=meant(rule.kind, rule.params, "times"), least_minutes=meant(rule.kind, rule.params, "least_minutes"),
        )  # fmt: skip
        if allowed is None or at - source.last_received_at <= allowed:
            continue
        details = {
            "source": source.id, "last_received_at": source.last_received_at.isoformat(),
            "allowed_minutes": int(allowed.total_seconds() // 60),
        }  # fmt: skip
        key = f"rule:{rule.id}:source:{source.id}"
        found.append(
            Finding(
                Kind.QUIET, key, Severity.WARNING, details, dimension="source", subject=str(source.id), rule_id=rule.id
            )
        )
    return found


FINDERS: Final[Finders] = {Kind.UNATTRIBUTED: _unattributed, Kind.UNPRICED: _unpriced, Kind.QUIET: _quiet}


@transaction.atomic
def note_rhythms(*, at: datetime) -> int:
    """Learn how each source comes, from when it last did; how many came since this was asked before."""
    rhythms = {one.source_id: one for one in SourceRhythm.objects.select_for_update(skip_locked=True)}
    known = set(SourceRhythm.objects.values_list("source_id", flat=True))
    new, changed = [], []
    for source in sources.heard():
        last = source.last_received_at
        rhythm = rhythms.get(source.id)
        if last is None or (rhythm is None and source.id in known):
            continue
        if rhythm is None:
            new.append(
                SourceRhythm(source_id=source.id, organization_id=source.organization_id, first_at=last, last_at=last)
            )
        elif last > rhythm.last_at:
            rhythm.longest = noted(rhythm.longest, rhythm.last_at, last)
            rhythm.last_at, rhythm.arrivals = last, rhythm.arrivals + 1
            changed.append(rhythm)
    SourceRhythm.objects.bulk_create(new, ignore_conflicts=True)
    SourceRhythm.objects.bulk_update(changed, ["longest", "last_at", "arrivals"], batch_size=500)
    return len(new) + len(changed)
