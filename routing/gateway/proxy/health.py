"""How deployments have answered of late: circuit breakers, and how fast they begin. Used by the event loop alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

# So many failures in a row open a breaker.
FAILURES: Final = 5
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 120.0
# A trial that nobody heard of again is over.
_TRIAL_S: Final = 60.0
# How much the latest first byte counts.
_LATEST: Final = 0.2
# Deployments that are remembered: an upstream that takes any model's name would otherwise be any number of them.
MOST_KNOWN: Final = 10_000

Name = tuple[int, str]


class _State:
    __slots__ = ("answered_at", "breaks", "failures", "first_byte_s", "pause_s", "paused_until", "tried_at")

    def __init__(self) -> None:
        # In a row: tries that never began to be answered, and answers that broke off.
        self.failures = self.breaks = 0
        self.pause_s = FIRST_PAUSE_S
        self.paused_until: float | None = None
        self.tried_at = float("-inf")
        self.answered_at = float("-inf")
        self.first_byte_s: float | None = None


class Health:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._states: dict[Name, _State] = {}

    def answered(self, name: Name, first_byte_s: float | None = None) -> None:
        """It answered to the end, whatever it said."""
        self._of(name).breaks = 0
        self.began(name, first_byte_s)

    def began(self, name: Name, first_byte_s: float | None = None) -> None:
        """It begins to answer. Who has broken off that often before is trusted once an answer comes to its end."""
        state = self._of(name)
        state.failures, state.answered_at = 0, self._clock()
        if state.breaks < FAILURES:
            state.paused_until, state.tried_at = None, float("-inf")
        if not state.breaks:
            state.pause_s = FIRST_PAUSE_S
        if first_byte_s is not None:
            before = state.first_byte_s
            state.first_byte_s = first_byte_s if before is None else before + _LATEST * (first_byte_s - before)

    def failed(self, name: Name) -> None:
        """It did not begin to answer."""
        state = self._of(name)
        state.failures += 1
        self._trust_less(state, state.failures)

    def broke(self, name: Name) -> None:
        """It began to answer, and did not come to the end."""
        state = self._of(name)
        state.breaks += 1
        self._trust_less(state, state.breaks)

    def _trust_less(self, state: _State, times: int) -> None:
        state.tried_at = float("-inf")
        now = self._clock()
        if state.paused_until is not None and now >= state.paused_until:
            # The trial failed: longer this time.
            state.pause_s = min(state.pause_s * 2, LONGEST_PAUSE_S)
            state.paused_until = now + state.pause_s
        elif state.paused_until is None and times >= FAILURES:
            state.paused_until = now + state.pause_s

    def usable(self, name: Name) -> bool:
        """Whether calls go there now; once a pause is over, one call at a time tries."""
        state = self._states.get(name)
        if state is None or state.paused_until is None:
            return True
        now = self._clock()
        return now >= state.paused_until and now - state.tried_at >= _TRIAL_S

    def proved(self, name: Name) -> None:
        """Its upstream answered something that was no call: calls go there again, and the next failure of one ends
        that, for longer than before.
        """
        state = self._states.get(name)
        if state is not None and state.paused_until is not None:
            state.failures, state.breaks, state.paused_until = FAILURES - 1, min(state.breaks, FAILURES - 1), None
            state.pause_s = min(state.pause_s * 2, LONGEST_PAUSE_S)
            state.tried_at = float("-inf")

    def tries(self, name: Name) -> None:
        """A call goes there."""
        state = self._states.get(name)
        if state is not None and state.paused_until is not None:
            state.tried_at = self._clock()

    def first_byte_s(self, name: Name) -> float:
        """As of late; infinite where nobody knows."""
        state = self._states.get(name)
        return float("inf") if state is None or state.first_byte_s is None else state.first_byte_s

    def quiet_for(self, name: Name) -> float:
        """How long ago it answered last."""
        state = self._states.get(name)
        return float("inf") if state is None else self._clock() - state.answered_at

    def paused(self, name: Name) -> bool:
        state = self._states.get(name)
        return state is not None and state.paused_until is not None

    def names(self) -> Iterator[Name]:
        """Of all deployments that something is known of."""
        return iter(tuple(self._states))

    def _of(self, name: Name) -> _State:
        state = self._states.pop(name, None)
        if state is None:
            while len(self._states) >= MOST_KNOWN:
                # Whoever was not heard of for longest.
                del self._states[next(iter(self._states))]
            state = _State()
        self._states[name] = state
        return state


class RetryBudget:
    """Second tries are a share of calls, so that when everything fails they do not multiply the load."""

    def __init__(self, *, share: float = 0.2, most: float = 500.0) -> None:
        self._share = share
        self._most = most
        self._left = most

    def called(self) -> None:
        self._left = min(self._left + self._share, self._most)

    def may(self) -> bool:
        """Whether one more second try is left; it is taken."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
