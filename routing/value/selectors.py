"""Cost, energy and completed tasks side by side: from the ledger's cubes, its charges and what was said of calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from finops.core.periods import DayRange
from finops.core.tokens import OUTPUT_METERS
from finops.energy import selectors as energy
from finops.energy.rules.estimating import together
from finops.energy.selectors import Answered
from finops.energy.types import Footprint
from finops.ledger import selectors as ledger
from finops.ledger.rules.questions import ANYTHING, Dimensions, Ids, question
from finops.ledger.types import SpendQuestion, SpendRow
from finops.orgs.rules import Caller
from routing.value import rules
from routing.value.types import Group, Line, Report, Scored

MOST_LINES: Final = 200
# Somebody is waiting.
_WITHIN: Final = "SET LOCAL statement_timeout = '20s'"
_WRITTEN: Final = " + ".join(f"coalesce({name}, 0)" for name in OUTPUT_METERS)
_KEPT: Final = "session, value, provider_id, model_id, calls, written, cost"
# Which call a charge is of: its id stands between the key's prefix and the number of the try; a correction's names the
# charge that it corrects. A task is a session, or a call that has none, in each group by itself.
_TASKS: Final = r"""
WITH RECURSIVE said AS MATERIALIZED (
    SELECT o.item AS call_id, avg(o.score) AS score FROM evidence_outcome AS o
    JOIN evidence_evaluation AS e ON e.id = o.evaluation_id AND e.standing AND e.withdrawn_at IS NULL
    WHERE o.organization_id = %(organization)s AND o.recorded_at >= %(from)s GROUP BY o.item
), charge AS MATERIALIZED (
    SELECT id, external_id, session, {column} AS value, provider_id, model_id, calls, {written} AS written,
        reporting_cost AS cost
    FROM ledger_charge
    WHERE organization_id = %(organization)s AND occurred_at >= %(from)s AND occurred_at < %(to)s{filters}
), fix AS MATERIALIZED (
    SELECT * FROM charge WHERE external_id LIKE 'fix:%%'
), booked AS (
    SELECT id, external_id AS ref, {kept} FROM charge WHERE external_id NOT LIKE 'fix:%%'
    UNION ALL
    SELECT f.id, b.ref, {fixed} FROM booked AS b JOIN fix AS f ON f.external_id = 'fix:' || b.id
), line AS MATERIALIZED (
    SELECT regexp_replace(substr(ref, strpos(ref, ':') + 1), '\.[0-9]{{1,4}}$', '') AS call_id, {kept} FROM booked
), task AS MATERIALIZED (
    SELECT coalesce(nullif(session, ''), ':' || call_id) AS task, call_id, value, provider_id, model_id,
        sum(calls) AS calls, sum(written) AS written, sum(cost) AS cost
    FROM line GROUP BY 1, 2, 3, 4, 5
), scored AS MATERIALIZED (
    SELECT task, value, avg(score) AS score FROM (
        SELECT DISTINCT task, call_id, value FROM task WHERE calls > 0
    ) AS one JOIN said USING (call_id) GROUP BY task, value
)
SELECT value, 0, 0, count(*), 0, 0, 0 FROM (
    SELECT value, task FROM task GROUP BY value, task HAVING sum(calls) > 0
) AS every GROUP BY value
UNION ALL
SELECT value, 0, 1, count(*), count(*) FILTER (WHERE score >= %(completed)s), 0, sum(score) FROM scored GROUP BY value
UNION ALL
SELECT value, model_id, 2, sum(calls), sum(written), sum(cost), 0 FROM task JOIN scored USING (task, value)
GROUP BY value, model_id
ORDER BY 1, 3, 2
"""


def report(
    caller: Caller, known: Dimensions, days: DayRange, *, by: str, filters: Ids = ANYTHING, limit: int
) -> Report:
    """The `limit` largest groups by cost of a period, within the caller's reach. Energy is of all their calls; what a
    completed task costs and uses is of the tasks that were scored, whole. Raises PeriodTooLong, TooMuch, and what
    `orgs.rules.spend_filters` raises.
    """
    rules.check_period(days)
    asked = question(caller, known, days, group_by=(by,), filters=filters)
    settled = ledger.settled_until(caller.organization_id)

    def ask(*group_by: str) -> list[SpendRow]:
        grouped = question(caller, known, days, group_by=group_by, filters=filters)
        return ledger.spend(grouped, settled=settled)

    # Seen by provider and model first, so that a model's name alone tells what it may have used.
    answered = energy.answered(caller.organization_id, ask("provider", "model"))
    groups = _groups(ask(by, "model"), answered)
    found = scored(asked, answered)
    largest = sorted(groups, key=lambda value: (-groups[value].cost, value))
    column = known.column(by)
    called = ledger.named(caller.organization_id, {column: largest[:limit]})[column]
    lines = [groups[value]._replace(scored=found.get(value, Scored())) for value in largest]
    shown = [line._replace(group=Group(*called[value])) for value, line in zip(largest[:limit], lines, strict=False)]
    return Report(by, days, tuple(shown), len(lines), _total(lines))


def scored(asked: SpendQuestion, answered: Answered) -> dict[int, Scored]:
    """By group, of a question that is grouped by one dimension. Raises TooMuch."""
    if not all(asked.filters.values()):
        return {}
    [column] = asked.group_by
    wheres = "".join(f" AND {name}_id = ANY(%({name})s)" for name in sorted(asked.filters))
    statement = _TASKS.format(
        column=f"{column}_id", written=_WRITTEN, filters=wheres, kept=_KEPT,
        fixed=", ".join(f"f.{name}" for name in _KEPT.split(", ")),
    )  # fmt: skip
    start, end = asked.period.instants()
    given: dict[str, Any] = {
        "organization": asked.organization_id, "from": start, "to": end, "completed": rules.COMPLETED,
        **{name: sorted(ids) for name, ids in asked.filters.items()},
    }  # fmt: skip
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_WITHIN)
            cursor.execute(statement, given)
            rows = cursor.fetchall()
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise rules.TooMuch(
                "That is too much to look at at once; ask for a shorter period.", field="period"
            ) from None
        raise
    return _scored(rows, answered)


def _scored(rows: Iterable[Sequence[Any]], answered: Answered) -> dict[int, Scored]:
    """Rows say of a group: how many tasks (0), scored ones (1), and of a model in those what it came to (2)."""
    found: dict[int, Scored] = defaultdict(Scored)
    for value, model, kind, number, other, cost, score in rows:
        one = found[value]
        if kind == 0:
            found[value] = one._replace(tasks=int(number))
        elif kind == 1:
            found[value] = one._replace(scored=int(number), completed=int(other), score=float(score))
        else:
            part = answered.of(model, calls=int(number), output_tokens=int(other))
            found[value] = one._replace(cost=one.cost + cost, footprint=together((one.footprint, part)))
    return dict(found)


def _groups(rows: Iterable[SpendRow], answered: Answered) -> dict[int, Line]:
    """By value, of spend by it and model."""
    sums: dict[tuple[int, int], tuple[int, int, Decimal]] = defaultdict(lambda: (0, 0, Decimal(0)))
    for row in rows:
        value, model = row.values
        calls, tokens, cost = sums[value, model]
        sums[value, model] = calls + row.calls, tokens + row.output_tokens, cost + row.reporting_cost
    found: dict[int, Line] = {}
    for (value, model), (calls, tokens, cost) in sums.items():
        used = answered.of(model, calls=calls, output_tokens=tokens)
        one = found.get(value, Line(None, 0, Decimal(0), Footprint(), Scored()))
        found[value] = one._replace(
            calls=one.calls + calls, cost=one.cost + cost, footprint=together((one.footprint, used))
        )
    return found


def _total(lines: Sequence[Line]) -> Line:
    each: Mapping[str, Any] = {
        name: sum((getattr(line.scored, name) for line in lines), start)
        for name, start in (("tasks", 0), ("scored", 0), ("completed", 0), ("score", 0.0), ("cost", Decimal(0)))
    }
    return Line(
        None,
        sum(line.calls for line in lines),
        sum((line.cost for line in lines), Decimal(0)),
        together(line.footprint for line in lines),
        Scored(**each, footprint=together(line.scored.footprint for line in lines)),
    )
