"""What a budget's subjects spent before it was there: summed when it is made, and played through when it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from finops.budgets import selectors
from finops.budgets.rules.matching import limit_of
from finops.budgets.rules.periods import window
from finops.budgets.types import OWNERS, Terms, Window
from finops.core.money import from_pico

# As many subjects as a page can show; the largest first.
MOST_STOPPED: Final = 200

_SPENT: Final = """
SELECT {subject} AS subject, sum(c.reporting_cost)
FROM ledger_charge AS c {joins} WHERE c.organization_id = %(organization)s AND c.occurred_at >= %(start)s
    AND (%(end)s::timestamptz IS NULL OR c.occurred_at < %(end)s) AND {scope}
GROUP BY subject HAVING sum(c.reporting_cost) <> 0
"""
_STOPPED: Final = """
WITH period AS (SELECT * FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS p(starts_at, ends_at)),
own AS (SELECT * FROM unnest(%(subjects)s::text[], %(limits)s::numeric[]) AS o(subject, amount)),
spent AS (
    SELECT {subject} AS subject, p.starts_at, c.occurred_at, c.reporting_cost,
        sum(c.reporting_cost) OVER (PARTITION BY {subject}, p.starts_at ORDER BY c.occurred_at, c.id) AS running
    FROM ledger_charge AS c {joins}
    JOIN period AS p ON c.occurred_at >= p.starts_at AND (p.ends_at IS NULL OR c.occurred_at < p.ends_at)
    WHERE c.organization_id = %(organization)s AND c.occurred_at >= %(start)s AND c.occurred_at < %(end)s AND {scope}
)
SELECT s.subject, s.starts_at, min(s.occurred_at), sum(s.reporting_cost), count(*), sum(count(*)) OVER (),
    count(*) OVER ()
FROM spent AS s LEFT JOIN own AS o USING (subject)
WHERE s.running > coalesce(o.amount, %(limit)s)
GROUP BY s.subject, s.starts_at ORDER BY sum(s.reporting_cost) DESC, s.subject, s.starts_at LIMIT %(most)s
"""


class Stopped(NamedTuple):
    """A subject that would have been stopped in a period: when, and what it spent from then on."""

    subject: str
    starts_at: datetime
    stopped_at: datetime
    beyond: Decimal
    calls: int


class Trial(NamedTuple):
    """What a budget would have done: how often it would have stopped somebody, the calls that would not have been
    made, and the dearest of the stops.
    """

    stops: int
    calls: int
    dearest: tuple[Stopped, ...]


class Concerned(NamedTuple):
    """Which charges a budget concerns, as SQL."""

    subject: str
    joins: str
    scope: str
    parameters: dict[str, Any]


def spent_before(terms: Terms, period: Window) -> dict[str, Decimal]:
    """What each subject spent in a period, by what the ledger has; reporting currency."""
    about = concerned(terms)
    with connection.cursor() as cursor:
        cursor.execute(
            _SPENT.format(subject=about.subject, joins=about.joins, scope=about.scope),
            {**about.parameters, "start": period.start, "end": period.end},
        )
        return dict(cursor.fetchall())


def try_budget(terms: Terms, *, days: int, at: datetime) -> Trial:
    """Play the last days through a budget that was not there: who would have been stopped, and when. Changes nothing.

    Each period counts from its beginning or from the first of the days, whichever is later; when the budget itself is
    to begin does not matter.
    """
    first = at - timedelta(days=days)
    terms = replace(terms, starts_at=min(first, terms.starts_at))
    about, periods = concerned(terms), _periods(terms, first, at)
    if not periods:
        return Trial(0, 0, ())
    with connection.cursor() as cursor:
        cursor.execute(
            _STOPPED.format(subject=about.subject, joins=about.joins, scope=about.scope),
            {
                **about.parameters,
                "starts": [one.start for one in periods],
                "ends": [one.end for one in periods],
                "subjects": list(terms.limits),
                "limits": [from_pico(limit_of(terms, subject)) for subject in terms.limits],
                "limit": from_pico(terms.limit_pico),
                "start": first,
                "end": at,
                "most": MOST_STOPPED,
            },
        )
        rows = cursor.fetchall()
    if not rows:
        return Trial(0, 0, ())
    return Trial(int(rows[0][6]), int(rows[0][5]), tuple(Stopped(*row[:5]) for row in rows))


def _periods(terms: Terms, first: datetime, until: datetime) -> Sequence[Window]:
    found = []
    at = max(first, terms.starts_at)
    while at < until:
        held = window(terms, at)
        if held is None:
            break
        found.append(held)
        if held.end is None:
            break
        at = held.end
    return found


def concerned(terms: Terms) -> Concerned:
    """Which charges the budget concerns, and how their subject is written; the same as `rules.subject_of`."""
    parameters: dict[str, Any] = {"organization": terms.organization_id, "exempt": list(terms.exempt)}
    conditions = ["TRUE"]
    for dimension, allowed in sorted(terms.scope.items()):
        name = f"scope_{dimension}"
        if dimension in OWNERS:
            ids = {int(value) for value in allowed}
            parameters[name] = sorted(_with_below(terms.organization_id, ids) if dimension == "team" else ids)
            conditions.append(f"c.{dimension}_id = ANY(%({name})s)")
        else:
            parameters[name] = sorted(allowed)
            conditions.append(f"{dimension}.value = ANY(%({name})s)")
    subject = _subject(terms.each)
    if terms.each == "session":
        conditions.append("c.session <> ''")
    elif terms.each:
        conditions.append(f"{subject} <> ALL(%(exempt)s::text[])")
    joins = " ".join(f"LEFT JOIN ledger_term AS {word} ON {word}.id = c.{word}_id" for word in ("provider", "model"))
    return Concerned(subject, joins, " AND ".join(conditions), parameters)


def _subject(each: str) -> str:
    if not each:
        return "''"
    if each == "session":
        return "c.session"
    return f"c.{each}_id::text" if each in OWNERS else f"coalesce(nullif({each}.value, ''), '-')"


def _with_below(organization_id: int, teams: set[int]) -> set[int]:
    above = selectors.teams_above(organization_id)
    return teams | {team for team, chain in above.items() if chain & teams}
