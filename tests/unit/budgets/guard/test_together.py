"""Guards that tell each other what happened: nobody's calls are lost, none is counted twice, a row goes on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import OperationalError
from psycopg.errors import DeadlockDetected, LockNotAvailable

from finops.budgets.guard import Guard, LimitTerms, Stopped
from finops.budgets.guard.tracks import MOST_TOLD, MOST_TRACKED, Tracks, subject_of
from finops.budgets.pulse import Pulse
from tests.unit.budgets.guard.cast import ACME, breaker, call, give, guard, made

SESSION = subject_of(ACME, "session", "s-1")


def tell(houses: list[Guard], now: float) -> None:
    for house in houses:
        while delta := house.delta():
            for other in houses:
                other.merge(delta, now)


def test_a_runaway_that_goes_from_process_to_process_trips_as_if_there_were_one() -> None:
    houses = [guard(breaker("identical_calls", 20), name=f"gateway-{n}") for n in range(4)]
    at = 0.0
    for n in range(50):
        at = n / 50
        if n % 10 == 0:
            tell(houses, at)
        if made(houses[n % 4], f"call-{n}", call(session="s-1"), at, fingerprint="same") is not None:
            break
    assert 0.4 <= at <= 0.6


def test_money_and_calls_add_up_across_processes() -> None:
    houses = [guard(breaker("session_amount", 100), breaker("session_calls", 7), name=f"g{n}") for n in range(2)]
    for n in range(4):
        assert made(houses[n % 2], f"call-{n}", call(session="s-1"), 0.0, amount=20) is None
    tell(houses, 0.2)
    assert made(houses[0], "call-5", call(session="s-1"), 0.3, amount=20) is None
    tell(houses, 0.4)
    assert made(houses[1], "call-6", call(session="s-1"), 0.5, amount=1) is None
    assert isinstance(made(houses[1], "call-7", call(session="s-1"), 0.5), Stopped)


def test_no_amount_is_too_large_to_be_told() -> None:
    first, second = Tracks("one"), Tracks("two")
    for _ in range(5):
        first.called(SESSION, 5, 0.0)
        first.spent(SESSION, 9 * 10**18, 0.0)
    while delta := first.delta():
        second.merge(delta, 0.1)
    track = second.see(SESSION, 0.2)
    assert track is not None
    assert (track.calls, track.run, track.amount) == (5, 5, 45 * 10**18)


def test_what_is_heard_twice_or_from_oneself_counts_once() -> None:
    first, second = Tracks("one"), Tracks("two")
    first.called(SESSION, 5, 0.0)
    delta = first.delta()
    for _ in range(3):
        first.merge(delta, 0.1)
        second.merge(delta, 0.1)
    for tracks in (first, second):
        track = tracks.see(SESSION, 0.2)
        assert track is not None
        assert (track.calls, track.run) == (1, 1)
    assert first.delta() == b""


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"\x93\x01\x02\x03", b"\xff" * 100])
def test_what_is_no_delta_is_refused(rubbish: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        guard().merge(rubbish, 0.0)


def test_a_row_is_broken_by_another_call_in_another_process() -> None:
    first, second = Tracks("one"), Tracks("two")
    for _ in range(5):
        first.called(SESSION, 5, 0.0)
    second.called(SESSION, 6, 0.0)
    second.called(SESSION, 5, 0.0)
    first.merge(second.delta(), 0.1)
    track = first.see(SESSION, 0.1)
    assert track is not None
    assert (track.fingerprint, track.run, track.calls) == (5, 1, 7)


def test_what_is_told_at_once_fits_a_notification() -> None:
    busy = Tracks("one")
    for n in range(2_000):
        subject = subject_of(ACME, "session", f"s-{n}")
        busy.called(subject, subject, 0.0)
        busy.spent(subject, 2**62, 0.0)
    messages = []
    while delta := busy.delta():
        messages.append(delta)
    assert len(messages) == -(-2_000 // MOST_TOLD)
    assert max(map(len, messages)) * 4 / 3 < 7_900


def test_only_so_many_subjects_are_remembered_and_the_quiet_ones_go() -> None:
    tracks = Tracks("one")
    for subject in range(MOST_TRACKED + 10):
        tracks.called(subject, 0, float(subject))
    tracks.called(0, 0, 1e6)
    tracks.tidy(1e6)
    assert tracks.see(0, 1e6) is not None
    assert tracks.see(1, 1e6) is None
    assert tracks.see(11, 1e6) is not None


class Line:
    """A connection to the database that breaks when it is told to."""

    def __init__(self) -> None:
        self.breaks: Exception | None = None
        self.heard: list[tuple[str, list[Any]]] = []

    def execute(self, sql: str, params: list[Any]) -> None:
        if self.breaks is not None:
            raise self.breaks
        self.heard.append((sql, params))


def test_what_could_not_be_told_is_told_when_the_connection_is_there_again() -> None:
    house, line = guard(breaker("session_calls", 9)), cast("Any", Line())
    pulse = Pulse("nowhere", house)
    made(house, "call-1", call(session="s-1"), 0.0)
    line.breaks = OperationalError("lost")
    with pytest.raises(OperationalError):
        pulse._tell(line)
    line.breaks = None
    pulse._tell(line)
    pulse._tell(line)
    ((_, (channel, messages)),) = line.heard
    assert (channel, len(messages)) == ("budgets_pulse", 1)


@pytest.mark.parametrize(
    ("breaks", "again"),
    [(LockNotAvailable("busy"), True), (DeadlockDetected("a circle"), True), (OperationalError("lost"), False)],
)
def test_what_was_not_used_goes_back_once_and_not_where_nobody_knows(breaks: Exception, *, again: bool) -> None:
    house, line = guard(LimitTerms("key", "", None, 60, None)), cast("Any", Line())
    pulse = Pulse("nowhere", house, clock=lambda: 10.0)
    lacking = house.check(ACME, "call-1", call(), tokens=1, now=0.0)
    give(house, lacking, 0.0)
    line.breaks = breaks
    with suppress(OperationalError):
        pulse._tell(line)
    line.breaks = None
    pulse._tell(line)
    assert [params[-1] for sql, params in line.heard if "budgets_rate_return" in sql] == ([[1]] if again else [])


def test_a_trip_that_others_are_in_the_way_of_is_written_with_a_later_turn() -> None:
    house, line = guard(breaker("session_calls", 1)), cast("Any", Line())
    pulse = Pulse("nowhere", house)
    for n in range(2):
        made(house, f"call-{n}", call(session="s-1"), 0.0)
    line.breaks = LockNotAvailable("busy")
    pulse._write_trips(line)
    assert line.heard == []
    line.breaks = None
    for _ in range(2):
        pulse._write_trips(line)
    assert ["budgets_trip" in sql for sql, _ in line.heard] == [True]


ACTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["call", "spend", "tell", "again"]), st.integers(1, 50)), max_size=60
)


@given(ACTS)
def test_however_tellings_interleave_all_know_the_same_in_the_end(acts: list[tuple[int, str, int]]) -> None:
    houses = [Tracks(f"gateway-{n}") for n in range(4)]
    said: list[bytes] = []
    heard = [0] * 4
    calls = amount = 0
    for number, act, size in acts:
        house = houses[number]
        if act == "call":
            house.called(SESSION, size, 0.0)
            calls += 1
        elif act == "spend":
            house.spent(SESSION, size, 0.0)
            amount += size
        elif act == "tell" and (delta := house.delta()):
            said.append(delta)
        elif act == "again":
            # Hears some of what it missed, and some of it again.
            for delta in said[max(heard[number] - 1, 0) : heard[number] + size]:
                house.merge(delta, 0.0)
            heard[number] = min(heard[number] + size, len(said))
    said += [delta for house in houses if (delta := house.delta())]
    for number, house in enumerate(houses):
        for delta in said[heard[number] :]:
            house.merge(delta, 0.0)
        track = house.see(SESSION, 0.0)
        assert (track.calls, track.amount) == (calls, amount) if track else (calls, amount) == (0, 0)
