"""Months of Acme's books, closed and opened again; and the same sums from the charges alone."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from finops.connectors.types import Dimensions
from finops.core.periods import day_start, month_start, months_on
from finops.months import services
from finops.months.models import Closing
from tests.factories.company import Company
from tests.factories.ledger import Book, event, rows
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts

JULY, AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (date(2026, month, 1) for month in range(7, 12))
Sums = tuple[int, int, Decimal, Decimal]


def close(book: Book, month: date = OCTOBER, *, reason: str = "it is what we know") -> Closing:
    return services.close_month(
        organization_id=book.organization.id, month=month, reason=reason, by=HOUSE, at=book.now()
    )


def reopen(book: Book, month: date = OCTOBER, *, reason: str = "too early") -> Closing:
    return services.reopen_month(
        organization_id=book.organization.id, month=month, reason=reason, by=HOUSE, at=book.now()
    )


# Written apart from the product's SQL: the charges themselves, by owner and month.
_KEY = "source_id, category_id, team_id, person_id, project_id, currency"
_SUMS = "sum(calls), sum(effective_cost), sum(reporting_cost)"


def charged(organization_id: int, month: date | None = None) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """By month, source, category, team, person, project and currency: calls and costs of the charges, of those that
    are not nothing.
    """
    found = rows(
        f"SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date, {_KEY}, {_SUMS} FROM ledger_charge"
        f" WHERE organization_id = %s GROUP BY 1, {_KEY}",
        organization_id,
    )
    return {
        tuple(row[:7]): tuple(row[7:]) for row in found if any(row[7:]) and (month is None or row[0] == month)
    }  # fmt: skip


def counted(organization_id: int, month: date) -> int:
    """Lines of the ledger in a month, reversals too."""
    ((many,),) = rows(
        "SELECT count(*) FROM ledger_charge WHERE organization_id = %s"
        " AND date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date = %s",
        organization_id,
        month,
    )
    return int(many)


def stated(organization_id: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The same as all statements that stand say it together."""
    found = rows(
        f"SELECT date_trunc('month', l.day)::date, {', '.join('l.' + name for name in _KEY.split(', '))},"
        " sum(l.calls), sum(l.effective_cost), sum(l.reporting_cost)"
        " FROM months_line l JOIN months_closing c ON c.id = l.closing_id AND c.reopened_at IS NULL"
        f" WHERE l.organization_id = %s GROUP BY 1, {', '.join('l.' + name for name in _KEY.split(', '))}",
        organization_id,
    )
    return {tuple(row[:7]): tuple(row[7:]) for row in found if any(row[7:])}


def closed_company(company: Company) -> tuple[date, date, date]:
    """Three months before the present one: the first is closed and its late change carried, the second is closed and
    changed since, the third is over. Gives their first days.
    """
    made = Book(company.cast.acme, at=company.at)
    first, second, third = (months_on(month_start(company.at.date()), back) for back in (-3, -2, -1))
    why = "Two records of the proxy are not worth the wait."

    def spent(month: date, *names: str, source: str = "gateway") -> None:
        for number, name in enumerate(names):
            whose = Dimensions(person=company.cast.bob.slug) if number % 3 else Dimensions(team=company.cast.chat.slug)
            used = counts(input_uncached=400_000 + 90_000 * number, output_text=60_000, requests=1)
            at = day_start(month + timedelta(days=number % 27))
            made.take(
                event(
                    f"{month} {name}", occurred_at=at, model="gpt-4o", counts=used,
                    dimensions=whose if number % 5 else Dimensions(),
                ),
                source=source,
            )  # fmt: skip

    made.sources["gateway"] = company.source
    for month in (first, second):
        spent(month, *(f"call {number}" for number in range(12)))
    close(made, first, reason=why)
    spent(first, "late", "later", "latest")
    close(made, second, reason=why)
    spent(second, "report 1", "report 2", "report 3", source="provider-report")
    return first, second, third
