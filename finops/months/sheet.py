"""A statement as a table: one row of an owner, a category and a currency, for a spreadsheet or another system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from finops.core.sheets import guarded
from finops.ledger import selectors as ledger
from finops.months import selectors
from finops.months.models import Closing
from finops.months.rules import written

_NAMED: Final = (*selectors.OWNERS, "category")
HEAD: Final = (
    *("statement", "of_month", "team", "team_id", "project", "project_id", "person", "person_id", "category"),
    *("charges", "calls", "billing_currency", "effective_cost", "reporting_currency", "reporting_cost"),
)


def filename(row: Closing, slug: str) -> str:
    return f"statement-{slug}-{written(row.month)}.csv"


def table(row: Closing) -> Iterator[list[Any]]:
    """The head, then all rows. `of_month` is another month where a row is a late change. The sum of `reporting_cost` is
    what the statement charges, to the last place.
    """
    rows = list(selectors.statement(row))
    called = ledger.named(row.organization_id, {name: {getattr(one, f"{name}_id") for one in rows} for name in _NAMED})
    yield list(HEAD)
    for one in rows:
        owners: list[Any] = []
        for name in selectors.OWNERS:
            number = getattr(one, f"{name}_id")
            owners += [guarded(called[name][number].name), number]
        yield [
            written(row.month), written(one.of_month), *owners, called["category"][one.category_id].value, one.charges,
            one.calls, one.currency, f"{one.effective_cost:f}", row.currency, f"{one.reporting_cost:f}",
        ]  # fmt: skip
