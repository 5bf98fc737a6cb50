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
# Somebody is waiting; and what is looked at stays in memory, or the disk is what one waits for.
_WITHIN: Final = "SET LOCAL statement_timeout = '20s'; SET LOCAL work_mem = '96MB'"
_WRITTEN: Final = " + ".join(f"coalesce({name}, 0)" for name in OUTPUT_METERS)
# Which call a charge is of: its id stands between the key's prefix and the number of the try; a correction's names the
# charge that it corrects, and is found from there. A task is a session, or a call that has none, in each group by
# itself. All that is looked for begins with what was scored, which is little beside all charges.
_TASKS: Final = r"""
WITH RECURSIVE said AS MATERIALIZED (
    SELECT o.item AS call_id, avg(o.score) AS score FROM evidence_outcome AS o
    JOIN evidence_evaluation AS e ON e.id = o.evaluation_id AND e.standing AND e.withdrawn_at IS NULL
    WHERE o.organization_id = %(organization)s AND o.recorded_at >= %(from)s GROUP BY o.item
), charge AS MATERIALIZED (
    SELECT id, CASE WHEN external_id LIKE 'fix:%%' THEN external_id ELSE '' END AS fixes,
        CASE WHEN external_id LIKE 'fix:%%' THEN '' ELSE
            regexp_replace(substr(external_id, strpos(external_id, ':') + 1), '\.[0-9]{{1,4}}$', '') END AS call_id,
        session, {column} AS value, model_id, calls, {written} AS written, reporting_cost AS cost
    FROM ledger_charge
    WHERE organization_id = %(organization)s AND occurred_at >= %(from)s AND occurred_at < %(to)s{filters}
), fix AS MATERIALIZED (
    SELECT * FROM charge WHERE fixes <> ''
), booked AS (
    SELECT c.id, call_id, session, value, model_id, calls, written, cost FROM charge AS c JOIN said USING (call_id)
    UNION ALL
    SELECT f.id, b.call_id, f.session, f.value, f.model_id, f.calls, f.written, f.cost
    FROM booked AS b JOIN fix AS f ON f.fixes = 'fix:' || b.id
), scored AS MATERIALIZED (
    SELECT session, CASE WHEN session = '' THEN call_id ELSE '' END AS call_id, value, avg(score) AS score FROM (
        SELECT call_id, session, value FROM booked GROUP BY call_id, session, value HAVING sum(calls) > 0
    ) AS one JOIN said USING (call_id) GROUP BY 1, 2, 3
), part AS (
    SELECT c.value, c.model_id, c.calls, c.written, c.cost FROM charge AS c
    JOIN scored AS s ON s.session <> '' AND s.session = c.session AND s.value = c.value
    UNION ALL
    SELECT b.value, b.model_id, b.calls, b.written, b.cost FROM booked AS b
    JOIN scored AS s ON s.session = '' AND b.session = '' AND s.call_id = b.call_id AND s.value = b.value
)
SELECT value, 0, TRUE, count(*), count(*) FILTER (WHERE score >= %(completed)s), 0, sum(score) FROM scored
GROUP BY value
UNION ALL
SELECT value, model_id, FALSE, sum(calls), sum(written), sum(cost), 0 FROM part GROUP BY value, model_id
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
    statement = _TASKS.format(column=f"{column}_id", written=_WRITTEN, filters=wheres)
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
    """Rows say of a group how many tasks were scored, and of each model in those what it came to."""
    found: dict[int, Scored] = defaultdict(Scored)
    for value, model, whole, number, other, cost, score in rows:
        one = found[value]
        if whole:
            found[value] = one._replace(scored=int(number), completed=int(other), score=float(score))
        else:
            part = answered.of(model, calls=int(number), output_tokens=int(other))
            found[value] = one._replace(
                calls=one.calls + int(number), cost=one.cost + cost, footprint=together((one.footprint, part))
            )
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
        for name, start in (("scored", 0), ("calls", 0), ("completed", 0), ("score", 0.0), ("cost", Decimal(0)))
    }
    return Line(
        None,
        sum(line.calls for line in lines),
        sum((line.cost for line in lines), Decimal(0)),
        together(line.footprint for line in lines),
        Scored(**each, footprint=together(line.scored.footprint for line in lines)),
    )
