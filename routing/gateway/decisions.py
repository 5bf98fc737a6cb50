"""What rules did with calls, on its way into the database. Nothing waits for that; without a database it is kept for a
while, and then the oldest are dropped and counted.
"""

from __future__ import annotations

import logging
from typing import Final

import psycopg

from routing.gateway.aside import Aside
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.course import Course
from routing.rules.store import AT_ONCE, Row, store

log = logging.getLogger(__name__)
MOST_WAITING: Final = 50_000


class Decisions:
    """`over` and `keep` are the event loop's; the rest is done aside."""

    def __init__(self, address: str) -> None:
        self._aside = Aside("decisions", address, self._store, most_at_once=AT_ONCE)
        self.dropped = 0

    def over(self, ask: Ask, course: Course) -> None:
        """A call is, that a rule said something about."""
        row = _row(ask, course)
        if row is not None:
            self.keep(row)

    def keep(self, row: Row) -> None:
        """A decision, stored within a second; once for each call."""
        if len(self._aside) >= MOST_WAITING:
            self._aside.drop_oldest()
            self.dropped += 1
        self._aside.put(row)

    def close(self) -> None:
        """What is waiting is stored, where that can be done soon."""
        self._aside.close()

    def _store(self, rows: list[Row]) -> bool:
        try:
            store(self._aside.connected(), rows)
        except psycopg.Error as error:
            self._aside.disconnect()
            if isinstance(error, psycopg.OperationalError):
                # The newest stay, should there be too many.
                room = max(0, MOST_WAITING - len(self._aside))
                kept = rows[len(rows) - min(room, len(rows)) :]
                self._aside.put_back(kept)
                self.dropped += len(rows) - len(kept)
            else:
                self.dropped += len(rows)
            log.warning("%d decisions wait for the database: %s", len(self._aside), type(error).__name__)
            return False
        return True


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
