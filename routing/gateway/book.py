"""What one process knows of its calls: which are open, which are over, and what each was answered."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from finops.budgets.hot import NotOpen
from finops.core.errors import FinopsError
from finops.core.ids import RandomHex
from finops.ingest.records import Held
from routing.gateway.wording import Allowance, Settlement

# Calls that are over, whose answers are remembered for whoever asks again.
REMEMBERED: Final = 50_000
T = TypeVar("T")


class Finished(FinopsError):
    """The call that has this id is over."""

    code = "budgets.call_is_over"
    status = 409


class Over(NamedTuple):
    """A call that is over: what was allowed, and the answer to its end; None where it was voided."""

    allowance: Allowance
    settled: Settlement | None


class Book:
    """Calls by their ids. Names are given, and calls kept, by any thread; the rest is the event loop's."""

    def __init__(self, holder: str) -> None:
        self._holder = holder
        self._numbers = itertools.count(1)
        # So that nobody guesses another's.
        self._random = RandomHex(8)
        # By who asked, and what they call it.
        self._ids: dict[tuple[str, str], str] = {}
        self.open: dict[str, Allowance] = {}
        self._over: OrderedDict[str, Over] = OrderedDict()
        # Charged as the most they could cost; their figures may still come.
        self.expired: OrderedDict[str, Allowance] = OrderedDict()
        self._ends: list[tuple[datetime, str]] = []
        self._changing = threading.Lock()

    def id_of(self, asked_by: str, asked_as: str) -> str:
        """The id of a call: the same for whoever asks again."""
        return self._ids.setdefault(
            (asked_by, asked_as), f"{self._holder}-{next(self._numbers):x}-{self._random.next()}"
        )

    def forget_id(self, asked_by: str, asked_as: str, call_id: str) -> None:
        """The call was refused: asked again, it is decided anew. Another call that has its name keeps it."""
        if self._ids.get((asked_by, asked_as)) == call_id:
            self._ids.pop((asked_by, asked_as), None)

    def _forget(self, held: Held) -> None:
        self.forget_id(held.asked_by, held.asked_as, held.id)

    def known_as(self, asked_by: str, asked_as: str) -> str:
        """The id of a call that was asked for, '' where none was."""
        return self._ids.get((asked_by, asked_as), "")

    def answered(self, call_id: str) -> Allowance | None:
        """What was allowed, while the call is open. Raises Finished when it is over: it is not made once more."""
        if call_id in self._over or call_id in self.expired:
            raise Finished("this call is over; another call needs an id of its own", field="id")
        return self.open.get(call_id)

    def keep(self, allowance: Allowance) -> None:
        """A call is open."""
        held = allowance.held
        self._ids.setdefault((held.asked_by, held.asked_as), held.id)
        self.open[held.id] = allowance
        with self._changing:
            heapq.heappush(self._ends, (held.expires_at, held.id))
            if len(self._ends) > 2 * len(self.open) + REMEMBERED:
                # Most are over long before their time is.
                self._ends = [(one.held.expires_at, call_id) for call_id, one in list(self.open.items())]
                heapq.heapify(self._ends)

    def held(self, call_id: str, organization_id: int) -> Held:
        """A call of an organization whose figure may come. Raises NotOpen."""
        call = self.open.get(call_id) or self.expired.get(call_id)
        if call is None or call.held.organization_id != organization_id:
            raise NotOpen(f"no open authorization {call_id}")
        return call.held

    def over(self, call_id: str, organization_id: int) -> Over | None:
        """A call of an organization that is over."""
        found = self._over.get(call_id)
        return found if found and found.allowance.held.organization_id == organization_id else None

    def end(self, held: Held, settled: Settlement | None) -> None:
        """A call is over; no settlement where it never happened."""
        allowance = self.open.pop(held.id, None) or self.expired.pop(held.id)
        self._over[held.id] = Over(allowance, settled)
        if settled is None:
            # It never happened: asked for again, it is decided anew.
            self._forget(held)
        for gone in _trim(self._over):
            self._forget(gone.allowance.held)

    def expire(self, held: Held) -> None:
        """A call's time is over, and nobody told what came of it."""
        self.expired[held.id] = self.open.pop(held.id)
        for gone in _trim(self.expired):
            self._forget(gone.held)

    def due(self, now: datetime) -> Held | None:
        """An open call whose time is over; each is given once."""
        while True:
            with self._changing:
                if not self._ends or self._ends[0][0] > now:
                    return None
                _, call_id = heapq.heappop(self._ends)
            call = self.open.get(call_id)
            if call is not None:
                return call.held

    def later(self, held: Held, at: datetime) -> None:
        """What is due cannot be ended now; it is due again then."""
        with self._changing:
            heapq.heappush(self._ends, (at, held.id))

    def knows_other(self, asked_by: str, asked_as: str, call_id: str) -> bool:
        """Whether the same call was decided here under another id, and that one is over, or is to be charged."""
        other = self._ids.get((asked_by, asked_as), call_id)
        return other != call_id and (other < call_id or other not in self.open)

    def asked_by(self, call_ids: Iterable[str]) -> list[tuple[str, str]]:
        """Open calls, each with the prefix of the key that asked for it."""
        return [(call.held.asked_by, one) for one in call_ids if (call := self.open.get(one))]

    def has(self, call_id: str) -> bool:
        """Whether this process knows a call, open or over."""
        return call_id in self.open or call_id in self._over or call_id in self.expired


def _trim(memory: OrderedDict[str, T]) -> list[T]:
    """Forget the oldest beyond what is remembered; gives them."""
    gone = []
    while len(memory) > REMEMBERED:
        gone.append(memory.popitem(last=False)[1])
    return gone
