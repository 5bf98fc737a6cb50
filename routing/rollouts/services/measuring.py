"""What rules saved, worked out from decisions and charges: each day anew as charges come, each month from its days,
until the month is closed. Then it stays as it was said.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.orgs.models import Organization
from routing.rollouts import rules, savings, selectors
from routing.rollouts.models import SavingsDay, SavingsMonth, ScoredSession
from routing.rollouts.types import Sums
from routing.rules.services import KEPT as DECISIONS_KEPT

# No decision is older, so that no outcome can be joined to one any more.
KEPT: Final = DECISIONS_KEPT + timedelta(days=1)
# What is booked late, or corrected, is seen within these days.
DAYS: Final = 3
_MOST_DAYS: Final = DECISIONS_KEPT.days - 1
_MONTHS: Final = (
    "treated_calls", "treated_sessions", "stayed_calls", "stayed_sessions", "treated_cost", "failed_cost",
    "beside_cost",
)  # fmt: skip
_VERIFIED: Final = {
    "expected_cost": "expected", "saved": "saved", "saved_lower": "lower", "saved_upper": "upper", "net": "net",
    "net_lower": "net_lower", "net_upper": "net_upper", "by": "by", "why": "why",
}  # fmt: skip
# Of advisory locks, so that nobody else's number is ours.
_LOCKS: Final = 0x7EC1


@transaction.atomic
def measure(*, organization_id: int, by: Actor, at: datetime) -> int:
    """Work out the last days, all those since it was done last, and the months that they are of; gives how many months
    changed. Again changes nothing. Somebody else at it: 0.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCKS, organization_id])
        got = cursor.fetchone()
    if not got or not got[0]:
        return 0
    today = at.astimezone(UTC).date()
    last = selectors.measured_until(organization_id)
    wished = DAYS if last is None else max(DAYS, (today - last).days + DAYS)
    days = [today - timedelta(days=back) for back in reversed(range(min(wished, _MOST_DAYS)))]
    currency = Organization.objects.values_list("reporting_currency", flat=True).get(id=organization_id)
    for day in days:
        _keep_day(organization_id, day, selectors.sums_of_day(organization_id, day), currency, at)
    changed = sum(
        _keep_month(organization_id, month, rule_id, sums, currency, by, at)
        for month in sorted({day.replace(day=1) for day in days})
        for rule_id, sums in sorted(selectors.sums_of_month(organization_id, month).items())
    )
    _close(organization_id, today, by, at)
    return changed


def forget_sessions(*, at: datetime, most: int = 50_000) -> int:
    """Those of which nothing new can be heard, as many as one run may; gives how many."""
    old = ScoredSession.objects.filter(at__lte=at - KEPT).order_by("at", "id").values("id")[:most]
    return ScoredSession.objects.filter(id__in=old).delete()[0]


def _keep_day(organization_id: int, day: date, found: dict[int, Sums], currency: str, at: datetime) -> None:
    known = {
        row.rule_id: row for row in SavingsDay.objects.filter(organization_id=organization_id, day=day).order_by("id")
    }
    for rule_id, row in known.items():
        # What was corrected away is nothing now.
        found.setdefault(rule_id, Sums())
        if row.sums == selectors.written_sums(found[rule_id]):
            del found[rule_id]
    SavingsDay.objects.bulk_create(
        [
            SavingsDay(
                organization_id=organization_id, rule_id=rule_id, day=day, sums=selectors.written_sums(sums),
                currency=currency, measured_at=at,
            )
            for rule_id, sums in sorted(found.items())
        ],
        update_conflicts=True,
        unique_fields=["organization", "rule", "day"],
        update_fields=["sums", "currency", "measured_at"],
    )  # fmt: skip


def _keep_month(
    organization_id: int, month: date, rule_id: int, sums: Sums, currency: str, by: Actor, at: datetime
) -> bool:
    found = savings.verified(sums)
    values: dict[str, Any] = {name: getattr(sums, name) for name in _MONTHS}
    values |= {name: getattr(found, said) for name, said in _VERIFIED.items()} | {"currency": currency}
    values["why"] = found.why[: rules.LONGEST_WHY]
    row = SavingsMonth.objects.filter(organization_id=organization_id, month=month, rule_id=rule_id).first()
    if row is not None and row.closed_at is not None:
        return False
    if row is not None and all(getattr(row, name) == value for name, value in values.items()):
        return False
    SavingsMonth.objects.update_or_create(
        organization_id=organization_id, month=month, rule_id=rule_id, defaults=values | {"measured_at": at}
    )
    if row is None:
        audit.record(
            organization_id=organization_id, verb="savings.measured", subject_kind="routing_rule", subject_id=rule_id,
            subject_label=f"{month:%Y-%m}", details={"month": f"{month:%Y-%m}"}, by=by, at=at,
        )  # fmt: skip
    return True


def _close(organization_id: int, today: date, by: Actor, at: datetime) -> None:
    """Months that are over, and of which no day is measured any more: what they say is what finance closes with."""
    for row in selectors.closing(organization_id, today - timedelta(days=DAYS)):
        row.closed_at = at
        row.save(update_fields=["closed_at"])
        said = {"month": f"{row.month:%Y-%m}", "net": None if row.net is None else str(row.net)}
        audit.record(
            organization_id=organization_id, verb="savings.closed", subject_kind="routing_rule", subject_id=row.rule_id,
            subject_label=f"{row.month:%Y-%m}", details=said, by=by, at=at,
        )  # fmt: skip
