"""Reads of rollouts, of scores of calls, and of what calls cost. Organization first; lists have a total order."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import F, QuerySet

from finops.core.errors import NotFound
from routing.evidence.models import Outcome
from routing.rollouts import rules
from routing.rollouts.models import Rollout, SavingsDay, SavingsMonth
from routing.rollouts.types import UNDER_WAY, Sums
from routing.rules.models import Decision, RoutingRule
from routing.rules.rollout import Stage
from routing.rules.rollout import State as RuleState

# Outcomes of one look, of any kind.
MOST_OUTCOMES: Final = 100_000
# What is committed late has a smaller id than what was read: until then it is looked at again.
SETTLES: Final = timedelta(minutes=10)
# When the charges of a call may have happened, around its decision.
_BEFORE: Final = timedelta(minutes=5)
_AFTER: Final = timedelta(hours=2)
_TOP: Final = """
SELECT max(id), max(id) FILTER (WHERE recorded_at <= %(settled)s) FROM (
    SELECT id, recorded_at FROM evidence_outcome WHERE organization_id = %(organization)s AND id > %(last)s
    ORDER BY id LIMIT %(most)s
) AS next_ones
"""
_SCORES: Final = """
SELECT o.id, o.evaluation_id, o.score, d.arm, coalesce(nullif(d.session, ''), d.call_id), d.asked,
    coalesce(nullif(d.task_type, ''), o.task_type), d.at
FROM evidence_outcome AS o
JOIN evidence_evaluation AS e ON e.id = o.evaluation_id AND e.standing AND e.withdrawn_at IS NULL
JOIN rules_decision AS d ON d.organization_id = o.organization_id AND d.call_id = o.item
WHERE o.organization_id = %(organization)s AND o.id > %(last)s AND o.id <= %(top)s AND d.rule_id = %(rule)s
    AND d.rule_version = %(version)s AND d.at >= %(since)s AND d.arm IN ('treated', 'control', 'held_back')
ORDER BY o.id
"""
# The rule that a charge's tag means: by the id that gateways say, else by the name, which is that of the last rule that
# has it. What names none is an ordinary call.
_MEANT: Final = """
SELECT r.id FROM rules_routingrule AS r
WHERE r.organization_id = %(organization)s
    AND (r.name = {said} OR r.id = substring({said} FROM '#([0-9]{{1,9}})$')::int)
ORDER BY r.name = {said}, r.id DESC LIMIT 1
"""
# Of each charge which call it is of: a correction's key names the charge that it corrects. What was spent for the rule
# under a call's id is no try of it.
_SUMS: Final = r"""
WITH RECURSIVE charge AS MATERIALIZED (
    SELECT c.id, external_id, reporting_cost AS cost FROM ledger_charge AS c
    WHERE organization_id = %(organization)s AND occurred_at >= %(first)s AND occurred_at < %(last)s
        AND ((c.tags ->> %(tag)s) IS NULL OR NOT EXISTS ({meant}))
), booked AS (
    SELECT id, external_id AS ref, cost FROM charge WHERE external_id NOT LIKE 'fix:%%'
    UNION ALL
    SELECT f.id, b.ref, f.cost FROM booked AS b JOIN charge AS f ON f.external_id = 'fix:' || b.id
), tries AS (
    SELECT regexp_replace(substr(ref, strpos(ref, ':') + 1), '\.[0-9]{1,4}$', '') AS call_id,
        coalesce(substring(ref FROM '\.([0-9]{1,4})$')::int, 0) AS number, sum(cost) AS cost
    FROM booked GROUP BY 1, 2
), calls AS (
    SELECT call_id, sum(cost) AS cost, sum(cost) - (array_agg(cost ORDER BY number DESC))[1] AS failed
    FROM tries GROUP BY call_id
), decided AS (
    SELECT d.rule_id, d.arm = 'treated' AS treated, coalesce(nullif(d.session, ''), d.call_id) AS session,
        CASE WHEN d.arm = 'treated' THEN 1.0 ELSE (1.0 - d.propensity) / d.propensity END AS weight,
        greatest(d.tokens, 1)::float8 AS tokens, c.cost, c.failed
    FROM rules_decision AS d JOIN calls AS c USING (call_id)
    WHERE d.organization_id = %(organization)s AND d.at >= %(from)s AND d.at < %(to)s AND d.rule_id > 0
        AND (d.arm = 'treated' OR d.arm IN ('control', 'held_back') AND d.propensity < 1)
), sessions AS (
    SELECT rule_id, treated, count(*) AS calls, sum(tokens) AS tokens, sum(cost) AS cost, sum(failed) AS failed,
        sum(weight * cost::float8) AS c, sum(weight) AS n, sum(weight * tokens) AS x, avg(weight) AS w
    FROM decided GROUP BY rule_id, treated, session
)
SELECT rule_id, count(*) FILTER (WHERE treated), coalesce(sum(calls) FILTER (WHERE treated), 0)::bigint,
    coalesce(sum(tokens) FILTER (WHERE treated), 0), coalesce(sum(cost) FILTER (WHERE treated), 0),
    coalesce(sum(failed) FILTER (WHERE treated), 0), count(*) FILTER (WHERE NOT treated),
    coalesce(sum(calls) FILTER (WHERE NOT treated), 0)::bigint, coalesce(sum(cost) FILTER (WHERE NOT treated), 0),
    {sums}
