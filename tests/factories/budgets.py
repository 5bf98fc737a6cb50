"""Budgets to tell stories with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo

from finops.budgets import selectors
from finops.budgets.models import Budget
from finops.budgets.selectors import AccountRow
from finops.budgets.services.budgets import create_budget
from finops.budgets.types import Draft, Enforcement, Period
from tests.factories.orgs import HOUSE


def draft(limit: str = "1", **given: Any) -> Draft:
    """A dollar a month for the whole organization, hard."""
    usual: dict[str, Any] = {
        "name": "The cap",
        "limit_amount": Decimal(limit),
        "period": Period.MONTH,
        "enforcement": Enforcement.HARD,
    }
    return Draft(**usual | given)


def budget(organization_id: int, limit: str = "1", *, at: datetime, **given: Any) -> Budget:
    return create_budget(organization_id=organization_id, draft=draft(limit, **given), by=HOUSE, at=at)


def standing(row: Budget, at: datetime, subject: str = "") -> AccountRow:
    """The account of a subject whose period holds an instant."""
    rows = selectors.open_accounts_of(row.organization_id, row.id, at)
    return next(one for one in rows if one.subject == subject)


def database_address() -> str:
    """The test database's, for a process that has no Django."""
    parameters = connection.get_connection_params()
    known = ("host", "port", "user", "password", "dbname")
    return make_conninfo("", **{name: parameters[name] for name in known if parameters.get(name)})


def impatient_address() -> str:
    """As `database_address`, for a process that waits for no lock longer than a moment."""
    return make_conninfo(database_address(), options="-c lock_timeout=100")


@contextmanager
def in_the_way(statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Another's transaction, which has what a statement locked until it ends."""
    with psycopg.connect(database_address()) as other:
        other.execute(statement)
        yield other
        other.rollback()


ACCOUNTS = "SELECT FROM budgets_account FOR UPDATE"
