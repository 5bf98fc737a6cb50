"""Brings the guards of all processes together, through the database: plain psycopg, no Django.

Every fifth of a second a process tells on `budgets_pulse` what happened in it, and hears what happened in others; on
`budgets_stopped` it hears of stops the moment they are committed. Breakers that trip are written at once. Slices of
limits by the minute are asked for when a call lacks one, and what was not used of them goes back with the next pulse.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import psycopg

from finops.budgets.guard import Guard, Lacking, RateLimited, Refusal, Trip
from finops.budgets.guard.answers import RateKey, RateWant, Stop
from finops.budgets.guard.slices import WINDOW_S, Granted, Taken
from finops.budgets.lines import LISTENING_S, Line, connect, in_the_way, tried
from finops.budgets.types import Call

_log = logging.getLogger(__name__)
PULSE: Final = "budgets_pulse"
STOPPED: Final = "budgets_stopped"
PULSE_S: Final = 0.2
# How long a trip waits at most until it is written, and how long this takes to end.
_TURN_S: Final = 0.05
_RETRY_S: Final = 0.5
# Of one pulse: what is beyond is told by the next.
_MOST_MESSAGES: Final = 8
# Rates are asked for again when others were quicker with what was given.
_TURNS: Final = 5
# No minute is locked for longer than a moment: who waits for one goes on soon.
_LOCK_S: Final = 1.0
_STATEMENT_S: Final = 4.0

_GRANT: Final = """
SELECT bucket, granted, free, retry_s FROM budgets_rate_grant(%s::int[], %s::text[], %s::text[], %s::text[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s)
"""
_RETURN: Final = """
SELECT budgets_rate_return(%s::int[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])
"""
_TRIP: Final = "SELECT budgets_trip(%s, %s, %s, %s, %s, %s::jsonb)"
_OPEN: Final = """
SELECT budgets_stop_told(s) FROM budgets_stop AS s
WHERE lifted_at IS NULL AND (until IS NULL OR until > clock_timestamp()) ORDER BY id
"""


class Pulse:
    """One process's guard among the others. `cut` is told of calls under way that were stopped, in this
    one's thread; where it fails it is told again.
    """

    def __init__(
        self,
        address: str,
        guard: Guard,
        *,
        cut: Callable[[list[str], Stop], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._guard = guard
        self._cut = cut
        self._clock = clock
        self._asking = threading.Lock()
        self._connection: Line | None = None
        self._stopping = threading.Event()
        self._anew = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        # What could not be told, written or cut yet.
        self._trips: list[Trip] = []
        self._unused: list[Taken] = []
        self._messages: list[str] = []
        self._told_at = 0.0
        self._cuts: list[tuple[list[str], Stop]] = []
        self._late: list[tuple[str, Stop]] = []

    def start(self) -> None:
        """From now on, in a thread; returns when all stops are known that there are, or raises OperationalError."""
        self._thread.start()
        if not self._ready.wait(10):
            raise psycopg.OperationalError("the database cannot be heard")

    def cut_anew(self) -> None:
        """What was told of calls that were cut may not have been heard: whatever is stopped is cut once more."""
        self._anew.set()

    def close(self) -> None:
        """Tell what is left to be told, and end."""
        self._stopping.set()
        self._thread.join()
        with self._asking:
            if self._connection is not None:
                self._connection.close()

    def check(
        self,
        organization_id: int,
        call_id: str,
        call: Call,
        *,
        tokens: int,
        fingerprint: str = "",
        depth: int = 0,
    ) -> Refusal | None:
        """As `Guard.check`, asking for what is lacking. Raises what `fetch` does."""
        lacking: list[RateWant] = []
        for _ in range(_TURNS):
            found = self._guard.check(
                organization_id,
                call_id,
                call,
                tokens=tokens,
                fingerprint=fingerprint,
                depth=depth,
                now=self._clock(),
            )
            if not isinstance(found, Lacking):
                return found
            refused = self.fetch(found)
            if refused is not None:
                return refused
            lacking = list(found.wants)
        key, limit, least, _ = lacking[0]
        return RateLimited(key.dimension, key.subject, key.measure, limit, least, PULSE_S)

    def fetch(self, lacking: Lacking) -> RateLimited | None:
        """Ask the database for what is lacking; the refusal, where there is not as much. Raises OperationalError when
        the database is away, and Busy.
        """
        wants = sorted(lacking.wants)
        with self._asking:
            asked_at = self._clock()
            amounts = [[want.limit for want in wants], [want.least for want in wants], [want.most for want in wants]]
            asked = [*_keys([want.key for want in wants]), *amounts, WINDOW_S]
            rows = tried(partial(self._asked, asked))
        grants = [Granted(want.key, *row) for want, row in zip(wants, rows, strict=True)]
        return self._guard.granted(grants, wants, asked_at=asked_at)

    def _asked(self, asked: list[Any]) -> list[Any]:
        """What is granted; over a new connection, should the database have closed the last one. What is granted twice
        counts twice, for a minute.
        """
        if self._connection is not None:
            try:
                return self._connection.execute(_GRANT, asked).fetchall()
            except psycopg.OperationalError:
                if not self._connection.closed:
                    raise
        self._connection = self._connect()
        return self._connection.execute(_GRANT, asked).fetchall()

    def _connect(self) -> Line:
        return connect(self._address, lock_s=_LOCK_S, statement_s=_STATEMENT_S, silent_s=LISTENING_S)

    def _run(self) -> None:
        """Until it is closed, through lost connections: whoever comes back reads anew what is stopped."""
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._listen(connection)
                    while not self._stopping.is_set():
                        if self._anew.is_set():
                            self._anew.clear()
                            self._listen(connection)
                        self._hear(connection)
                        self._write_trips(connection)
                        self._cut_all()
                        connection.check()
                    self._tell(connection)
            except psycopg.Error as error:
                _log.warning("the pulse is lost: %s", error)
                self._stopping.wait(_RETRY_S)
            except Exception:  # noqa: BLE001 - logged, and tried again
                # Whatever it is, no stop would be heard any more.
                _log.exception("the pulse is lost; trying again")
                self._stopping.wait(_RETRY_S)

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(f"LISTEN {PULSE}")
        connection.execute(f"LISTEN {STOPPED}")
        told = [one for (one,) in connection.execute(_OPEN).fetchall()]
        self._guard.stops_are([_stop(one) for one in told], self._clock())
        for one in told:
            self._take_stop(one)
        self._ready.set()
        self._told_at = self._clock()

    def _hear(self, connection: Line) -> None:
        """For one turn, or until somebody told something."""
        own = connection.info.backend_pid
        for told in connection.told(_TURN_S):
            try:
                if told.channel == STOPPED:
                    self._take_stop(json.loads(told.payload))
                elif told.pid != own:
                    self._guard.merge(base64.b64decode(told.payload, validate=True), self._clock())
            except (ValueError, KeyError, TypeError, binascii.Error):
                # Whoever may write to the database may say anything here.
                _log.warning("something else was told on %s", told.channel)
        if self._clock() - self._told_at >= PULSE_S:
            self._tell(connection)

    def _take_stop(self, told: dict[str, Any]) -> None:
        stop = _stop(told)
        if told["lifted"]:
            self._guard.lifted(stop)
            return
        calls = self._guard.stopped(stop, self._clock())
        if calls:
            self._cuts.append((calls, stop))

    def _cut_all(self) -> None:
        """Tell whoever cuts calls, and again next turn should they fail. Calls that were stopped while they waited for
        their money are told of with the next turn, however short this one was: they are in the book before the guard
        has let them in.
        """
        self._cuts += [([call_id], stop) for call_id, stop in self._late]
        self._late = self._guard.late()
        while self._cuts and self._cut is not None:
            try:
                self._cut(*self._cuts[0])
            except Exception:  # noqa: BLE001 - whatever becomes of it there, the next stop must be heard here
                _log.warning("calls could not be cut; they will be", exc_info=True)
                return
            self._cuts.pop(0)

    def _tell(self, connection: psycopg.Connection[Any]) -> None:
        self._told_at = self._clock()
        while len(self._messages) < _MOST_MESSAGES and (delta := self._guard.delta()):
            self._messages.append(base64.b64encode(delta).decode("ascii"))
        if self._messages:
            # Said again after a lost connection, it is counted once.
            connection.execute("SELECT pg_notify(%s, told) FROM unnest(%s::text[]) AS told", [PULSE, self._messages])
            self._messages = []
        self._give_back(connection)

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        """What was not used of slices. Where nobody knows whether it was taken back, it is not given back again: too
        little of a minute, never too much.
        """
        unused, self._unused = [*self._unused, *self._guard.unused(self._clock())], []
        if not unused:
            return
        amounts = [[one.bucket for one in unused], [one.amount for one in unused]]
        try:
            connection.execute(_RETURN, [*_keys([one.key for one in unused]), *amounts])
        except psycopg.OperationalError as error:
            if not in_the_way(error):
                raise
            self._unused = unused

    def _write_trips(self, connection: psycopg.Connection[Any]) -> None:
        self._trips += self._guard.trips()
        while self._trips:
            one = self._trips[0]
            told = json.dumps({"measure": one.measure, "threshold": one.threshold, "seen": one.seen})
            try:
                connection.execute(
                    _TRIP, [one.organization_id, one.dimension, one.subject, one.reason, one.pause_s, told]
                )
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                # Nothing that a database takes; here it is stopped all the same.
                _log.warning("a trip cannot be written: %s", error)
            except psycopg.OperationalError as error:
                if not in_the_way(error):
                    raise
                # With the next turn: stops are to be heard meanwhile.
                return
            self._trips.pop(0)


def _stop(told: dict[str, Any]) -> Stop:
    left = told["left_s"]
    return Stop(
        int(told["id"]),
        int(told["organization"]),
        str(told["dimension"]),
        str(told["subject"]),
        str(told["kind"]),
        str(told["reason"]),
        told["until"],
        None if left is None else float(left),
    )


def _keys(of: Sequence[RateKey]) -> list[list[Any]]:
    return [[one.organization_id for one in of], *([str(one[n]) for one in of] for n in (1, 2, 3))]
