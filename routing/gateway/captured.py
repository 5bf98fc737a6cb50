"""Contents of calls that are kept, where an organization has switched that on: a share of its calls, as they were asked
and answered.

On the event loop a call that is chosen is only remembered: its body, and what its client is told. A thread seals it and
stores it. Nothing waits for that: where there is no room, or no database, it is dropped and counted. No word of it is
logged, nor what an error says, which may quote it.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg

from finops.core.money import pico_text
from routing.captures.hot import Exchange, chosen, seal, sealer
from routing.captures.store import DAY_FULL, STORED, SWITCHED_OFF, Row, store
from routing.configuration.wire import Capturing
from routing.gateway.aside import Aside
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.client import Client, Send
from routing.gateway.proxy.course import Course

log = logging.getLogger(__name__)
# Bytes of contents in one process: of calls under way, and of those that wait for the database.
MOST_KEPT: Final = 64 * 2**20
# What is in memory of a call beside its contents, roughly: calls that say little are not without number.
BESIDE: Final = 16 * 2**10
MOST_AT_ONCE: Final = 50
# An organization that has all it wants of a day is not asked about for so long.
FULL_FOR_S: Final = 60.0
LONGEST: Final = 200
# Of a client's headers those that say how its body is meant and within what it stays, and none that could be a
# credential.
_MEANT: Final = (
    "content-type", "anthropic-version", "anthropic-beta", "openai-beta", "x-capstan-only", "x-capstan-max-price",
)  # fmt: skip
_SECRET: Final = re.compile(r"key|token|secret|sig|auth|password|credential")
_OWNERS: Final = ("team", "person", "project", "agent", "customer", "key")

TOO_LARGE: Final = "too_large"
NO_ROOM: Final = "no_room"
UNANSWERED: Final = "unanswered"
NOT_MEANT: Final = "not_meant"
DATABASE: Final = "database"
FAILED: Final = "failed"


class Kept:
    """What is kept of one call under way."""

    __slots__ = (
        "answer", "answer_type", "ask", "at", "body", "client", "ended", "full", "room", "rule", "size",
    )  # fmt: skip

    def __init__(
        self, rule: Capturing, client: Client, ask: Ask, body: bytes, at: datetime, room: Callable[[int], bool]
    ) -> None:
        """`room` says whether there is any for so many bytes more, which are then taken."""
        self.rule = rule
        self.client = client
        self.ask = ask
        self.body = body
        self.at = at
        self.room = room
        self.answer_type = ""
        self.answer = bytearray()
        self.size = len(body) + BESIDE
        # The answer's end was passed on; more of it came than is kept.
        self.ended = self.full = False

    def whole(self, course: Course) -> bool:
        """Whether that is all of an answer. A stream that broke off has an end too, which says so."""
        return self.ended and not self.full and (not course.code or course.status >= 400)

    def hearing(self, send: Send) -> Send:
        async def hears(message: dict[str, Any]) -> None:
            await send(message)
            self._heard(message)

        return hears

    def _heard(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            self.answer_type = found[0].decode("latin-1")[:LONGEST] if found else ""
            return
        piece = message["body"]
        if piece and not self.full:
            part = piece[: self.rule.most_bytes - len(self.answer)]
            if self.room(len(part)):
                self.answer += part
                self.size += len(part)
                self.full = len(part) < len(piece)
            else:
                self.full = True
        self.ended = not message["more_body"]


class _Over(NamedTuple):
    kept: Kept
    course: Course
    took_s: float


class Captured:
    """`begin` and `over` are the event loop's; the rest is done aside."""

    def __init__(self, address: str, secrets: tuple[str, ...], now: Callable[[], datetime]) -> None:
        self._secrets = secrets
        self._now = now
        # Each is changed by one of the two alone: bytes taken by the event loop, and given back by the thread.
        self._taken = self._given_back = 0
        self._full: dict[int, float] = {}
        self._aside = Aside("captured", address, self._store, most_at_once=MOST_AT_ONCE)
        # As above, each by one of the two.
        self.counts = dict.fromkeys(
            (STORED, TOO_LARGE, NO_ROOM, UNANSWERED, NOT_MEANT, DAY_FULL, SWITCHED_OFF, DATABASE, FAILED), 0
        )

    @property
    def open_bytes(self) -> int:
        return self._taken - self._given_back

    # --- On the event loop ----------------------------------------------------------------------------------------
    def begin(self, rule: Capturing, client: Client, ask: Ask, body: bytes, course: Course) -> None:
        """A call is made; whether its contents are kept is seen here."""
        if not chosen(ask.id, rule.share) or time.monotonic() < self._full.get(ask.house.id, 0.0):
            return
        if len(body) > rule.most_bytes:
            self.counts[TOO_LARGE] += 1
        elif not self._room(len(body) + BESIDE):
            self.counts[NO_ROOM] += 1
        else:
            course.kept = kept = Kept(rule, client, ask, body, self._now(), self._room)
            client.tap(kept.hearing)

    def over(self, course: Course) -> None:
        """A call of which something is kept is over."""
        kept = course.kept
        assert kept is not None  # noqa: S101 - it is asked for no other
        # Whoever else has the course has nothing of its contents.
        course.kept = None
        if not course.sent_at or not course.status:
            # Nobody was asked, or nobody was told anything: there is nothing to compare another answer with.
            self.counts[UNANSWERED] += 1
            self._taken -= kept.size
            return
        self._aside.put(_Over(kept, course, time.monotonic() - course.began))

    def close(self) -> None:
        """What is over is stored, where that can be done soon."""
        self._aside.close()

    def _room(self, size: int) -> bool:
        if self.open_bytes + size > MOST_KEPT:
            return False
        self._taken += size
        return True

    # --- In the thread --------------------------------------------------------------------------------------------
    def _store(self, calls: list[_Over]) -> bool:
        left = len(calls)
        try:
            rows: dict[int, list[Row]] = defaultdict(list)
            for call in calls:
                row = self._row(call)
                if row is None:
                    self.counts[NOT_MEANT] += 1
                    left -= 1
                else:
                    rows[call.kept.ask.house.id].append(row)
            for organization_id, its in rows.items():
                self._count(organization_id, store(self._aside.connected(), organization_id, its))
                left -= len(its)
        except psycopg.Error as error:
            self.counts[DATABASE] += left
            log.warning("%d captures are lost: %s", left, type(error).__name__)
            self._aside.disconnect()
        except Exception as error:  # noqa: BLE001 - its text may quote what somebody wrote, and others are to be stored
            self.counts[FAILED] += left
            log.error("%d captures are lost: %s", left, type(error).__name__)
        finally:
            self._given_back += sum(call.kept.size for call in calls)
        return True

    def _count(self, organization_id: int, outcomes: Mapping[str, int]) -> None:
        for outcome, count in outcomes.items():
            self.counts[outcome] += count
        if outcomes.get(DAY_FULL):
            self._full[organization_id] = time.monotonic() + FULL_FOR_S

    def _row(self, call: _Over) -> Row | None:
        """None where it is not of what is meant to be kept: only now it is known whose it is."""
        kept, course = call.kept, call.course
        ask, rule, attempt = kept.ask, kept.rule, course.attempt
        assert attempt is not None  # noqa: S101 - somebody was asked
        event = attempt.allowance.held.event
        owner = ask.house.owner(event)
        if rule.task_types and owner.task_type not in rule.task_types:
            return None
        if rule.project_ids and owner.project_id not in rule.project_ids:
            return None
        settled = attempt.settlement
        exchange = Exchange(
            call_id=ask.id,
            at=kept.at,
            dialect=ask.dialect.name,
            path=kept.client.path,
            query=_without_secrets(ask.query),
            headers={name: kept.client.headers[name] for name in _MEANT if name in kept.client.headers},
            model=ask.call.model,
            body=kept.body,
            status=course.status,
            code=course.code,
            answer_type=kept.answer_type,
            answer=bytes(kept.answer),
            whole=kept.whole(course),
            stream=ask.call.stream,
            upstream=attempt.candidate.upstream.name,
            provider=attempt.candidate.upstream.provider,
            upstream_model=attempt.candidate.model,
            tries=course.tries,
            first_byte_s=course.first_byte_s,
            took_s=call.took_s,
            task_type=owner.task_type,
            session=event.session,
            owners={name: value for name, value in zip(_OWNERS, owner[:6], strict=True) if value},
            tokens={name: count for name, count in attempt.used.items() if isinstance(count, int)},
            cost=pico_text(settled.cost) if settled is not None and settled.cost is not None else None,
            currency=attempt.allowance.currency,
            charge=event.external_id,
            tags=dict(event.tags),
        )
        return Row(
            ask.id, kept.at, ask.dialect.name, _plain(ask.call.model), _plain(owner.task_type), owner.project_id,
            course.status, ask.call.stream, len(kept.body), len(kept.answer),
            seal(sealer(self._secrets, ask.house.id), exchange),
        )  # fmt: skip


def _without_secrets(query: str) -> str:
    """We take no key there, which keeps nobody from writing one."""
    return "&".join(one for one in query.split("&") if not _SECRET.search(one.partition("=")[0].lower()))


def _plain(text: str) -> str:
    """As a column takes it: strangers' words may be anything."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:LONGEST]
