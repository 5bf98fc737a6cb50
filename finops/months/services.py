"""Closes months and opens them again. Nothing in the ledger is read twice, changed or held up for it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from django.db import connection, transaction
from django.db.models import Q
from django.db.models import Sum as SumOf

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.periods import next_month
from finops.months import rules, selectors
from finops.months.checklist import checklist
from finops.months.models import Closing
from finops.orgs.models import Organization

# All that no statement says yet of the months up to this one, in one statement and so of one instant.
_SAY: Final = """
INSERT INTO months_line (organization_id, closing_id, day, source_id, category_id, team_id, person_id, project_id,
    currency, charges, calls, effective_cost, reporting_cost)
SELECT %(organization)s, %(closing)s, day, source_id, category_id, team_id, person_id, project_id, currency, charges,
    calls, effective_cost, reporting_cost
FROM months_unsaid(%(organization)s, %(since)s, %(until)s)
"""


@transaction.atomic
def close_month(*, organization_id: int, month: date, reason: str = "", by: Actor, at: datetime) -> Closing:
    """Close a month with what is known of it now. Its statement says all of it, and of months closed before it what
    came since they were.

    What counts is what was committed when one statement of SQL began: posting goes on meanwhile, waits for nothing, and
    what it commits later is a late change. Raises AlreadyClosed, MonthNotOver, OutOfOrder, and ReasonMissing where
    something is open and nobody says why.
    """
    _one_at_a_time(organization_id)
    closed = selectors.closed_months(organization_id)
    rules.check_close(month, closed, first=selectors.first_day(organization_id), today=at.date())
    left = rules.open_items(checklist(organization_id, month, at=at))
    needed = f"Open: {', '.join(item.check for item in left)}. Say why {rules.written(month)} is closed all the same."
    row = Closing.objects.create(
        organization_id=organization_id,
        month=month,
        closed_at=at,
        closed_by=by.reference[:120],
        reason=rules.reason_told(reason, needed=needed if left else ""),
        still_open=msgspec.to_builtins(left),
        currency=Organization.objects.values_list("reporting_currency", flat=True).get(id=organization_id),
    )
    since = closed[0] if closed else month
    with connection.cursor() as cursor:
        cursor.execute(
            _SAY,
            {"organization": organization_id, "closing": row.id, "since": since, "until": next_month(month)},
        )
    _sum_up(row)
    _record("month.closed", row, {**_amounts(row), "open": row.still_open, "reason": row.reason}, by, at)
    return row


@transaction.atomic
def reopen_month(*, organization_id: int, month: date, reason: str, by: Actor, at: datetime) -> Closing:
    """Take back the last closing. Its statement stays readable and counts no more: what it said, of this month and of
    earlier ones, is said by the next. Raises NotClosed, OutOfOrder and ReasonMissing.
    """
    _one_at_a_time(organization_id)
    rules.check_reopen(month, selectors.closed_months(organization_id))
    why = rules.reason_told(reason, needed=f"Say why {rules.written(month)} is opened again.")
    row = selectors.closings(organization_id).get(month=month)
    row.reopened_at, row.reopened_by, row.reopened_why = max(at, row.closed_at), by.reference[:120], why
    row.save(update_fields=["reopened_at", "reopened_by", "reopened_why"])
    _record("month.reopened", row, {**_amounts(row), "reason": why}, by, at)
    return row


def _one_at_a_time(organization_id: int) -> None:
    """Closings of one organization wait for each other, until the transaction ends; nothing else does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('months.close'), %s)", [organization_id])


def _sum_up(row: Closing) -> None:
    own = Q(day__gte=row.month)
    found = row.lines.aggregate(
        own_charges=SumOf("charges", filter=own),
        own_cost=SumOf("reporting_cost", filter=own),
        earlier_charges=SumOf("charges", filter=~own),
        earlier_cost=SumOf("reporting_cost", filter=~own),
    )
    row.charges, row.amount = found["own_charges"] or 0, found["own_cost"] or Decimal(0)
    row.carried_charges, row.carried = found["earlier_charges"] or 0, found["earlier_cost"] or Decimal(0)
    row.save(update_fields=["charges", "amount", "carried_charges", "carried"])


def _amounts(row: Closing) -> dict[str, Any]:
    return {
        "amount": f"{row.amount:f}",
        "carried": f"{row.carried:f}",
        "currency": row.currency,
        "charges": row.charges,
    }


def _record(verb: str, row: Closing, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="month",
        subject_id=row.id,
        subject_label=rules.written(row.month),
        details=details,
        by=by,
        at=at,
    )
