"""What the database itself refuses, whatever the code above it tries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection, transaction

from tests.factories.ledger import Book, event


@contextmanager
def refused(kind: type[Error], words: str) -> Iterator[None]:
    with pytest.raises(kind, match=words), transaction.atomic():
        yield


def run(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger_charge SET effective_cost = 0",
        "UPDATE ledger_charge SET person_id = 7",
        "UPDATE ledger_charge SET occurred_at = occurred_at - interval '1 year'",
        "UPDATE ledger_charge_202610 SET reason = ''",
        "DELETE FROM ledger_charge",
        "DELETE FROM ledger_charge_202610",
    ],
)
def test_a_charge_is_never_changed_or_removed(book: Book, sql: str) -> None:
    book.take(event())
    with refused(IntegrityError, "append-only: reverse the charge instead"):
        run(sql)


# A copy of the one charge there is, but for what is wrong with it.
_COPY = """
DO $$ DECLARE c ledger_charge; BEGIN
    SELECT * INTO c FROM ledger_charge LIMIT 1;
    c.id := gen_random_uuid(); {change};
    INSERT INTO ledger_charge VALUES (c.*);
END $$
"""


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("c.currency := 'usd'", "charge_currency"),
        ("c.currency := ''", "charge_currency"),
        ("c.reporting_currency := 'US$'", "charge_currency"),
        ("c.fx_rate := 0", "charge_rate_positive"),
        ("c.fx_rate := -1", "charge_rate_positive"),
        ("c.reason := 'reversal'", "charge_reversal_says_what"),
        ("c.reverses := gen_random_uuid()", "charge_reversal_says_what"),
        ("c.effective_cost := NULL", "effective_cost"),
        ("c.organization_id := NULL", "organization_id"),
    ],
)
def test_a_charge_that_makes_no_sense_is_not_kept(book: Book, change: str, constraint: str) -> None:
    book.take(event())
    run(_COPY.format(change="NULL"))
    with refused(IntegrityError, constraint):
        run(_COPY.format(change=change))


def test_one_key_leads_to_one_charge(book: Book) -> None:
    book.take(event())
    with refused(IntegrityError, "ledger_charge_key_pkey"):
        run(
            "INSERT INTO ledger_charge_key SELECT organization_id, source_id, external_id, '', 0, gen_random_uuid(),"
            " occurred_at FROM ledger_charge_key"
        )


def test_a_charge_outside_every_month_is_refused_rather_than_lost(book: Book) -> None:
    book.take(event())
    with refused(IntegrityError, "no partition of relation"):
        run(_COPY.format(change="c.occurred_at := '1999-01-01T00:00:00Z'"))
