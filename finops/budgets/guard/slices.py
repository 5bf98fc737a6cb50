"""Requests and tokens by the minute: slices of a minute that this process may use up by itself.

The database counts what it gave to whom, by the second, and gives no more than the limit in `WINDOW_S`. A slice is used
within `SLICE_S` of asking for it or goes back, so whatever the processes do, no minute sees more than the limit:
calls of the last 60 seconds come out of slices of the last 60 + SLICE_S, which with the second that counting is rounded
to is the window.

The price is what may be refused wrongly: the limit holds over 63 seconds rather than 60 (5 %), and of what is free up
to an eighth may lie in each other process's slice, for two seconds. A call's tokens count as its bound until it is
settled, and what it did not use is free again from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from finops.budgets.guard.answers import RateKey, RateLimited, RateWant

SLICE_S: Final = 2
WINDOW_S: Final = 60 + SLICE_S + 1
# A refusal of the database holds this long, so that a loop that is refused costs a few statements a second.
_REFUSED_S: Final = 0.2


class Taken(NamedTuple):
    """Part of a call: out of the slice that the database counts in the second `bucket`."""

    key: RateKey
    bucket: int
    amount: int


class Granted(NamedTuple):
    """What the database gave, and what it has left; how long until what was wanted is free, where it gave nothing."""

    key: RateKey
    bucket: int
    amount: int
    free: int
    retry_after_s: float | None


class _Slice:
    __slots__ = ("bucket", "ends", "free")

    def __init__(self, bucket: int, ends: float, free: int) -> None:
        self.bucket = bucket
        self.ends = ends
        self.free = free


class _Refused(NamedTuple):
    until: float
    free: int
    retry_at: float


class Slices:
    """The slices of one process. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._slices: dict[RateKey, list[_Slice]] = {}
        self._paces: dict[RateKey, tuple[float, int]] = {}
        self._refused: dict[RateKey, _Refused] = {}
        # To be told to the database: what was not used after all, less what was used beyond.
        self._back: dict[tuple[RateKey, int], int] = {}

    def take(
        self, wanted: Iterable[tuple[RateKey, int, int]], now: float
    ) -> tuple[list[Taken], list[RateWant], RateLimited | None]:
        """Take each amount (key, limit, amount), or none where one is lacking; then the lacking, or the refusal."""
        lacking = []
        asked = list(wanted)
        for key, limit, amount in asked:
            free = self._free(key, now)
            if free >= amount:
                continue
            refusal = self._refusal(key, limit, amount, amount - free, now)
            if refusal is not None:
                return [], [], refusal
            least = amount - free
            lacking.append(RateWant(key, limit, least, least + self._pace(key, now)))
        if lacking:
            return [], lacking, None
        return [one for key, _, amount in asked for one in self._use(key, amount, now)], [], None

    def granted(self, grants: Iterable[Granted], wants: Iterable[RateWant], *, asked_at: float) -> RateLimited | None:
        """The database's answer to what was asked at `asked_at`; the refusal, where it is one."""
        refusal = None
        for one, want in zip(grants, wants, strict=True):
            if one.amount:
                slice_ = _Slice(one.bucket, asked_at + SLICE_S, one.amount)
                self._slices.setdefault(one.key, []).append(slice_)
            elif one.free < want.least:
                retry_at = asked_at + (WINDOW_S if one.retry_after_s is None else one.retry_after_s)
                self._refused[one.key] = _Refused(asked_at + _REFUSED_S, one.free, retry_at)
                refusal = _limited(one.key, want.limit, want.least, one.retry_after_s)
        return refusal

    def correct(self, taken: list[Taken], measure: str, total: int, now: float) -> list[Taken]:
        """A call used `total` in the end; gives its parts as they are now."""
        kept = [one for one in taken if one.key.measure != measure]
        mine = [one for one in taken if one.key.measure == measure]
        for key in {one.key for one in mine}:
            left = total
            parts = [one for one in mine if one.key == key]
            for place, part in enumerate(parts):
                # Beyond its bound there is only the last to put it to: the truth, if late.
                used = left if place == len(parts) - 1 else min(left, part.amount)
                left -= used
                self._release(part, part.amount - used, now)
                kept.append(part._replace(amount=used))
        return kept

    def release(self, taken: Iterable[Taken], now: float) -> None:
        """The call did not happen."""
        for one in taken:
            self._release(one, one.amount, now)

    def unused(self, now: float) -> list[Taken]:
        """What is to be told to the database now: what ended unused, and corrections (less than 0: used beyond)."""
        for key in list(self._slices):
            self._end(key, now)
        for key in [key for key, one in self._refused.items() if one.until <= now]:
            del self._refused[key]
        back, self._back = self._back, {}
        return [Taken(key, bucket, amount) for (key, bucket), amount in back.items() if amount]

    def _free(self, key: RateKey, now: float) -> int:
        if key not in self._slices:
            return 0
        self._end(key, now)
        return sum(one.free for one in self._slices.get(key, ()))

    def _end(self, key: RateKey, now: float) -> None:
        slices = self._slices[key]
        if all(one.ends > now for one in slices):
            return
        for one in slices:
            if one.ends <= now:
                self._tell(key, one.bucket, one.free)
        self._slices[key] = [one for one in slices if one.ends > now]
        if not self._slices[key]:
            del self._slices[key]
            self._paces.pop(key, None)

    def _use(self, key: RateKey, amount: int, now: float) -> list[Taken]:
        taken = []
        left = amount
        for one in self._slices.get(key, ()):
            part = min(one.free, left)
            if part:
                one.free -= part
                left -= part
                taken.append(Taken(key, one.bucket, part))
        since, used = self._paces.get(key, (now, 0))
        self._paces[key] = (now, amount) if now - since > SLICE_S else (since, used + amount)
        return taken

    def _release(self, part: Taken, amount: int, now: float) -> None:
        """Into the slice it came from while that lasts, or back to the database."""
        for one in self._slices.get(part.key, ()):
            if amount > 0 and one.bucket == part.bucket and one.ends > now:
                one.free += amount
                return
        self._tell(part.key, part.bucket, amount)

    def _tell(self, key: RateKey, bucket: int, amount: int) -> None:
        if amount:
            place = (key, bucket)
            self._back[place] = self._back.get(place, 0) + amount

    def _pace(self, key: RateKey, now: float) -> int:
        """What this process uses of it in the time a slice lasts, at its present rate."""
        since, used = self._paces.get(key, (now, 0))
        return int(used * SLICE_S / max(now - since, 0.25))

    def _refusal(self, key: RateKey, limit: int, amount: int, lacking: int, now: float) -> RateLimited | None:
        if amount > limit:
            return _limited(key, limit, amount, None)
        said = self._refused.get(key)
        if said is not None and now < said.until and lacking > said.free:
            return _limited(key, limit, amount, max(said.retry_at - now, 0.0))
        return None


def _limited(key: RateKey, limit: int, wanted: int, retry_after_s: float | None) -> RateLimited:
    return RateLimited(key.dimension, key.subject, key.measure, limit, wanted, retry_after_s)
