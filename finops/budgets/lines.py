"""A gateway process's lines to the database, and what it makes of their failing: plain psycopg, no Django.

A network that drops what it is given tells nobody. Where the kernel can notice that, it does (keepalives, and what
nobody acknowledges). Where something between answers for a database that it does not reach any more, only silence says
so: a line on which nothing was heard for longer than any statement may take is given up.

A database that is there and has others in the way is not away: it is asked once more, and then it is `Busy`.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled, SerializationFailure

from finops.core.errors import FinopsError

T = TypeVar("T")
_ALIVE: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8_000,
}
# One organization's budgets may be locked while their history is summed: others must not wait for it for ever.
LOCK_S: Final = 2.5
STATEMENT_S: Final = 7.5
# Longer than a statement may take, so that the database says itself what keeps it.
SILENT_S: Final = 10.0
# Who listens waits for no answer but to whether anybody is there, which they ask when they heard nothing for a while.
LISTENING_S: Final = 5.0
QUIET_S: Final = 4.0
# What is answered at once says soonest whether anybody is there.
PROMPT_S: Final = 3.0
# Nothing is said while many rows are written down.
WRITTEN_S: Final = 120.0
# Whoever falls silent in the middle of a transaction has its locks no longer than this.
_IDLE_S: Final = 10.0
TRIES: Final = 2
_IN_THE_WAY: Final = (LockNotAvailable, QueryCanceled, DeadlockDetected, SerializationFailure)


class Busy(FinopsError):
    """The database is there, and others were in the way or it took too long: nothing was changed."""

    code = "budgets.busy"
    status = 503
    retry_after_s = 1


class Line(psycopg.Connection[Any]):
    """Raises OperationalError, and is closed, once nothing was heard for `silent_s` while something is waited for."""

    silent_s = SILENT_S
    _heard_at = 0.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        # Who says how long waits for what others tell: that may be nothing.
        return super().wait(self._heard(gen) if timeout is None else gen, interval, timeout)

    def told(self, within_s: float) -> list[psycopg.Notify]:
        """What others told, as soon as it is something, or nothing after so long. Psycopg's own wait for a time keeps a
        processor busy for its last millisecond.
        """
        found = list(self.notifies(timeout=0))
        if not found:
            self._socket.poll(within_s * 1_000)
            found = list(self.notifies(timeout=0))
        return found

    @cached_property
    def _socket(self) -> select.poll:
        made = select.poll()
        made.register(self.fileno(), select.POLLIN)
        return made

    def check(self) -> None:
        """For who listens: asks whether anybody is there, where nothing was asked for a while."""
        if monotonic() - self._heard_at >= QUIET_S:
            self.execute("SELECT 1")

    @contextmanager
    def waits(self, silent_s: float) -> Iterator[None]:
        """For what is asked meanwhile: after so long without a word nobody is there."""
        before, self.silent_s = self.silent_s, silent_s
        try:
            yield
        finally:
            self.silent_s = before

    def _heard(self, steps: PQGen[T]) -> PQGen[T]:
        self._heard_at = monotonic()
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if ready:
                    self._heard_at = monotonic()
                elif monotonic() - self._heard_at >= self.silent_s:
                    self.close()
                    raise psycopg.OperationalError(f"the database has said nothing for {self.silent_s:g} s")
                wanted = steps.send(ready)
        except StopIteration as end:
            said: T = end.value
            return said


def connect(
    address: str, *, lock_s: float = LOCK_S, statement_s: float = STATEMENT_S, silent_s: float = SILENT_S
) -> Line:
    """In autocommit. The database waits so long for a lock, and works so long at a statement (0: for ever). What the
    address says itself goes before all of it.
    """
    given: dict[str, Any] = dict(conninfo_to_dict(address))
    bounds = {
        "lock_timeout": lock_s,
        "statement_timeout": statement_s,
        "idle_in_transaction_session_timeout": _IDLE_S,
    }
    options = [f"-c {name}={seconds * 1_000:.0f}" for name, seconds in bounds.items()]
    options += [given["options"]] if given.get("options") else []
    line = Line.connect(autocommit=True, **(_ALIVE | given | {"options": " ".join(options)}))
    line.silent_s = silent_s
    return line


def in_the_way(error: BaseException) -> bool:
    """Whether others ended a transaction, of which nothing was kept. Django's errors have the driver's behind them."""
    return isinstance(error, _IN_THE_WAY) or isinstance(error.__cause__, _IN_THE_WAY)


def tried(act: Callable[[], T]) -> T:
    """What `act` gives, which is one transaction: once more where others were in the way of it, but not where it took
    as long as it may. Raises Busy.
    """
    tries_left = TRIES
    while True:
        tries_left -= 1
        try:
            return act()
        except _IN_THE_WAY as error:
            if not tries_left or isinstance(error, QueryCanceled):
                raise Busy("the database has too much to do for this just now, and nothing was changed") from error
