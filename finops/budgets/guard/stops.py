"""What is stopped now, of all organizations, as this process heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from finops.budgets.guard.answers import Stop, Stopped

Subject = tuple[str, str]


class _Held(NamedTuple):
    stop: Stop
    ends: float | None

    def said(self, now: float) -> Stopped:
        left = None if self.ends is None else max(self.ends - now, 0.0)
        one = self.stop
        return Stopped(one.dimension, one.subject, one.kind, one.reason, one.until, left)


class Stops:
    """Not for use by two threads at once. `let_go` is called with each subject whose breaker's stop is over."""

    def __init__(self, let_go: Callable[[int, Subject], None]) -> None:
        self._let_go = let_go
        # By organization and subject, one of each kind.
        self._held: dict[int, dict[Subject, dict[str, _Held]]] = {}

    def add(self, stop: Stop, now: float) -> None:
        ends = None if stop.left_s is None else now + stop.left_s
        here = self._held.setdefault(stop.organization_id, {}).setdefault((stop.dimension, stop.subject), {})
        here[stop.kind] = _Held(stop, ends)

    def lift(self, stop: Stop) -> None:
        """Somebody lifted it: that one, not another that came since."""
        here = self._held.get(stop.organization_id, {}).get((stop.dimension, stop.subject), {})
        held = here.get(stop.kind)
        if held is not None and held.stop.id == stop.id:
            self._end(stop)

    def replace(self, stops: Iterable[Stop], now: float) -> None:
        """All that the database knows of, after a while of not hearing. What it does not know yet stays."""
        known = list(stops)
        ids = {one.id for one in known}
        mine = [held.stop for by in self._held.values() for kinds in by.values() for held in kinds.values()]
        for stop in mine:
            if stop.id and stop.id not in ids:
                self._end(stop)
        for stop in known:
            self.add(stop, now)

    def first(self, organization_id: int, subjects: Iterable[Subject], now: float) -> Stopped | None:
        """What is said to who concerns these subjects, by the first of them that is stopped."""
        found = self._first(organization_id, subjects, now)
        return None if found is None else found.said(now)

    def stop_of(self, organization_id: int, subjects: Iterable[Subject], now: float) -> Stop | None:
        """The stop of the first of these subjects that is stopped."""
        found = self._first(organization_id, subjects, now)
        return None if found is None else found.stop

    def _first(self, organization_id: int, subjects: Iterable[Subject], now: float) -> _Held | None:
        held = self._held.get(organization_id)
        if not held:
            return None
        for subject in subjects:
            for one in list(held.get(subject, {}).values()):
                if one.ends is None or one.ends > now:
                    return one
                self._end(one.stop)
        return None

    def _end(self, stop: Stop) -> None:
        """Over: a breaker counts anew."""
        by_subject = self._held[stop.organization_id]
        kinds = by_subject[(stop.dimension, stop.subject)]
        del kinds[stop.kind]
        if not kinds:
            del by_subject[(stop.dimension, stop.subject)]
        if not by_subject:
            del self._held[stop.organization_id]
        if stop.kind == "breaker":
            self._let_go(stop.organization_id, (stop.dimension, stop.subject))
