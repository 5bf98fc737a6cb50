"""Features of calls that passed, where an organization has them kept: hashed counts of what was asked first, to learn
from. Nothing of a text.

On the event loop a call that is over is only remembered, and most are passed over by one look at a dictionary. A thread
reads it, hashes it and stores it. Nothing waits for that: where there is no room, or no database, it is dropped and
counted. What is sensitive, or cannot be told to be harmless, is not kept; no word of it is logged, nor what an error
says, which may quote it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import date
from typing import Final, NamedTuple

import psycopg

from finops.attribution.types import Owner
from routing.classify.hot import draw_of, signs
from routing.classify.packed import drawn_with, pack
from routing.classify.sensitivity import LABEL, judge
from routing.classify.store import DAY_FULL, STORED, SWITCHED_OFF, Row, store
from routing.classify.types import LONGEST_TASK_TYPE, Content, Source
from routing.gateway.aside import Aside
from routing.gateway.dialects.texts import read_texts
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.course import Course
from routing.gateway.routes import owner_of

log = logging.getLogger(__name__)
# Calls that wait to be read, and bytes of them: more than these are dropped.
MOST_WAITING: Final = 200
MOST_BYTES: Final = 16 * 2**20
MOST_AT_ONCE: Final = 50
# Types of which it is remembered that their day is full; all is forgotten, and asked for again, beyond.
_REMEMBERED: Final = 20_000
_SAID_BY: Final = {"explicit": Source.HEADER, "key": Source.KEY, "rule": Source.RULE}

NO_ROOM: Final = "no_room"
NOT_NEEDED: Final = "not_needed"
NOTHING_SAID: Final = "nothing_said"
SENSITIVE: Final = "sensitive"
DATABASE: Final = "database"
FAILED: Final = "failed"


class _Stratum(NamedTuple):
    """Calls that are sampled among each other. The type is what somebody said, '' where nobody did."""

    organization_id: int
    day: date
    task_type: str


class _Over(NamedTuple):
    ask: Ask
    size: int
    draw: int


class Sampled:
    """`over` is the event loop's; the rest is done aside."""

    def __init__(self, address: str) -> None:
        self._aside = Aside("sampled", address, self._store, most_at_once=MOST_AT_ONCE)
        # Each is changed by one of the two alone: bytes taken by the event loop, and given back by the thread.
        self._taken = self._given_back = 0
        # From which draw on a call is of no use, by what the database said last.
        self._full: dict[_Stratum, int] = {}
        self.counts = dict.fromkeys(
            (STORED, NO_ROOM, NOT_NEEDED, NOTHING_SAID, SENSITIVE, DAY_FULL, SWITCHED_OFF, DATABASE, FAILED), 0
        )

    # --- On the event loop ----------------------------------------------------------------------------------------
    def over(self, ask: Ask, course: Course) -> None:
        """A call is. Only of one that was answered is anything to be learned."""
        if not ask.house.sampled or not 200 <= course.status < 400:
            return
        draw = draw_of(ask.id)
        owner = ask.route.owner
        if owner is not None and self._is_full(_stratum(ask, owner), draw):
            return
        if len(self._aside) >= MOST_WAITING or self._taken - self._given_back + course.asked_bytes > MOST_BYTES:
            self.counts[NO_ROOM] += 1
            return
        self._taken += course.asked_bytes
        self._aside.put(_Over(ask, course.asked_bytes, draw))

    def close(self) -> None:
        """What is over is stored, where that can be done soon."""
        self._aside.close()

    def _is_full(self, stratum: _Stratum, draw: int) -> bool:
        most = self._full.get(stratum)
        return most is not None and draw >= most

    # --- In the thread --------------------------------------------------------------------------------------------
    def _store(self, calls: list[_Over]) -> bool:
        left = len(calls)
        try:
            rows: dict[tuple[int, date], list[Row]] = defaultdict(list)
            for call in calls:
                row = self._row(call)
                if row is None:
                    left -= 1
                else:
                    rows[call.ask.house.id, row.day].append(row)
            for (organization_id, day), its in rows.items():
                found = store(self._aside.connected(), organization_id, day, its)
                left -= len(its)
                for outcome, count in found.counts.items():
                    self.counts[outcome] += count
                self._remember(organization_id, day, found.full)
        except psycopg.Error as error:
            self.counts[DATABASE] += left
            log.warning("features of %d calls are lost: %s", left, type(error).__name__)
            self._aside.disconnect()
        except Exception as error:  # noqa: BLE001 - its text may quote what somebody wrote, and others are to be stored
            self.counts[FAILED] += left
            log.error("features of %d calls are lost: %s", left, type(error).__name__)
        finally:
            self._given_back += sum(call.size for call in calls)
        return True

    def _remember(self, organization_id: int, day: date, full: dict[str, int]) -> None:
        if len(self._full) + len(full) > _REMEMBERED:
            self._full = {}
        for task_type, draw in full.items():
            self._full[_Stratum(organization_id, day, task_type)] = draw

    def _row(self, call: _Over) -> Row | None:
        """None where it is not to be kept."""
        ask = call.ask
        whose = ask.whose
        # Where rules looked at it, that is known; else nobody guessed its type, and it is as somebody said it.
        owner = ask.route.owner or owner_of(ask.house, ask.key, ask.call, whose, ask.call.model, ask.id, ask.at)
        stratum = _stratum(ask, owner)
        if self._is_full(stratum, call.draw):
            self.counts[NOT_NEEDED] += 1
            return None
        read = read_texts(ask.call, depth=whose.depth, tags=whose.tags)
        if not read.known.words:
            self.counts[NOTHING_SAID] += 1
            return None
        label = whose.tags.get(LABEL, "")
        if judge(Content((read.asked,)), labels=[label] if label else []).stays_local:
            self.counts[SENSITIVE] += 1
            return None
        found = signs(read.known)
        packed, prospects = pack(found), ask.house.prospects
        foreseen = prospects.judge(found) if prospects is not None else None
        return Row(
            call_id=ask.id,
            at=ask.at,
            day=stratum.day,
            task_type=stratum.task_type,
            source=_said_by(owner) if stratum.task_type else "",
            draw=call.draw,
            session=drawn_with(ask.house.id, whose.session or ask.id),
            words=packed.words,
            marks=packed.marks,
            chances={} if foreseen is None else {model: round(one, 4) for model, one in foreseen.chances.items()},
            foreseen_by=0 if prospects is None else prospects.version,
        )


def _stratum(ask: Ask, owner: Owner) -> _Stratum:
    return _Stratum(ask.house.id, ask.day, _plain(owner.task_type))


def _said_by(owner: Owner) -> str:
    """Whose word the type is: the last that set it."""
    by = next((step.by for step in reversed(owner.steps) if step.dimension == "task_type"), "")
    return _SAID_BY.get(by, Source.RULE).value


def _plain(text: str) -> str:
    """As a column takes it: strangers' words may be anything."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", "").strip()[:LONGEST_TASK_TYPE]
