"""How budgets stand now, for people to look at: the fullest accounts of many budgets with one question."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from django.db import connection

from finops.budgets.selectors import AccountRow

_FULLEST: Final = """
WITH standing AS (
    SELECT a.id, a.budget_id, a.subject, a.starts_at, a.ends_at, a.limit_amount, a.carried, a.authorised, a.leased,
        a.observed + coalesce((SELECT sum(o.amount) FROM budgets_observed AS o WHERE o.account_id = a.id), 0)
            AS observed
    FROM budgets_account AS a
    WHERE a.organization_id = %(organization)s AND a.starts_at <= %(at)s AND (a.ends_at IS NULL OR a.ends_at > %(at)s)
        AND (a.budget_id = ANY(%(whole)s) OR (a.budget_id, a.subject) IN
            (SELECT * FROM unnest(%(budgets)s::int[], %(subjects)s::text[])))
        AND NOT EXISTS (SELECT FROM budgets_budgetexception AS e
            WHERE e.budget_id = a.budget_id AND e.subject = a.subject AND e.limit_amount IS NULL)
), placed AS (
    SELECT *, count(*) OVER (PARTITION BY budget_id) AS accounts, row_number() OVER (PARTITION BY budget_id
        ORDER BY (authorised + observed + leased) / nullif(limit_amount, 0) DESC NULLS FIRST, subject) AS place
    FROM standing
)
SELECT id, budget_id, subject, starts_at, ends_at, limit_amount, carried, authorised, leased, observed, accounts
FROM placed WHERE place <= %(most)s ORDER BY budget_id, place
"""


_BEFORE: Final = """
WITH ended AS (
    SELECT a.id, a.budget_id, a.subject, a.starts_at, a.ends_at, a.limit_amount, a.carried, a.authorised, a.leased,
        a.observed + coalesce((SELECT sum(o.amount) FROM budgets_observed AS o WHERE o.account_id = a.id), 0)
            AS observed
    FROM budgets_account AS a
    WHERE a.organization_id = %(organization)s AND a.budget_id = %(budget)s
        AND a.starts_at >= %(since)s AND a.ends_at <= %(at)s
        AND (%(subjects)s::text[] IS NULL OR a.subject = ANY(%(subjects)s))
)
SELECT * FROM ended
ORDER BY (authorised + observed + leased) / nullif(limit_amount, 0) DESC NULLS FIRST, starts_at DESC, subject
LIMIT %(most)s
"""


class Standing(NamedTuple):
    """The accounts of one budget in their present periods: how many, and the fullest."""

    accounts: int
    fullest: tuple[AccountRow, ...]


NOBODY_YET: Final = Standing(0, ())


def standings(
    organization_id: int, seen: Mapping[int, Collection[str] | None], *, most: int, at: datetime
) -> dict[int, Standing]:
    """By budget, of the subjects that may be seen (None: all of them). Budgets without an account are left out, and
    accounts of whom the budget does not concern any more.
    """
    named = [(budget_id, subject) for budget_id, some in seen.items() if some is not None for subject in some]
    with connection.cursor() as cursor:
        cursor.execute(
            _FULLEST,
            {
                "organization": organization_id,
                "at": at,
                "whole": [budget_id for budget_id, some in seen.items() if some is None],
                "budgets": [budget_id for budget_id, _ in named],
                "subjects": [subject for _, subject in named],
                "most": most,
            },
        )
        found: dict[int, Standing] = {}
        for *row, accounts in cursor.fetchall():
            account = AccountRow(*row)
            before = found.get(account.budget_id, NOBODY_YET)
            found[account.budget_id] = Standing(accounts, (*before.fullest, account))
    return found


def fullest_before(
    organization_id: int, budget_id: int, seen: Collection[str] | None, *, most: int, since: datetime, at: datetime
) -> list[AccountRow]:
    """The fullest accounts of a budget in periods from `since` on that are over, of the subjects that may be seen
    (None: all).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _BEFORE,
            {
                "organization": organization_id,
                "budget": budget_id,
                "since": since,
                "at": at,
                "subjects": None if seen is None else list(seen),
                "most": most,
            },
        )
        return [AccountRow(*row) for row in cursor.fetchall()]
