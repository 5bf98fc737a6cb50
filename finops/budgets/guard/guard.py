"""The guard of one process: asked before every call, told of every call that was made."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from finops.budgets.guard.answers import CONCURRENT, Lacking, RateLimited, RateWant, Refusal, Stop, Stopped, Trip
from finops.budgets.guard.breakers import first_breach, reason
from finops.budgets.guard.concern import Concern, Concerns
from finops.budgets.guard.slices import Granted, Slices, Taken
from finops.budgets.guard.stops import Stops
from finops.budgets.guard.terms import AMOUNTS, BreakerTerms, GuardRules
from finops.budgets.guard.tracks import MOST_COUNTS, Tracks, hashed, subject_of
from finops.budgets.guard.under_way import RETRY_S, UnderWay
from finops.budgets.types import Call
from finops.core.errors import FinopsError

BREAKER: Final = "breaker"


class NoRules(FinopsError):
    """The organization's rules were not given to this process yet."""

    code = "budgets.no_rules"
    status = 503


@dataclass(slots=True)
class _Open:
    """A call under way, and what it took of its minute's limits."""

    organization_id: int
    call: Call
    taken: list[Taken]
    # (dimension, subject) of all that breakers watch.
    watched: tuple[tuple[str, str], ...]
    fingerprint: int
    # Whose calls under way it is one of.
    counted: tuple[int, ...]


