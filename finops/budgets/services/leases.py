"""Leases from the side of the workers, inside their transactions. What a gateway does is in `budgets.bank`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from finops.budgets import bank
from finops.budgets.bank import Accounted, Standing, Want
from finops.budgets.services import accounts
from finops.core.money import from_pico


def register_holder(*, holder_id: UUID, name: str, at: datetime) -> None:
    """A process that will hold leases says that it is there; again, that it still is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_holder (id, name, started_at, seen_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET seen_at = EXCLUDED.seen_at",
            [holder_id, name[:200], at, at],
        )


def grant(*, holder_id: UUID, wants: Sequence[Want]) -> list[Standing]:
    """As `bank.grant`, in a transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        return bank.grant(cursor, holder_id, wants)


def account_for(*, holder_id: UUID, lines: Sequence[Accounted]) -> None:
    """As `bank.account_for`. Call it in the transaction that posts the charges `spent` is for."""
    with connection.cursor() as cursor:
        bank.account_for(cursor, holder_id, lines)


def account_for_all(lines: Mapping[tuple[UUID, int], Accounted]) -> None:
    """As `account_for`, of several holders' leases, by holder and account."""
    accounts.lock(sorted({account for _, account in lines}))
    by_holder: dict[UUID, list[Accounted]] = defaultdict(list)
    for (holder, _), line in lines.items():
        by_holder[holder].append(line)
    for holder_id, its in by_holder.items():
        account_for(holder_id=holder_id, lines=its)


def offset_observed(*, organization_id: int, amounts: Mapping[int, int]) -> None:
    """Take out of what accounts observe, or add to it: picodollars by account. Call it in the transaction that posts
    what they observe, of which part was authorised.
    """
    told = [(account, from_pico(amount)) for account, amount in amounts.items() if amount]
    if told:
        accounts.append_observed(organization_id, told)


def fold_observed() -> int:
    """Add what was observed to its accounts; gives how many lines there were."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT budgets_fold()")
        row = cursor.fetchone()
        return int(row[0]) if row else 0
