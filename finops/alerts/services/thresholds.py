"""Thresholds of budgets: who passed which, in one statement for all accounts of an organization.

Each threshold is told once of an account and its period. What was passed before and resolved by somebody is known; what
was resolved by itself (the limit was raised) is told again when it is passed again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from finops.alerts.services.incidents import queue_news, resolve_over
from finops.alerts.types import Event

# Evaluations of one organization do not meet.
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtext('alerts.thresholds'), %s)"
_WATCHED: Final = """
SELECT DISTINCT r.organization_id FROM alerts_alertrule AS r
WHERE r.kind = 'budget.threshold' AND r.enabled AND r.archived_at IS NULL
    AND EXISTS (SELECT FROM budgets_budget AS b WHERE b.organization_id = r.organization_id)
UNION SELECT organization_id FROM alerts_incident WHERE kind IN ('budget.threshold', 'cap.tripped')
    AND resolved_at IS NULL
ORDER BY 1
"""
# Spent, not held: what gateways have leased is not spent yet. An account of nothing has passed nothing.
_STANDING: Final = """
WITH unfolded AS MATERIALIZED (
    SELECT account_id, sum(amount) AS amount FROM budgets_observed WHERE organization_id = %(organization)s
    GROUP BY account_id
), standing AS MATERIALIZED (
    SELECT a.id, a.budget_id, a.subject, a.starts_at, a.ends_at, a.limit_amount, b.each, b.thresholds,
        a.authorised + a.observed + coalesce(u.amount, 0) AS spent
    FROM budgets_account AS a
    JOIN budgets_budget AS b ON b.id = a.budget_id AND b.archived_at IS NULL
    LEFT JOIN unfolded AS u ON u.account_id = a.id
    WHERE a.organization_id = %(organization)s AND a.starts_at <= %(at)s
        AND (a.ends_at IS NULL OR a.ends_at > %(at)s)
        AND NOT EXISTS (SELECT FROM budgets_budgetexception AS e
            WHERE e.budget_id = a.budget_id AND e.subject = a.subject AND e.limit_amount IS NULL)
)
"""
_PASSED: Final = f"""
{_STANDING}, passed AS (
    SELECT s.*, (SELECT max(percent::int) FROM jsonb_array_elements_text(s.thresholds) AS percent
        WHERE s.spent * 100 >= percent::int * s.limit_amount) AS step
    FROM standing AS s WHERE s.spent > 0
), told AS (
    SELECT key, max(step) AS step FROM (
        SELECT key, step FROM alerts_incident
        WHERE organization_id = %(organization)s AND kind = 'budget.threshold' AND resolved_at IS NULL
        UNION ALL SELECT key, step FROM alerts_incident
        WHERE organization_id = %(organization)s AND kind = 'budget.threshold'
            AND NOT resolved_by IN ('', 'system:alerts')
    ) AS known GROUP BY key
)
INSERT INTO alerts_incident AS i (organization_id, kind, key, severity, step, budget_id, dimension, subject, details,
    opened_at, last_seen_at, ends_at, count, acknowledged_by, resolved_by, resolution)
SELECT %(organization)s, 'budget.threshold', 'account:' || p.id,
    CASE WHEN p.step >= 100 THEN 'critical' WHEN p.step >= 80 THEN 'warning' ELSE 'info' END, p.step, p.budget_id,
    p.each, p.subject,
    jsonb_build_object('account', p.id, 'threshold', p.step, 'spent', trim_scale(p.spent)::text,
        'limit', trim_scale(p.limit_amount)::text, 'starts_at', p.starts_at, 'ends_at', p.ends_at),
    %(at)s, %(at)s, p.ends_at, 1, '', '', ''