FROM sessions GROUP BY rule_id ORDER BY rule_id
""".replace(
    "{sums}",
    ", ".join(
        f"coalesce(sum({each}) FILTER (WHERE NOT treated), 0)::float8"
        for each in (
            *("c", "n", "x", "c * c", "c * n", "n * n", "c * x", "x * x"),
            *("c * c / w", "c * n / w", "n * n / w", "c * x / w", "x * x / w"),
        )
    ),
).replace("{meant}", _MEANT.format(said="(c.tags ->> %(tag)s)"))
_BESIDE: Final = """
SELECT rule.id, sum(c.cost) FROM (
    SELECT tags ->> %(tag)s AS said, sum(reporting_cost) AS cost FROM ledger_charge
    WHERE organization_id = %(organization)s AND occurred_at >= %(from)s AND occurred_at < %(to)s
        AND (tags ->> %(tag)s) IS NOT NULL
    GROUP BY said
) AS c CROSS JOIN LATERAL ({meant}) AS rule
GROUP BY rule.id ORDER BY rule.id
""".replace("{meant}", _MEANT.format(said="c.said"))


class Score(NamedTuple):
    """An outcome of a call that a rule decided. `source` is the evaluation that it is of."""

    outcome_id: int
    source: int
    score: float
    arm: str
    session: str
    asked: str
    task_type: str
    at: datetime


class Look(NamedTuple):
    """`settled`: up to here nothing will come later."""

    scores: tuple[Score, ...]
    settled: int


def rollouts(organization_id: int, *, state: str = "", rule_id: int | None = None) -> QuerySet[Rollout]:
    """Newest first."""
    rows = Rollout.objects.filter(organization_id=organization_id).select_related("rule").order_by("-id")
    if state:
        rows = rows.filter(state=state)
    return rows if rule_id is None else rows.filter(rule_id=rule_id)


def rollout_of(organization_id: int, rule_id: int) -> Rollout:
    """The last one of a rule. Raises NotFound."""
    found = rollouts(organization_id, rule_id=rule_id).first()
    if found is None:
        raise NotFound("There is no rollout of such a rule.")
    return found


def savings(organization_id: int, *, rule_id: int | None = None, month: date | None = None) -> QuerySet[SavingsMonth]:
    """Newest month first."""
    rows = SavingsMonth.objects.filter(organization_id=organization_id).select_related("rule")
    if rule_id is not None:
        rows = rows.filter(rule_id=rule_id)
    if month is not None:
        rows = rows.filter(month=month)
    return rows.order_by("-month", "-id")


def closing(organization_id: int, day: date) -> QuerySet[SavingsMonth]:
    """Of months that were over by a day, those that are not closed yet; oldest first."""
    rows = SavingsMonth.objects.filter(organization_id=organization_id, closed_at__isnull=True)
    return rows.filter(month__lt=day.replace(day=1)).order_by("month", "id")


def under_way(organization_id: int) -> QuerySet[Rollout]:
    rows = Rollout.objects.filter(organization_id=organization_id, state__in=UNDER_WAY)
    return rows.order_by("id")


def beginning(organization_id: int) -> QuerySet[RoutingRule]:
    """Rules that hold for some and not for others, and have no course under way."""
    rows = RoutingRule.objects.filter(organization_id=organization_id, state=RuleState.IN_FORCE, version__isnull=False)
    rows = rows.exclude(stage=Stage.ROLLED_BACK).exclude(stage=Stage.FULL, held_back=0.0)
    mine = Rollout.objects.filter(organization_id=organization_id, state__in=UNDER_WAY)
    return rows.exclude(id__in=mine.values("rule_id")).select_related("version").order_by("id")


def followed() -> list[int]:
    """Organizations with anything to follow."""
    rows = RoutingRule.objects.exclude(state=RuleState.RETIRED).exclude(stage=Stage.ROLLED_BACK)
    going = set(rows.exclude(stage=Stage.FULL, held_back=0.0).values_list("organization_id", flat=True))
    return sorted(going | set(Rollout.objects.filter(state__in=UNDER_WAY).values_list("organization_id", flat=True)))


def measured() -> list[int]:
    """Organizations that have, or had, a rule that saves anything."""
    return sorted(set(RoutingRule.objects.values_list("organization_id", flat=True).distinct()))


def last_outcome(organization_id: int, before: datetime) -> int:
    """The id of the last one that was recorded before; 0 for none."""
    rows = Outcome.objects.filter(organization_id=organization_id, recorded_at__lt=before)
    return rows.order_by("-id").values_list("id", flat=True).first() or 0


def look(row: Rollout, at: datetime) -> Look:
    """Scores of a course's calls that are new, or so young that they may not be; in the order they were recorded."""
    given: dict[str, Any] = {
        "organization": row.organization_id, "last": row.last_outcome_id, "settled": at - SETTLES,
        "most": MOST_OUTCOMES, "rule": row.rule_id, "version": row.version, "since": row.since,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_TOP, given)
        top, settled = cursor.fetchone() or (None, None)
        if top is None:
            return Look((), row.last_outcome_id)
        cursor.execute(_SCORES, given | {"top": top})
        return Look(tuple(Score(*each) for each in cursor.fetchall()), settled or row.last_outcome_id)


