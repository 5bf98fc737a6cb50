"""What rules did with calls, on its way into the database. Nothing waits for that; without a database it is kept for a
while, and then the oldest are dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any, Final

import psycopg

from finops.budgets.lines import SILENT_S, connect
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.course import Course
from routing.rules.store import AT_ONCE, Row, store

log = logging.getLogger(__name__)
MOST_WAITING: Final = 50_000
EVERY_S: Final = 0.5


class Decisions:
    """`over` and `keep` are the event loop's; a thread does the rest, once there is anything to do."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._waiting: deque[Row] = deque(maxlen=MOST_WAITING)
        self.dropped = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None

    def over(self, ask: Ask, course: Course) -> None:
        """A call is, that a rule said something about."""
        row = _row(ask, course)
        if row is not None:
            self.keep(row)

    def keep(self, row: Row) -> None:
        """A decision, stored within a second; once for each call."""
        self.dropped += len(self._waiting) == MOST_WAITING
        self._waiting.append(row)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="decisions", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """What is waiting is stored, where that can be done soon."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(SILENT_S)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(EVERY_S)
            try:
                while self._waiting:
                    self._store()
            except psycopg.Error as error:
                log.warning("%d decisions wait for the database: %s", len(self._waiting), type(error).__name__)
                self._disconnect()
        self._disconnect()

    def _store(self) -> None:
        rows = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE))]
        try:
            if self._connection is None:
                self._connection = connect(self._address)
            store(self._connection, rows)
        except psycopg.OperationalError:
            # The newest stay, should there be too many.
            room = MOST_WAITING - len(self._waiting)
            self.dropped += max(0, len(rows) - room)
            self._waiting.extendleft(reversed(rows[len(rows) - min(room, len(rows)) :]))
            raise
        except psycopg.Error:
            self.dropped += len(rows)
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _row(ask: Ask, course: Course) -> Row | None:
    decided, owner = ask.route.decided, ask.route.owner
    if decided.rule is None or owner is None:
        return None
    attempt, known, prospects = course.attempt, ask.route.known, ask.house.prospects
    foreseen = prospects.foresee(known) if known is not None and prospects is not None else None
    chosen = attempt.candidate.model if attempt is not None else ""
    return Row(
        organization_id=ask.house.id,
        call_id=ask.id,
        at=ask.at,
        rule_id=decided.rule.rule_id,
        rule_version=decided.rule.version,
        arm=decided.arm,
        propensity=decided.propensity,
        asked=ask.call.model,
        chosen=chosen,
        would=decided.would,
        task_type=ask.route.task_type,
        confidence=ask.route.confidence,
        session=ask.whose.session,
        team_id=owner.team_id,
        project_id=owner.project_id,
        agent_id=owner.agent_id,
        customer_id=owner.customer_id,
        tokens=ask.route.tokens,
        difficulty=foreseen.difficulty if foreseen is not None else None,
        chance=foreseen.chances.get(chosen) if foreseen is not None else None,
        why=decided.why,
        passed_over=decided.passed_over,
    )
