"""What a process does beside deciding: says that it lives, brings its journal to the inbox, adopts what dead ones left.

All of it in one thread with a connection of its own, so that no call waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
import psycopg

from finops.budgets.bank import Other, live, others
from finops.budgets.desk import Desk
from finops.budgets.journal import Journal, JournalFailed, abandoned
from finops.budgets.lines import PROMPT_S, Busy, Line, connect, tried
from finops.ingest.inbox import adopt, copy_segment, read_told, reckon
from finops.ingest.records import Held, Record, decode, encode, still_open

log = logging.getLogger(__name__)
EVERY_S: Final = 0.2
LIVE_EVERY_S: Final = 1.0
ADOPT_EVERY_S: Final = 2.0
# Nothing is asked of the bank meanwhile: where others are in the way, it is not tried at once again.
RECKON_EVERY_S: Final = 2.0
# A segment that old is let go of: what is still open of it is written anew.
CARRY_AFTER_S: Final = 60.0


class Owner(Protocol):
    """Whose journal it is. Each is run where calls are decided, so that nothing changes beside it."""

    def carry_on(self, ids: Iterable[str], *, old: bool) -> int | None:
        """Write anew what is open of these calls; gives the ticket to wait for. None: they stay where they are."""

    def adopted(self, calls: Sequence[Held]) -> None:
        """These calls of a dead process are ours now."""

    def lives(self, now: datetime, others: Sequence[Other]) -> None:
        """The database's time, and who else there is."""


