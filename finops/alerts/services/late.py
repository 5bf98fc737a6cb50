"""Closed months that changed: looked for as seldom as forecasts, because all closed days are read for it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from finops.alerts.models import AlertRule
from finops.alerts.rules.kinds import meant
from finops.alerts.services.watching import Finders
from finops.alerts.types import Finding, Kind, Severity
from finops.core.periods import month_start, next_month
from finops.months import selectors as months
from finops.months.rules import moved, summed, worse_by, written


def _changed(rule: AlertRule, _: datetime) -> list[Finding]:
    """Each closed month of which so much is charged otherwise than its statement says. It is over when a later
    statement carries it, or what came is taken back; and it is told again each time the amount has doubled.
    """
    changes = months.late(rule.organization_id)
    if not changes:
        return []
    closings = {row.month: row for row in months.closings(rule.organization_id)}
    carried_by = written(next_month(max(closings)))
    least = Decimal(meant(rule.kind, rule.params, "least_amount"))
    found = []
    for month, row in sorted(closings.items()):
        of_month = [one for one in changes if month_start(one.day) == month]
        step = worse_by(moved(of_month), least)
        if step:
            total = summed(of_month)
            details = {
                "month": written(month), "amount": f"{total.amount:f}", "moved": f"{moved(of_month):f}",
                "charges": total.charges, "closed_at": row.closed_at.isoformat(), "carried_by": carried_by,
            }  # fmt: skip
            key = f"rule:{rule.id}:{written(month)}"
            found.append(Finding(Kind.MONTH, key, Severity.WARNING, details, step=step, rule_id=rule.id))
    return found


LATE: Final[Finders] = {Kind.MONTH: _changed}