FROM passed AS p LEFT JOIN told AS t ON t.key = 'account:' || p.id
WHERE p.step IS NOT NULL AND (t.step IS NULL OR p.step > t.step)
    AND EXISTS (SELECT FROM alerts_alertrule AS r WHERE r.organization_id = %(organization)s
        AND r.kind = 'budget.threshold' AND r.enabled AND r.archived_at IS NULL
        AND (r.params -> 'budgets' IS NULL OR r.params -> 'budgets' @> to_jsonb(p.budget_id))
        AND coalesce((r.params ->> 'least_percent')::int, 0) <= p.step)
ORDER BY p.id
ON CONFLICT (organization_id, kind, key) WHERE resolved_at IS NULL DO UPDATE SET
    last_seen_at = EXCLUDED.last_seen_at, details = EXCLUDED.details, step = EXCLUDED.step,
    severity = EXCLUDED.severity, ends_at = EXCLUDED.ends_at, escalated_at = EXCLUDED.last_seen_at,
    acknowledged_at = NULL, acknowledged_by = ''
RETURNING i.id, xmax = 0
"""  # noqa: S608 - of constants
# Below every threshold again (the limit was raised, history was corrected), or of no budget any more.
_OVER: Final = f"""
{_STANDING}
SELECT i.id FROM alerts_incident AS i LEFT JOIN standing AS s ON 'account:' || s.id = i.key
WHERE i.organization_id = %(organization)s AND i.kind = 'budget.threshold' AND i.resolved_at IS NULL
    AND (s.id IS NULL OR s.spent <= 0 OR (SELECT bool_and(s.spent * 100 < percent::int * s.limit_amount)
        FROM jsonb_array_elements_text(s.thresholds) AS percent) IS NOT FALSE)
ORDER BY i.id
"""  # noqa: S608 - of constants

# A cap that refused: its period is over, or its limit was raised since, or it concerns them no more.
_FREE_AGAIN: Final = """
SELECT i.id FROM alerts_incident AS i
WHERE i.organization_id = %(organization)s AND i.kind = 'cap.tripped' AND i.resolved_at IS NULL
    AND i.details ->> 'period_starts_at' IS NOT NULL
    AND NOT EXISTS (SELECT FROM budgets_account AS a JOIN budgets_budget AS b ON b.id = a.budget_id
        WHERE a.budget_id = i.budget_id AND a.subject = i.subject AND b.archived_at IS NULL
            AND a.starts_at = (i.details ->> 'period_starts_at')::timestamptz
            AND (a.ends_at IS NULL OR a.ends_at > %(at)s)
            AND a.limit_amount <= coalesce((i.details ->> 'limit')::numeric, a.limit_amount)
            AND NOT EXISTS (SELECT FROM budgets_budgetexception AS e
                WHERE e.budget_id = a.budget_id AND e.subject = a.subject AND e.limit_amount IS NULL))
ORDER BY i.id
"""


def watched() -> list[int]:
    """Organizations whose budgets somebody listens to, or of which something is still open."""
    with connection.cursor() as cursor:
        cursor.execute(_WATCHED)
        return [row[0] for row in cursor.fetchall()]


@transaction.atomic
def evaluate_thresholds(*, organization_id: int, at: datetime) -> int:
    """Open, escalate and end the incidents of an organization's accounts; how many changed. 0 while another does it."""
    asked: dict[str, Any] = {"organization": organization_id, "at": at}
    with connection.cursor() as cursor:
        cursor.execute(_ALONE, [organization_id])
        row = cursor.fetchone()
        if not (row and row[0]):
            return 0
        cursor.execute(_OVER, asked)
        over = [row[0] for row in cursor.fetchall()]
        cursor.execute(_FREE_AGAIN, asked)
        free = [row[0] for row in cursor.fetchall()]
    ended = resolve_over(incident_ids=over, why="It is below every threshold again.", at=at)
    ended += resolve_over(incident_ids=free, why="The cap has room again.", at=at)
    with connection.cursor() as cursor:
        cursor.execute(_PASSED, asked)
        rows = cursor.fetchall()
    queue_news([one for one, opened in rows if opened], Event.OPENED, at=at)
    queue_news([one for one, opened in rows if not opened], Event.ESCALATED, at=at)
    return ended + len(rows)