class Keeper:
    def __init__(
        self,
        address: str,
        holder_id: UUID,
        journal: Journal,
        root: Path,
        owner: Owner,
        desk: Desk,
        on_loop: Callable[[Callable[[], Any]], Any],
    ) -> None:
        """`on_loop` runs a function where calls are decided, and gives its result."""
        self._address = address
        self._holder_id = holder_id
        self._journal = journal
        self._root = root
        self._owner = owner
        self._desk = desk
        self._on_loop = on_loop
        # Segments in the inbox whose calls are not all over: since when, and which calls.
        self._copied: dict[int, tuple[float, frozenset[str]]] = {}
        # What dead ones left and may be ours: the database's answer was lost. Nobody else is let near it meanwhile.
        self._unsure: set[Journal] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Take over what is left behind first, so that no call is refused for money that lies idle; then go on."""
        with self._connected() as connection:
            self._tell(connection)
            self._take_over(connection)
        self._thread.start()

    @property
    def copied(self) -> int:
        """Segments that the database has, and that are kept for calls that are not over."""
        return len(self._copied)

    def _connected(self) -> Line:
        # What came together while the database was away may be much: it takes as long as it goes on.
        return connect(self._address, statement_s=0)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _keep(self) -> None:
        told = looked = reckoned = 0.0
        while True:
            stopping = self._stopping.wait(EVERY_S)
            try:
                with self._connected() as connection:
                    while True:
                        now = time.monotonic()
                        if now - told >= LIVE_EVERY_S:
                            told = now
                            with connection.waits(PROMPT_S):
                                self._tell(connection)
                        if now - looked >= ADOPT_EVERY_S:
                            looked = now
                            self._take_over(connection)
                        self.bring(connection)
                        if self._desk.in_doubt and not self._unsure and now - reckoned >= RECKON_EVERY_S:
                            reckoned = now
                            self._reckon(connection)
                        if stopping:
                            return
                        stopping = self._stopping.wait(EVERY_S)
            except psycopg.OperationalError as error:
                log.warning("the journal waits for the database: %s", error)
            except Busy as error:
                log.warning("the journal waits: %s", error.message)
            except JournalFailed as error:
                log.critical("%s", error.message)
            except Exception:
                # Whatever it is, calls that are decided need somebody to bring them home.
                log.exception("the journal could not be brought home; trying again")
            if stopping:
                return

    def _tell(self, connection: Line) -> None:
        def ask() -> tuple[datetime, list[Other]]:
            with connection.transaction(), connection.cursor() as cursor:
                return live(cursor, self._holder_id), others(cursor)

        now, found = tried(ask)
        self._on_loop(lambda: self._owner.lives(now, found))

    def bring(self, connection: Line) -> None:
        """Copy what was spent since to the inbox, and let go of segments that nothing open is in: the oldest first, for
        how a call ended may stand in a later one than that it was allowed. None, while calls that are not known here
        may be ours: should we die, only our journal says so.
        """
        self._copy(connection)
        if self._unsure:
            return
        for segment, (since, ids) in list(self._copied.items()):
            carry = partial(self._owner.carry_on, ids, old=time.monotonic() - since > CARRY_AFTER_S)
            ticket = self._on_loop(carry)
            if ticket is None:
                break
            self._journal.wait(ticket)
            self._journal.forget(segment)
            del self._copied[segment]

    def _copy(self, connection: Line) -> None:
        self._journal.turn()
        self._copy_closed(connection)

    def _copy_closed(self, connection: Line) -> None:
        for segment in self._journal.closed():
            if segment not in self._copied:
                held, lines = read_told(self._holder_id, self._journal.read(segment))
                tried(partial(copy_segment, connection, self._holder_id, segment, lines))
                self._copied[segment] = time.monotonic(), held

    def _reckon(self, connection: Line) -> None:
        """Return what was granted and never heard of, while nothing is asked of the bank. What is in hand and what was
        spent until then, which the closed segments have, are seen at one moment of the event loop.
        """

        def look() -> dict[int, int]:
            self._journal.turn()
            return self._desk.in_hand()

        with self._desk.standing_still() as still:
            if still:
                in_hand = self._on_loop(look)
                self._copy_closed(connection)
                found = tried(partial(reckon, connection, self._holder_id, in_hand))
                self._desk.in_doubt = False
                if found:
                    log.warning("returned what was leased of %d accounts and is in nobody's hand", found)

    def _take_over(self, connection: Line) -> None:
        for left in chain(list(self._unsure), abandoned(self._root)):
            if left.folder == self._journal.folder:
                continue
            try:
                self._adopt(connection, left)
            except Exception as error:
                if left not in self._unsure:
                    left.close()
                if isinstance(error, JournalFailed):
                    raise
                if isinstance(error, Busy):
                    log.warning("the journal in %s is not adopted yet: %s", left.folder.name, error.message)
                    continue
                log.exception("the journal in %s could not be adopted yet", left.folder.name)

    def _adopt(self, connection: Line, left: Journal) -> None:
        """What it spent goes to the inbox, what it held is held here, and what it had free goes back."""
        dead = UUID(left.folder.name)
        records: list[Record] = []
        for segment in left.closed():
            bodies = list(left.read(segment))
            records += map(decode, bodies)
            tried(partial(copy_segment, connection, dead, segment, read_told(dead, bodies)[1]))
        calls = self._really_held(connection, dead, still_open(records).values())
        # In our journal first: should we die too, whoever comes next finds them, and asks the database whose they are.
        for call in calls:
            self._journal.append(encode(msgspec.structs.replace(call, moved_from=dead.hex)))
        self._journal.sync()
        try:
            ours = tried(partial(adopt, connection, dead, self._holder_id, calls))
        except psycopg.OperationalError:
            self._unsure.add(left)
            raise
        self._unsure.discard(left)
        if ours:
            self._on_loop(lambda: self._owner.adopted(calls))
            log.warning("took over %d open calls of %s", len(calls), dead)
        left.remove()

    @staticmethod
    def _really_held(connection: Line, holder: UUID, calls: Iterable[Held]) -> list[Held]:
        """Without what it was about to adopt when it died: that is still with whom it had it from."""
        rows = connection.execute("SELECT id FROM budgets_holder WHERE adopted_by = %s", [holder]).fetchall()
        its = {found.hex for (found,) in rows} | {""}
        return [call for call in calls if call.moved_from in its]
