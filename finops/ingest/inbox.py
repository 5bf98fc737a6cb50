"""The gateway's side of the inbox: plain psycopg, no Django. The worker's is `services/inbox.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg

from finops.budgets.bank import Accounted, account_for
from finops.budgets.lines import WRITTEN_S, Line
from finops.core.errors import FinopsError
from finops.core.money import LEDGER_PLACES, from_pico, to_pico
from finops.ingest.records import Held, HeldHead, SpentHead, read_head

_COPY = "COPY ingest_inbox (organization_id, source_id, holder_id, accounts, spent, body) FROM STDIN"


def read_told(holder_id: UUID, bodies: Iterable[bytes]) -> tuple[frozenset[str], list[str]]:
    """Which calls a holder's records say were allowed, and a line for the inbox of each that says what was spent. The
    rest of a record is not looked at: this goes on beside the calls.
    """
    holder = holder_id.hex
    held, lines = [], []
    for body in bodies:
        head = read_head(body)
        if isinstance(head, SpentHead):
            lines.append(_line(holder, head, body))
        elif isinstance(head, HeldHead):
            held.append(head.id)
    return frozenset(held), lines


def _line(holder: str, head: SpentHead, body: bytes) -> str:
    """Of COPY's text format; none of these can hold what it escapes."""
    accounts = str(head.accounts)[1:-1]
    return (
        f"{head.organization_id}\t{head.source_id}\t{holder}\t{{{accounts}}}\t{head.spent}e-{LEDGER_PLACES}\t"
        f"\\\\x{body.hex()}\n"
    )


def copy_segment(connection: Line, holder_id: UUID, segment: int, lines: Sequence[str]) -> bool:
    """Put what a closed segment of a journal says was spent (see `read_told`) into the inbox, once: False when it was
    there already.

    Segments of one holder are copied in their order.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_copied AS c (holder_id, segment) VALUES (%s, %s) ON CONFLICT (holder_id)"
            " DO UPDATE SET segment = EXCLUDED.segment WHERE c.segment < EXCLUDED.segment",
            [holder_id, segment],
        )
        if not cursor.rowcount:
            return False
        if lines:
            with connection.waits(WRITTEN_S), cursor.copy(_COPY) as copy:
                copy.write("".join(lines))
        return True


class MoreInHand(FinopsError):
    """A process has more in hand than the database has leased to it: a bug, stopped before it costs anybody money."""

    code = "ingest.more_in_hand"
    status = 500


def reckon(connection: psycopg.Connection[Any], holder: UUID, in_hand: Mapping[int, int]) -> int:
    """Return what is leased to a holder beyond what it has `in_hand` of each account and what the inbox says was spent:
    it was granted, and the answer was lost. Its whole journal must be in the inbox. Gives how many accounts there were.

    Raises MoreInHand.
    """
    with connection.transaction(), connection.cursor() as cursor:
        leased, spent = _locked(cursor, holder)
        over = {account: amount - spent.get(account, 0) - in_hand.get(account, 0) for account, amount in leased.items()}
        if min(over.values(), default=0) < 0 or set(in_hand) - set(leased):
            raise MoreInHand("more is in hand than the database has leased")
        lines = [Accounted(account, 0, amount) for account, amount in sorted(over.items()) if amount]
        account_for(cursor, holder, lines)
        return len(lines)


def adopt(connection: psycopg.Connection[Any], dead: UUID, adopter: UUID, held: Iterable[Held]) -> bool:
    """Take over what a dead holder held; its journal must be in the inbox already. What it had free goes back, what was
    spent stays with it until it is booked. False when somebody else was first.
    """
    amounts: Mapping[int, int] = _per_account(held)
    with connection.transaction(), connection.cursor() as cursor:
        _, spent = _locked(cursor, dead)
        accounts = sorted({*amounts, *spent})
        cursor.execute(
            "SELECT budgets_adopt(%s, %s, %s::bigint[], %s::numeric[], %s::numeric[])",
            [
                dead,
                adopter,
                accounts,
                [from_pico(amounts.get(one, 0)) for one in accounts],
                [from_pico(spent.get(one, 0)) for one in accounts],
            ],
        )
        row = cursor.fetchone()
        return bool(row and row[0])


def _locked(cursor: psycopg.Cursor[Any], holder: UUID) -> tuple[dict[int, int], dict[int, int]]:
    """What is leased to a holder, and what the inbox says it spent of that, by account. Whoever books locks the same
    accounts, so that what is in the inbox is what is not yet booked.
    """
    cursor.execute(
        "SELECT FROM budgets_account WHERE id IN (SELECT account_id FROM budgets_lease"
        " WHERE holder_id = %s AND amount > 0) ORDER BY id FOR UPDATE",
        [holder],
    )
    cursor.execute("SELECT account_id, amount FROM budgets_lease WHERE holder_id = %s AND amount > 0", [holder])
    leased = {account: to_pico(amount) for account, amount in cursor.fetchall()}
    cursor.execute(
        "SELECT account, sum(spent) FROM ingest_inbox, unnest(accounts) AS account WHERE holder_id = %s GROUP BY 1",
        [holder],
    )
    return leased, {account: to_pico(amount) for account, amount in cursor.fetchall()}


def _per_account(held: Iterable[Held]) -> dict[int, int]:
    amounts: dict[int, int] = defaultdict(int)
    for one in held:
        for account in one.accounts:
            amounts[account] += one.amount - one.charged
    return amounts