class Guard:
    """Decides in memory; its methods may be called by any thread. `now` is the seconds of one clock that never jumps
    (`time.monotonic`), read just before.

    For each call: `check`, then its money is held, then `allowed` (or `void`, where the money was not there), then
    `settled` (or `void`, where it never happened).
    """

    def __init__(self, name: str) -> None:
        """`name` is this process's own, and no other's."""
        self._lock = threading.Lock()
        self._concerns: dict[int, Concerns] = {}
        self._stops = Stops(self._count_anew)
        self._slices = Slices()
        self._tracks = Tracks(name)
        self._under_way = UnderWay()
        self._open: dict[str, _Open] = {}
        self._trips: list[Trip] = []
        self._late: list[tuple[str, Stop]] = []

    # --- What holds -----------------------------------------------------------------------------------------------
    def rules_are(self, rules: GuardRules) -> None:
        """The organization's limits and breakers from now on."""
        with self._lock:
            self._concerns[rules.organization_id] = Concerns(rules)

    def stopped(self, stop: Stop, now: float) -> list[str]:
        """A subject is stopped from now on; gives the calls under way that it concerns, which are to be cut."""
        with self._lock:
            self._stops.add(stop, now)
            return self._concerned(stop)

    def lifted(self, stop: Stop) -> None:
        with self._lock:
            self._stops.lift(stop)

    def stops_are(self, stops: Sequence[Stop], now: float) -> None:
        """All stops there are."""
        with self._lock:
            self._stops.replace(stops, now)

    # --- One call ---------------------------------------------------------------------------------------------------
    def check(
        self,
        organization_id: int,
        call_id: str,
        call: Call,
        *,
        tokens: int,
        fingerprint: str = "",
        depth: int = 0,
        now: float,
    ) -> Refusal | Lacking | None:
        """Whether a call may be made, money aside. None: it may, and `tokens` (the bound of its input, and the output
        it may have) are taken from its limits. Asking again for a call that may changes nothing. Raises NoRules.
        """
        with self._lock:
            if call_id in self._open:
                return None
            concerns = self._concerns.get(organization_id)
            if concerns is None:
                raise NoRules("the organization's limits are not known here yet")
            concern = concerns.of(call)
            refused: Refusal | None = self._stops.first(organization_id, _subjects(concern, call), now)
            refused = refused or concern.refuses_model(call.provider, call.model)
            number = hashed(fingerprint)
            refused = refused or self._trip(organization_id, concern, call, number, depth, now)
            if refused is not None:
                return refused
            full = self._full(concern, now)
            if full is not None:
                return full
            wanted = [(key, limit, 1 if key.measure == "requests" else tokens) for key, limit in concern.rates]
            taken, lacking, limited = self._slices.take(wanted, now) if wanted else ([], [], None)
            if limited is not None:
                return limited
            if lacking:
                return Lacking(tuple(lacking))
            watched = tuple((name, own or call.session) for name, own, _ in concern.breakers if own or call.session)
            counted = tuple([subject for _, subject, _ in concern.concurrent])
            self._under_way.begin(counted)
            self._open[call_id] = _Open(organization_id, call, taken, watched, number, counted)
            return None

    def adopted(self, organization_id: int, call_id: str, call: Call, now: float) -> None:
        """A call that another process had let through is under way here: it is counted, and cut by a stop, also by one
        that came before. Raises NoRules.
        """
        with self._lock:
            concerns = self._concerns.get(organization_id)
            if concerns is None:
                raise NoRules("the organization's limits are not known here yet")
            concern = concerns.of(call)
            watched = tuple((name, own or call.session) for name, own, _ in concern.breakers if own or call.session)
            counted = tuple([subject for _, subject, _ in concern.concurrent])
            self._under_way.begin(counted)
            self._open[call_id] = _Open(organization_id, call, [], watched, 0, counted)
            stop = self._stops.stop_of(organization_id, _subjects(concern, call), now)
            if stop is not None:
                self._late.append((call_id, stop))

    def token_ceiling(self, organization_id: int, call: Call) -> int | None:
        """The most tokens a single call may have, by the smallest limit that holds for it; None is no limit."""
        with self._lock:
            concerns = self._concerns.get(organization_id)
            rates = concerns.of(call).rates if concerns is not None else ()
        return min((limit for key, limit in rates if key.measure == "tokens"), default=None)

    def granted(self, grants: Iterable[Granted], wants: Iterable[RateWant], *, asked_at: float) -> RateLimited | None:
        """The database's answer to what was lacking; the refusal, where it is one."""
        with self._lock:
            return self._slices.granted(grants, wants, asked_at=asked_at)

    def has(self, call_id: str) -> bool:
        """Whether a call was let through by `check` and is not over."""
        with self._lock:
            return call_id in self._open

    def forbids(self, organization_id: int, call: Call, now: float) -> Refusal | None:
        """What is stopped, or a model that is not allowed: for calls that minutes and calls at once say nothing of.
        Raises NoRules.
        """
        with self._lock:
            concerns = self._concerns.get(organization_id)
            if concerns is None:
                raise NoRules("the organization's limits are not known here yet")
            concern = concerns.of(call)
            stopped: Refusal | None = self._stops.first(organization_id, _subjects(concern, call), now)
            return stopped or concern.refuses_model(call.provider, call.model)

    def allows_model(self, organization_id: int, call: Call) -> bool:
        """Whether the lists that hold for a call have its model."""
        with self._lock:
            concerns = self._concerns.get(organization_id)
            return concerns is not None and concerns.of(call).refuses_model(call.provider, call.model) is None

    def allowed(self, call_id: str, now: float, *, tokens: int | None = None) -> None:
        """The call's money is held, and it is made: breakers count it. `tokens` where it was given less output."""
        with self._lock:
            found = self._open.get(call_id)
            if found is None:
                return
            subjects = _subjects(self._concerns[found.organization_id].of(found.call), found.call)
            stop = self._stops.stop_of(found.organization_id, subjects, now)
            if stop is not None:
                self._late.append((call_id, stop))
            if tokens is not None:
                found.taken = self._slices.correct(found.taken, "tokens", tokens, now)
            for dimension, subject in found.watched:
                number = subject_of(found.organization_id, dimension, subject)
                self._tracks.called(number, found.fingerprint, now)

    def settled(self, call_id: str, *, amount: int, tokens: int | None, now: float) -> None:
        """The call is over: it cost `amount` picodollars and had `tokens` (None: nobody knows, so all it might have).
        One that is not open is passed over.
        """
        with self._lock:
            found = self._open.pop(call_id, None)
            if found is None:
                return
            self._under_way.end(found.counted)
            if tokens is not None:
                self._slices.correct(found.taken, "tokens", tokens, now)
            for dimension, subject in found.watched:
                self._tracks.spent(subject_of(found.organization_id, dimension, subject), amount, now)
            concern = self._concerns[found.organization_id].of(found.call)
            self._trip(found.organization_id, concern, found.call, 0, 0, now, spent=True)

    def void(self, call_id: str, now: float) -> None:
        """The call never happened. One that is not open is passed over."""
        with self._lock:
            found = self._open.pop(call_id, None)
            if found is not None:
                self._under_way.end(found.counted)
                self._slices.release(found.taken, now)

    # --- Between processes ------------------------------------------------------------------------------------------
    def delta(self) -> bytes:
        """What happened here since it was last told, or a part of it, for others to merge; nothing when all was."""
        with self._lock:
            return self._tracks.delta() or self._tracks.telling(self._under_way.told(MOST_COUNTS))

    def merge(self, delta: bytes, now: float) -> None:
        """Count what another process tells; once, however often it is heard. Raises ValueError for what is none."""
        with self._lock:
            heard = self._tracks.merge(delta, now)
            if heard is not None:
                self._under_way.heard(heard.sender, heard.under_way, now)

    def trips(self) -> list[Trip]:
        """Breakers that tripped here and are to be written; each is given once."""
        with self._lock:
            found, self._trips = self._trips, []
            return found

    def late(self) -> list[tuple[str, Stop]]:
        """Calls that were stopped while they waited for their money, and are to be cut; each is given once."""
        with self._lock:
            found, self._late = self._late, []
            return found

    def unused(self, now: float) -> list[Taken]:
        """What of its slices this process did not use, and is to be told to the database; each is given once."""
        with self._lock:
            self._tracks.tidy(now)
            self._under_way.tidy(now)
            return self._slices.unused(now)

    # --- Within -----------------------------------------------------------------------------------------------------
    def _full(self, concern: Concern, now: float) -> RateLimited | None:
        """The first limit of calls at once that one more would go beyond."""
        for one, subject, limit in concern.concurrent:
            if not self._under_way.has_room(subject, limit, now):
                return RateLimited(one.dimension, one.subject, CONCURRENT, limit, 1, RETRY_S)
        return None

    def _trip(
        self,
        organization_id: int,
        concern: Concern,
        call: Call,
        fingerprint: int,
        depth: int,
        now: float,
        *,
        spent: bool = False,
    ) -> Stopped | None:
        """The stop of the first breaker that one more call would go beyond (or `spent`: that its cost went beyond)."""
        for dimension, own, breakers in concern.breakers:
            subject = own or call.session
            if not subject:
                continue
            track = self._tracks.see(subject_of(organization_id, dimension, subject), now)
            if spent:
                breakers = {measure: one for measure, one in breakers.items() if measure in AMOUNTS}
            found = first_breach(breakers, track, fingerprint=fingerprint, depth=depth, now=now)
            if found is not None and self._stops.first(organization_id, [(dimension, subject)], now) is None:
                return self._stop(organization_id, (dimension, subject), *found, now)
        return None

    def _stop(
        self, organization_id: int, subject: tuple[str, str], one: BreakerTerms, seen: int, now: float
    ) -> Stopped | None:
        """From now on here, and as soon as it is written everywhere."""
        why = reason(one, self._concerns[organization_id].rules.currency)
        self._trips.append(Trip(organization_id, *subject, one.measure, one.threshold or 0, seen, one.pause_s, why))
        self._stops.add(Stop(0, organization_id, *subject, BREAKER, why, None, float(one.pause_s)), now)
        return self._stops.first(organization_id, [subject], now)

    def _count_anew(self, organization_id: int, subject: tuple[str, str]) -> None:
        self._tracks.forget(subject_of(organization_id, *subject))

    def _concerned(self, stop: Stop) -> list[str]:
        subject = (stop.dimension, stop.subject)
        found = []
        for call_id, one in self._open.items():
            if one.organization_id == stop.organization_id:
                concern = self._concerns[one.organization_id].of(one.call)
                if subject in _subjects(concern, one.call):
                    found.append(call_id)
        return found


def _subjects(concern: Concern, call: Call) -> tuple[tuple[str, str], ...]:
    return (*concern.subjects, ("session", call.session)) if call.session else concern.subjects
