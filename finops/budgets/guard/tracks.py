"""What happens around the sessions, agents and keys that breakers watch: here, and as other processes tell it.

Subjects go by a hash of 8 bytes, so that what is told is small. Counts that others tell are put where they are heard,
a fraction of a second late; a run of identical calls goes on across processes as long as nobody tells of another call.
"""

from __future__ import annotations

import hashlib
from collections import deque
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

# Subjects that are remembered; the one that was quiet longest goes first.
MOST_TRACKED: Final = 100_000
# What is told at once: with base64 it fits a notification of 8,000 bytes.
MOST_TOLD: Final = 150
MOST_COUNTS: Final = 300
# Of one subject: msgpack has no larger numbers.
MOST_AMOUNT: Final = 2**64 - 1
MINUTE_S: Final = 60
# A session goes on over pauses up to this.
PAUSE_S: Final = 30 * 60
# Identical calls are in a row when no more than this lies between them.
ROW_S: Final = 5 * 60


class Track:
    """One subject: its last minute, its run of identical calls, and all since it was first seen or let go."""

    __slots__ = ("amount", "began", "calls", "fingerprint", "last", "minute_amount", "minute_calls", "run", "window")

    def __init__(self, now: float) -> None:
        self.began = self.last = now
        self.calls = self.amount = 0
        self.minute_calls = self.minute_amount = 0
        self.window: deque[list[int]] = deque()
        self.fingerprint = self.run = 0

    def add(self, calls: int, amount: int, now: float) -> None:
        if now - self.last > PAUSE_S:
            self.began = now
        self.last = now
        self.calls += calls
        self.amount += amount
        self.minute_calls += calls
        self.minute_amount += amount
        second = int(now)
        if self.window and self.window[-1][0] >= second:
            self.window[-1][1] += calls
            self.window[-1][2] += amount
        else:
            self.window.append([second, calls, amount])

    def forget_before(self, now: float) -> None:
        """Of the window, what is older than a minute."""
        before = now - MINUTE_S - 1
        while self.window and self.window[0][0] <= before:
            _, calls, amount = self.window.popleft()
            self.minute_calls -= calls
            self.minute_amount -= amount

    def goes_on(self, fingerprint: int, now: float) -> bool:
        """Whether a call would be one more of the present run."""
        return fingerprint != 0 and fingerprint == self.fingerprint and now - self.last <= ROW_S

    def minutes(self, now: float) -> int:
        """How long the session has gone on, begun minutes as whole ones."""
        return 0 if now - self.last > PAUSE_S else -int(-(now - self.began) // 60)

    def runs(self, fingerprint: int, run: int, now: float, *, whole: bool) -> None:
        """`run` calls of one fingerprint, with none of another before them if `whole`."""
        self.run = self.run + run if whole and self.goes_on(fingerprint, now) else run
        self.fingerprint = fingerprint


class _Told(msgspec.Struct, array_like=True):
    """What happened around one subject since it was last told: the run at its end, and whether that was all of it."""

    subject: int
    calls: int = 0
    amount: int = 0
    fingerprint: int = 0
    run: int = 0
    whole: bool = True


class _Delta(msgspec.Struct, array_like=True):
    """`under_way` are counts of calls as they stand, by subject."""

    sender: int
    number: int
    told: list[_Told]
    under_way: list[tuple[int, int]] = []


class _Heard(NamedTuple):
    number: int
    at: float


_encode: Final = msgspec.msgpack.Encoder()
_decode: Final = msgspec.msgpack.Decoder(_Delta)
# How long a process that fell silent is remembered, so that nothing it told is counted twice.
_SENDER_S: Final = 600


class Tracks:
    """The subjects of one process. Not for use by two threads at once."""

    def __init__(self, name: str) -> None:
        self._sender = hashed(name)
        self._number = 0
        self._tracks: dict[int, Track] = {}
        self._told: dict[int, _Told] = {}
        self._heard: dict[int, _Heard] = {}

    def see(self, subject: int, now: float) -> Track | None:
        """How a subject stands now; None when nothing is known of it."""
        track = self._tracks.get(subject)
        if track is not None:
            track.forget_before(now)
        return track

    def called(self, subject: int, fingerprint: int, now: float) -> None:
        track = self._touch(subject, now)
        track.runs(fingerprint, 1, now, whole=True)
        track.add(1, 0, now)
        told = self._telling(subject)
        told.calls += 1
        if told.run and told.fingerprint == fingerprint:
            told.run += 1
        else:
            told.whole = told.run == 0
            told.fingerprint, told.run = fingerprint, 1

    def spent(self, subject: int, amount: int, now: float) -> None:
        if amount:
            self._touch(subject, now).add(0, amount, now)
            self._telling(subject).amount += amount

    def forget(self, subject: int) -> None:
        """It was let go: what it does counts from nothing."""
        self._tracks.pop(subject, None)
        self._told.pop(subject, None)

    def delta(self) -> bytes:
        """What happened here and was not told yet, or a part of it; nothing when all was told."""
        if not self._told:
            return b""
        subjects = list(self._told)[:MOST_TOLD]
        self._number += 1
        return _encode.encode(_Delta(self._sender, self._number, [self._part(one) for one in subjects]))

    def _part(self, subject: int) -> _Told:
        """What is told of a subject now; an amount beyond what can be told at once is told with the next."""
        told = self._told.pop(subject)
        if told.amount > MOST_AMOUNT:
            self._told[subject] = _Told(subject, amount=told.amount - MOST_AMOUNT)
            told.amount = MOST_AMOUNT
        return told

    def telling(self, under_way: list[tuple[int, int]]) -> bytes:
        """Counts of calls under way, to be told; nothing where there are none."""
        if not under_way:
            return b""
        self._number += 1
        return _encode.encode(_Delta(self._sender, self._number, [], under_way))

    def merge(self, delta: bytes, now: float) -> _Delta | None:
        """Count what another process tells; once, however often it is heard: then it is None. Raises ValueError for
        what is none.
        """
        heard = _decode.decode(delta)
        before = self._heard.get(heard.sender)
        if heard.sender == self._sender or (before is not None and heard.number <= before.number):
            return None
        self._heard[heard.sender] = _Heard(heard.number, now)
        for one in heard.told:
            track = self._touch(one.subject, now)
            if one.run:
                track.runs(one.fingerprint, one.run, now, whole=one.whole)
            track.add(one.calls, one.amount, now)
        return heard

    def tidy(self, now: float) -> None:
        """Forget what is beyond the bounds."""
        while len(self._tracks) > MOST_TRACKED:
            del self._tracks[next(iter(self._tracks))]
        for sender in [sender for sender, one in self._heard.items() if now - one.at > _SENDER_S]:
            del self._heard[sender]

    def _touch(self, subject: int, now: float) -> Track:
        track = self._tracks.pop(subject, None)
        if track is None:
            track = Track(now)
        self._tracks[subject] = track
        return track

    def _telling(self, subject: int) -> _Told:
        told = self._told.get(subject)
        if told is None:
            told = self._told[subject] = _Told(subject)
        return told


@lru_cache(maxsize=65_536)
def subject_of(organization_id: int, dimension: str, subject: str) -> int:
    """The number a subject goes by."""
    return hashed(f"{organization_id}\0{dimension}\0{subject}")


def hashed(text: str) -> int:
    """8 bytes of a text, the same in every process; 0 for none."""
    if not text:
        return 0
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
