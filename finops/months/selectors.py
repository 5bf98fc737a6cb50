"""Reads of months: how each stands, what its statement says, and what came since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models import Sum as SumOf
from django.db.models.functions import TruncMonth

from finops.core.errors import NotFound
from finops.core.periods import DayRange, month_start, months, months_on, next_month
from finops.ledger import selectors as ledger
from finops.ledger.types import Grain, SpendQuestion
from finops.months import rules
from finops.months.models import Closing, Line
from finops.months.types import Change, Item, Month, StatementRow

# Years of months that are listed.
MOST_MONTHS: Final = 120
# What a statement may be asked for by.
OWNERS: Final = ("team", "project", "person")
_NOTHING: Final = Decimal(0)
_UNSAID: Final = """
SELECT day, source_id, category_id, team_id, person_id, project_id, currency, charges, calls, effective_cost,
    reporting_cost
FROM months_unsaid(%s, %s, %s)
ORDER BY day, source_id, category_id, team_id, person_id, project_id, currency
"""


def closings(organization_id: int) -> QuerySet[Closing]:
    """Those that stand, newest month first."""
    return Closing.objects.filter(organization_id=organization_id, reopened_at__isnull=True).order_by("-month")


def closing(organization_id: int, month: date) -> Closing:
    """Raises NotFound where the month is not closed."""
    found = closings(organization_id).filter(month=month).first()
    if found is None:
        raise NotFound(f"{rules.written(month)} is not closed, and has no statement.")
    return found


def taken_back(organization_id: int, month: date) -> QuerySet[Closing]:
    """Closings of a month that were opened again, newest first."""
    rows = Closing.objects.filter(organization_id=organization_id, month=month, reopened_at__isnull=False)
    return rows.order_by("-reopened_at", "-id")


def closed_months(organization_id: int) -> list[date]:
    """Oldest first, with none missing between."""
    return sorted(closings(organization_id).values_list("month", flat=True))


def is_next(organization_id: int, month: date) -> bool:
    """Whether the statement of a month will carry what came of closed ones: it is the first that is not closed."""
    closed = closed_months(organization_id)
    return bool(closed) and month == next_month(closed[-1])


def was_open(row: Closing) -> list[Item]:
    """What was open of a month when it was closed."""
    return msgspec.convert(row.still_open, list[Item])


def first_day(organization_id: int) -> date | None:
    """The first day anything was spent on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least((SELECT min(day) FROM ledger_daily WHERE organization_id = %s),"
            " (SELECT min((hour AT TIME ZONE 'UTC')::date) FROM ledger_rollup_delta WHERE organization_id = %s))",
            [organization_id, organization_id],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def unsaid(organization_id: int, days: DayRange) -> list[Change]:
    """What the ledger holds of these days and no statement says, deltas included; one statement. By day and owner."""
    with connection.cursor() as cursor:
        cursor.execute(_UNSAID, [organization_id, days.start, days.end])
        return [Change(*row) for row in cursor.fetchall()]


def late(organization_id: int) -> list[Change]:
    """What came of closed months since they were closed, and no statement says yet."""
    days = rules.closed_days(closed_months(organization_id))
    return unsaid(organization_id, days) if days else []


def late_of_source(organization_id: int, source_id: int) -> list[Change]:
    """The same from one source. A cube says first of which months there is any: mostly there is none, and no more is
    read.
    """
    found = _changed_by_source(organization_id, source_id)
    rows = [row for _, month in sorted(found) for row in unsaid(organization_id, rules.days_of(month))]
    return [row for row in rows if row.source_id == source_id]


def sources_changed(organization_id: int) -> frozenset[int]:
    """Ids of sources whose part of a closed month is another than was stated, from a cube."""
    return frozenset(source for source, _ in _changed_by_source(organization_id))


def _changed_by_source(organization_id: int, source_id: int | None = None) -> set[tuple[int, date]]:
    """(source, month) of closed months, where what the ledger holds and what statements say are not the same."""
    days = rules.closed_days(closed_months(organization_id))
    if days is None:
        return set()
    only = {} if source_id is None else {"source": frozenset({source_id})}
    found: defaultdict[tuple[int, date], list[Any]] = defaultdict(lambda: [0, _NOTHING])
    for row in ledger.spend(SpendQuestion(organization_id, days, ("source",), only, Grain.MONTH)):
        if row.bucket is not None:
            sums = found[row.values[0], row.bucket]
            found[row.values[0], row.bucket] = [sums[0] + row.calls, sums[1] + row.reporting_cost]
    lines = _lines(organization_id)
    lines = lines if source_id is None else lines.filter(source_id=source_id)
    said = lines.annotate(month=TruncMonth("day")).values_list("source_id", "month")
    for source, month, calls, cost in said.annotate(called=SumOf("calls"), cost=SumOf("reporting_cost")):
        sums = found[source, month]
        found[source, month] = [sums[0] - calls, sums[1] - cost]
    return {key for key, left in found.items() if any(left)}


def _lines(organization_id: int) -> QuerySet[Line]:
    """Of statements that stand."""
    return Line.objects.filter(organization_id=organization_id, closing__reopened_at__isnull=True).order_by()


def listed(organization_id: int, *, at: datetime, only: date | None = None) -> list[Month]:
    """Months from the first with spend to the present one, newest first; at most MOST_MONTHS. Or `only` one."""
    closed = closed_months(organization_id)
    first = first_day(organization_id)
    today = at.date()
    begins = max(min([first or today, *closed[:1]]), months_on(month_start(today), 1 - MOST_MONTHS))
    every = [only] if only else sorted(months(DayRange(month_start(begins), next_month(today))), reverse=True)
    if not every:
        return []
    held = _by_month(organization_id, DayRange(every[-1], next_month(every[0])))
    said = _said(organization_id)
    standing = {row.month: row for row in closings(organization_id).filter(month__in=every)}
    found = []
    for month in every:
        spent = held.get(month, _NOTHING)
        row = standing.get(month)
        stated = row.amount if row else _NOTHING
        whole = said.get(month, _NOTHING)
        found.append(
            Month(
                month=month,
                state=rules.state_of(month, closed, today),
                may_close=rules.may_close(month, closed, first=first, today=today),
                may_reopen=bool(closed) and month == closed[-1],
                spent=spent,
                stated=stated,
                later=whole - stated,
                late=spent - whole if row else _NOTHING,
                carried_in=row.carried if row else _NOTHING,
            )
        )
    return found


def _by_month(organization_id: int, days: DayRange) -> dict[date, Decimal]:
    """What the ledger holds of each month, in the reporting currency."""
    found: defaultdict[date, Decimal] = defaultdict(Decimal)
    for row in ledger.spend(SpendQuestion(organization_id, days, grain=Grain.MONTH)):
        if row.bucket is not None:
            found[row.bucket] += row.reporting_cost
    return dict(found)


def _said(organization_id: int) -> dict[date, Decimal]:
    """What statements say of each month together."""
    sums = _lines(organization_id).annotate(month=TruncMonth("day")).values_list("month")
    return dict(sums.annotate(cost=SumOf("reporting_cost")))


def statement(row: Closing, *, by: Sequence[str] = OWNERS) -> Iterator[StatementRow]:
    """What a closing says, by these owners, category and currency: its own month first, the largest first, then what it
    carries of earlier months. Sums over rows are its `amount` and `carried`, to the last digit.
    """
    keys = [f"{name}_id" for name in OWNERS if name in by]
    names = ["of", *keys, "category_id", "currency"]
    sums = {name: SumOf(name) for name in ("charges", "calls", "effective_cost", "reporting_cost")}
    rows: Any = row.lines.order_by().annotate(of=TruncMonth("day")).values(*names).annotate(**sums)
    nobody = {f"{name}_id": 0 for name in OWNERS}
    for one in rows.order_by(F("of").desc(), "-reporting_cost", *keys, "category_id", "currency").iterator():
        of = one.pop("of")
        if any(one[name] for name in sums):
            yield StatementRow(**{**nobody, **one, "of_month": of})


def carried_on(organization_id: int, month: date) -> list[tuple[Closing, Decimal, int]]:
    """Later statements that say something of a month, oldest first: each with the amount and the charges of it."""
    days = rules.days_of(month)
    rows = Line.objects.filter(
        organization_id=organization_id,
        day__gte=days.start,
        day__lt=days.end,
        closing__month__gt=month,
        closing__reopened_at__isnull=True,
    )
    sums: Any = rows.order_by().values("closing").annotate(cost=SumOf("reporting_cost"), many=SumOf("charges"))
    found = {one["closing"]: (one["cost"], one["many"]) for one in sums}
    later = closings(organization_id).filter(id__in=found).order_by("month")
    return [(row, *found[row.id]) for row in later]
