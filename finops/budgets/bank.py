"""The database's side of leases, for any process: plain psycopg, no Django. The rules are in `sql/0001_accounts.sql`.

Processes tell each other over two channels: `budgets_recall` asks whoever has idle money of some accounts to return it
(`1,2,3`, and ` <holder>` where one asks that is to be spared), `budgets_returned` says that some came back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from decimal import Decimal
from queue import LifoQueue
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from finops.budgets.lines import LISTENING_S, PROMPT_S, Busy, Line, connect, tried
from finops.budgets.rules import opening
from finops.budgets.types import Account, Terms
from finops.core.money import from_pico, to_pico

_log = logging.getLogger(__name__)
T = TypeVar("T")
RECALL: Final = "budgets_recall"
RETURNED: Final = "budgets_returned"
# NOTIFY takes at most 8,000 bytes; a call concerns a few accounts.
MOST_NAMED: Final = 300
# Accounts that are looked at by one statement.
_AT_ONCE: Final = 1_000
_TURN_S: Final = 0.5
# Cold accounts wait for a disk each; a few at once share its syncs.
CONNECTIONS: Final = 4
# Every process says once a second that it lives.
_DEAD_AFTER_S: Final = 5
_OPEN: Final = f"SELECT * FROM budgets_open_and_grant(%s, %s, {opening.ARGUMENTS}, %s, %s::numeric[])"  # noqa: S608 - constants
_OTHERS: Final = """
SELECT id, address, seen_at > now() - make_interval(secs => %s), adopted_by FROM budgets_holder
WHERE address <> '' AND seen_at > now() - interval '2 days' ORDER BY id
"""


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


class Other(NamedTuple):
    """A holder: where it is reached, whether it was heard of lately, and who adopted it."""

    id: UUID
    address: str
    alive: bool
    adopted_by: UUID | None


class Cursor(Protocol):
    """What both psycopg's and Django's cursors do."""

    def execute(self, sql: Any, params: Any = ..., /) -> Any: ...
    def fetchall(self) -> list[Any]: ...


def grant(cursor: Cursor, holder_id: UUID, wants: Sequence[Want]) -> list[Standing]:
    """Lease of every account what is wanted, or of none where one has no room for its least. Answers how each stands,
    in the order of their ids. An account that does not exist is not answered, and nothing is granted beside it.
    """
    if not wants:
        return []
    cursor.execute(
        "SELECT * FROM budgets_grant(%s, %s::bigint[], %s::numeric[], %s::numeric[])",
        [
            holder_id,
            [want.account_id for want in wants],
            [from_pico(want.least) for want in wants],
            [from_pico(want.most) for want in wants],
        ],
    )
    return [Standing(row[0], *map(_pico, row[1:])) for row in cursor.fetchall()]


def account_for(cursor: Cursor, holder_id: UUID, lines: Sequence[Accounted]) -> None:
    """A holder accounts for parts of its leases. The database refuses more than the holder has."""
    if lines:
        cursor.execute(
            "SELECT budgets_settle(%s, %s::bigint[], %s::numeric[], %s::numeric[])",
            [
                holder_id,
                [line.account_id for line in lines],
                [from_pico(line.spent) for line in lines],
                [from_pico(line.returned) for line in lines],
            ],
        )


def live(cursor: Cursor, holder_id: UUID) -> datetime:
    """Say that a holder is alive; gives the database's time."""
    cursor.execute("UPDATE budgets_holder SET seen_at = now() WHERE id = %s RETURNING seen_at", [holder_id])
    found: datetime = cursor.fetchall()[0][0]
    return found


def others(cursor: Cursor) -> list[Other]:
    """Holders that live, and dead ones of late with whoever took over what they left."""
    cursor.execute(_OTHERS, [_DEAD_AFTER_S])
    return [Other(*row) for row in cursor.fetchall()]


def _pico(amount: Decimal) -> int:
    return to_pico(amount)


