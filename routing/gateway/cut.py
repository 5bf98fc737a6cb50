"""Calls under way that must end now, told to whoever made them: a proxy waits here and cuts its streams.

Every process knows of all that were cut in the last minute, whoever allowed them: they tell each other by NOTIFY. A
cursor is good in the process that gave it; in another, everything of the last minute is told once more.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple

import psycopg

log = logging.getLogger(__name__)
CHANNEL: Final = "gateway_cut"
KEPT_S: Final = 60.0
MOST_KEPT: Final = 100_000
# NOTIFY takes at most 8,000 bytes: so many calls of less than 95 bytes each, and a reason.
_AT_ONCE: Final = 60
_REASON_BYTES: Final = 2_000


class Cut(NamedTuple):
    number: int
    at: float
    key: str
    call_id: str
    reason: str


class Cuts:
    """What was cut of late. Used by the event loop alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept: deque[Cut] = deque(maxlen=MOST_KEPT)
        self._last = 0
        self._news = asyncio.Condition()

    async def add(self, calls: Sequence[tuple[str, str]], reason: str) -> None:
        """Calls, each with the prefix of the key that asked for it."""
        now = monotonic()
        for key, call_id in calls:
            self._last += 1
            self._kept.append(Cut(self._last, now, key, call_id, reason))
        while self._kept and self._kept[0].at < now - KEPT_S:
            self._kept.popleft()
        async with self._news:
            self._news.notify_all()

    async def since(self, key: str, cursor: str, wait_s: float) -> dict[str, Any]:
        """What was cut since the cursor of calls that a key asked for; waits for something if there is nothing."""
        name, _, number = cursor.partition(":")
        seen = int(number) if name == self._name and number.isdigit() else 0

        def found() -> list[Cut]:
            return [cut for cut in self._kept if cut.number > seen and cut.key == key]

        try:
            async with asyncio.timeout(wait_s), self._news:
                await self._news.wait_for(found)
        except TimeoutError:
            pass
        return {
            "cursor": f"{self._name}:{self._last}",
            "stopped": [{"id": cut.call_id, "reason": cut.reason} for cut in found()],
        }


def tell(connection: psycopg.Connection[Any], calls: Sequence[tuple[str, str]], reason: str) -> None:
    """Tell every process, this one too."""
    reason = _bounded(reason)
    for start in range(0, len(calls), _AT_ONCE):
        told = json.dumps({"calls": calls[start : start + _AT_ONCE], "reason": reason}, ensure_ascii=False)
        connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, told])


def _bounded(reason: str) -> str:
    """As much of it as may be told."""
    while len(json.dumps(reason, ensure_ascii=False).encode()) > _REASON_BYTES:
        reason = reason[: len(reason) * 9 // 10]
    return reason


def heard(payload: str) -> Iterator[tuple[list[tuple[str, str]], str]]:
    """What `tell` told; nothing for what is something else."""
    try:
        told = json.loads(payload)
        yield [(str(key), str(call_id)) for key, call_id in told["calls"]], str(told["reason"])
    except (ValueError, KeyError, TypeError):
        log.warning("something else was told on %s", CHANNEL)
