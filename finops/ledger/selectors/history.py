"""What was spent day by day, and how a day's spend falls on its hours: what forecasts and anomalies are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from finops.core.periods import EPOCH, DayRange
from finops.ledger.rules.cubes import HOURLY
from finops.ledger.rules.questions import ANYTHING, Ids
from finops.ledger.selectors.spend import UnknownDimension, spend
from finops.ledger.types import Grain, SpendQuestion

HOURS: Final = 24
_OF_DAY: Final = "date_part('hour', hour AT TIME ZONE 'UTC')::int"


def daily_spend(
    organization_id: int, days: DayRange, *, by: str = "", filters: Ids = ANYTHING, limit: int | None = None
) -> dict[int, dict[date, Decimal]]:
    """Reporting cost of each day with any, by value of a dimension (under 0 without one); one statement, two with a
    `limit`, which keeps the largest values. Raises UnknownDimension.
    """
    question = SpendQuestion(
        organization_id, days, group_by=(by,) if by else (), filters=filters, grain=Grain.DAY, limit=limit
    )
    found: defaultdict[int, dict[date, Decimal]] = defaultdict(dict)
    # A trend is read from days alone: which larger blocks there are does not matter, unless the largest are looked for.
    for row in spend(question, settled=EPOCH if limit is None else None):
        of_value = found[row.values[0] if by else 0]
        if row.bucket is not None:
            of_value[row.bucket] = of_value.get(row.bucket, Decimal(0)) + row.reporting_cost
    return dict(found)


def hours_of_day(
    organization_id: int, start: datetime, end: datetime, *, by: str = "", filters: Ids = ANYTHING
) -> dict[int, tuple[float, ...]]:
    """What was spent in each of the 24 UTC hours of the days of a period together, by value of a dimension (under 0
    without one): a shape, not an amount. One statement. Hours are kept for `HOURLY_DAYS`, by the dimensions of
    `HOURLY`. Raises UnknownDimension for another.
    """
    where, params = _where(organization_id, start, end, by, filters)
    value = f"{by}_id" if by else "0"
    rows = f"SELECT {value} AS value, {_OF_DAY} AS hour, reporting_cost FROM {{table}} WHERE {where}"
    both = " UNION ALL ".join(rows.format(table=table) for table in ("ledger_hourly", "ledger_rollup_delta"))
    found: defaultdict[int, list[float]] = defaultdict(lambda: [0.0] * HOURS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT value, hour, sum(reporting_cost) FROM ({both}) AS h GROUP BY 1, 2", params * 2)
        for one, hour, cost in cursor.fetchall():
            found[one][hour] = max(0.0, float(cost))
    return {one: tuple(hours) for one, hours in found.items()}


def _where(
    organization_id: int, start: datetime, end: datetime, by: str, filters: Mapping[str, frozenset[int]]
) -> tuple[str, list[Any]]:
    for name in (*filters, *([by] if by else [])):
        if name not in HOURLY:
            raise UnknownDimension(f"hours are not kept by {name}", field="group_by")
    clauses = ["organization_id = %s", "hour >= %s", "hour < %s"]
    params: list[Any] = [organization_id, start, end]
    for name, allowed in sorted(filters.items()):
        clauses.append(f"{name}_id = ANY(%s)")
        params.append(sorted(allowed))
    return " AND ".join(clauses), params
