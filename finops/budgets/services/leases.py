"""Leases at the database: slices of accounts given to gateway processes, accounted for, and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from finops.core.money import from_pico, to_pico


class Want(NamedTuple):
    """Between `least` and `most` picodollars of an account are wanted."""

    account_id: int
    least: int
    most: int


class Standing(NamedTuple):
    """How an account stands after a grant was asked for, in picodollars. `free` is what could still be granted."""

    account_id: int
    granted: int
    free: int
    limit: int
    authorised: int
    leased: int
    observed: int


class Accounted(NamedTuple):
    """Of a lease, this much was `spent` (and becomes authorised) and this much goes back."""

    account_id: int
    spent: int
    returned: int


def register_holder(*, holder_id: UUID, name: str, at: datetime) -> None:
    """A process that will hold leases says that it is there; again, that it still is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_holder (id, name, started_at, seen_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET seen_at = EXCLUDED.seen_at",
            [holder_id, name[:200], at, at],
        )


def grant(*, holder_id: UUID, wants: Sequence[Want]) -> list[Standing]:
    """Lease of every account what is wanted, or of none where one has no room for its least. Answers how each stands,
    in the order of their ids. An account that does not exist is not answered, and nothing is granted beside it.
    """
    if not wants:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM budgets_grant(%s, %s, %s, %s)",
            [
                holder_id,
                [want.account_id for want in wants],
                [from_pico(want.least) for want in wants],
                [from_pico(want.most) for want in wants],
            ],
        )
        return [Standing(row[0], *map(to_pico, row[1:])) for row in cursor.fetchall()]


def account_for(*, holder_id: UUID, lines: Sequence[Accounted]) -> None:
    """A holder accounts for parts of its leases: spent becomes authorised, returned is free for others.

    Call it in the transaction that posts the charges `spent` is for. The database refuses more than the holder has.
    """
    if not lines:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT budgets_settle(%s, %s, %s, %s)",
            [
                holder_id,
                [line.account_id for line in lines],
                [from_pico(line.spent) for line in lines],
                [from_pico(line.returned) for line in lines],
            ],
        )


def fold_observed() -> int:
    """Add what was observed to its accounts; gives how many lines there were."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT budgets_fold()")
        row = cursor.fetchone()
        return int(row[0]) if row else 0