def calls_seen(row: Rollout, most: int) -> int:
    """Decisions of the course since its last step, no more than so many."""
    rows = Decision.objects.filter(
        organization_id=row.organization_id, rule_id=row.rule_id, rule_version=row.version, at__gte=row.stepped_at
    )
    return rows[: most + 1].count()


def sums_of_day(organization_id: int, day: date) -> dict[int, Sums]:
    """By rule, what the calls of a day (UTC) come to."""
    start = datetime.combine(day, time(), UTC)
    given: dict[str, Any] = {
        "organization": organization_id, "from": start, "to": start + timedelta(days=1), "tag": rules.TAG,
        "first": start - _BEFORE, "last": start + timedelta(days=1) + _AFTER,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, given)
        found = {rule_id: Sums(*values) for rule_id, *values in cursor.fetchall()}
        cursor.execute(_BESIDE, given)
        for rule_id, cost in cursor.fetchall():
            found[rule_id] = found.get(rule_id, Sums())._replace(beside_cost=cost)
    return found


def sums_of_month(organization_id: int, month: date) -> dict[int, Sums]:
    """By rule, of the days that were measured."""
    rows = SavingsDay.objects.filter(organization_id=organization_id, day__gte=month, day__lt=month_after(month))
    found: dict[int, Sums] = {}
    for rule_id, said in rows.order_by("day", "id").values_list("rule_id", "sums"):
        found[rule_id] = found.get(rule_id, Sums()).plus(read_sums(said))
    return found


def measured_until(organization_id: int) -> date | None:
    rows = SavingsDay.objects.filter(organization_id=organization_id).order_by(F("day").desc())
    return rows.values_list("day", flat=True).first()


def month_after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def written_sums(sums: Sums) -> dict[str, Any]:
    """Costs as text: JSON has no exact numbers."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in sums._asdict().items()}


def read_sums(said: dict[str, Any]) -> Sums:
    values: dict[str, Any] = {name: Decimal(value) if isinstance(value, str) else value for name, value in said.items()}
    return Sums(**values)