class Bank:
    """One process's connections to the leases; any thread may use it, and a few at once. What is asked of it raises
    OperationalError when the database is away, and Busy.
    """

    def __init__(self, address: str, holder_id: UUID, name: str, *, reached_at: str = "") -> None:
        """`reached_at` is where others find this process (see `routing.gateway`), '' for nowhere."""
        self.holder_id = holder_id
        self._address = address
        # What is free, the one last used on top; None stands for one that is not connected yet.
        self._free: LifoQueue[Line | None] = LifoQueue()
        for _ in range(CONNECTIONS):
            self._free.put(None)
        self._done(
            lambda cursor: cursor.execute(
                "INSERT INTO budgets_holder (id, name, address, started_at, seen_at) VALUES (%s, %s, %s, now(), now())",
                [holder_id, name[:200], reached_at],
            )
        )
        self._stopping = threading.Event()
        self._listener: threading.Thread | None = None

    def _done(self, act: Callable[[psycopg.Cursor[Any]], T]) -> T:
        """What is done in one transaction, begun anew where others were in the way."""

        def once() -> T:
            with self._cursor() as cursor:
                return act(cursor)

        return tried(once)

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor in a transaction; on a new connection, should the last have been lost since. What was under way then
        is not tried again: its outcome is not known.
        """
        connection = self._free.get()
        try:
            with ExitStack() as stack:
                if connection is not None:
                    try:
                        with connection.waits(PROMPT_S):
                            stack.enter_context(connection.transaction())
                    except psycopg.OperationalError:
                        # The database closed it, and may be there again: nothing was asked yet.
                        connection.close()
                        connection = None
                if connection is None:
                    connection = connect(self._address)
                    stack.enter_context(connection.transaction())
                yield stack.enter_context(connection.cursor())
        finally:
            self._free.put(connection)

    def grant(self, wants: Sequence[Want]) -> list[Standing]:
        return self._done(lambda cursor: grant(cursor, self.holder_id, wants))

    def account_for(self, lines: Sequence[Accounted]) -> None:
        """Account for parts of leases, and tell who may be waiting for what came back."""

        def act(cursor: psycopg.Cursor[Any]) -> None:
            account_for(cursor, self.holder_id, lines)
            _notify(cursor, RETURNED, [line.account_id for line in lines if line.returned])

        if lines:
            self._done(act)

    def over(self, accounts: Sequence[int]) -> list[int]:
        """Those of which more was given out than may be by now."""
        found = []
        for start in range(0, len(accounts), _AT_ONCE):
            standing = self.grant([Want(account, 0, 0) for account in accounts[start : start + _AT_ONCE]])
            found += [one.account_id for one in standing if one.free < 0]
        return found

    def open(
        self, organization_id: int, token: UUID | None, wanted: Mapping[Account, tuple[Terms, int]]
    ) -> dict[Account, Standing]:
        """Open accounts where they are not, and lease up to an amount of each. Nothing when `token` is not of the
        budgets in force any more.
        """
        columns = opening.columns([(terms, account) for account, (terms, _) in wanted.items()])
        most = [from_pico(amount) for _, amount in wanted.values()]
        asked = [organization_id, token, *columns, self.holder_id, most]
        rows = self._done(lambda cursor: cursor.execute(_OPEN, asked).fetchall())
        return {Account(*row[:3]): Standing(row[3], *map(_pico, row[4:])) for row in rows}

    def announce(self, organization_id: int, kind: str, key: str, details: dict[str, Any]) -> None:
        """As `audit.services.announce`."""
        self._done(
            lambda cursor: cursor.execute(
                "INSERT INTO audit_signal (organization_id, kind, key, details) VALUES (%s, %s, %s, %s)",
                [organization_id, kind, key[:300], Jsonb(details)],
            )
        )

    def recall(self, accounts: Sequence[int]) -> bool:
        """Ask all others for what they have idle of these accounts; False when no other has any of them."""

        def act(cursor: psycopg.Cursor[Any]) -> bool:
            cursor.execute(
                "SELECT 1 FROM budgets_lease WHERE account_id = ANY(%s) AND holder_id <> %s AND amount > 0 LIMIT 1",
                [list(accounts), self.holder_id],
            )
            if not cursor.fetchall():
                return False
            _notify(cursor, RECALL, accounts, f" {self.holder_id}")
            return True

        return self._done(act)

    def listen(
        self,
        recalled: Callable[[list[int]], None],
        returned: Callable[[list[int]], None],
        listening: Callable[[], None],
    ) -> None:
        """From now on, in a thread with a connection of its own, say what others ask for and return. `listening` is
        called whenever that begins, also anew: what was told before was not heard.
        """
        ready = threading.Event()
        self._listener = threading.Thread(target=self._hear, args=(recalled, returned, listening, ready), daemon=True)
        self._listener.start()
        ready.wait(10)

    def _hear(
        self,
        recalled: Callable[[list[int]], None],
        returned: Callable[[list[int]], None],
        listening: Callable[[], None],
        ready: threading.Event,
    ) -> None:
        """Until it is closed, through lost connections."""
        while not self._stopping.is_set():
            try:
                with connect(self._address, silent_s=LISTENING_S) as connection:
                    connection.execute(f"LISTEN {RECALL}")
                    connection.execute(f"LISTEN {RETURNED}")
                    listening()
                    ready.set()
                    while not self._stopping.is_set():
                        for told in connection.told(_TURN_S):
                            named, _, by = told.payload.partition(" ")
                            accounts = [int(one) for one in named.split(",") if one]
                            if told.channel == RETURNED:
                                returned(accounts)
                            elif by != str(self.holder_id):
                                recalled(accounts)
                        connection.check()
            except (psycopg.OperationalError, Busy) as error:
                _log.warning("the bank cannot be heard: %s", error)
                self._stopping.wait(_TURN_S)
            except Exception:  # noqa: BLE001 - logged, and tried again
                # Whoever hears no more gives nothing back, and others are refused for it.
                _log.exception("the bank could not be heard; trying again")
                self._stopping.wait(_TURN_S)

    def close(self) -> None:
        self._stopping.set()
        if self._listener is not None:
            self._listener.join()
        for _ in range(CONNECTIONS):
            connection = self._free.get()
            if connection is not None:
                connection.close()


def _notify(cursor: Cursor, channel: str, accounts: Iterable[int], by: str = "") -> None:
    named = [str(account) for account in accounts][:MOST_NAMED]
    if named:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, ",".join(named) + by])
