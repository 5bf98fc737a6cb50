"""A proxy whose keys spend by themselves, each as one of `bench.burns`, in quickened time, and that only reports
afterwards.

An hour is `hour_s` seconds. `/report?since=N` tells what is over for an hour, from minute N on; what was spent is
worked out from when each key was blocked, so that nothing depends on how often anybody asks.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.burns import Burn
from tests.fakes.http import Asked
from tests.fakes.litellm_keys import LiteLLMKeys

LINE_MINUTES: Final = 5


class MeteredProxy(LiteLLMKeys):
    def __init__(self, burns: dict[str, Burn], *, hour_s: float) -> None:
        self.burns = burns
        self._minute_s = hour_s / 60
        self._began = time.monotonic()
        self.began_at = datetime.now(UTC)
        # Per key: what it was set to, and when, in minutes.
        self._changes: dict[str, list[tuple[float, bool]]] = {key: [] for key in burns}
        super().__init__(*burns)

    @property
    def minute(self) -> float:
        return (time.monotonic() - self._began) / self._minute_s

    def set(self, key: str, *, blocked: bool) -> None:
        self._changes[key].append((self.minute, blocked))
        super().set(key, blocked=blocked)

    def blocks(self, key: str) -> int:
        return sum(blocked for _, blocked in self._changes[key])

    def spent(self, key: str, until: float) -> float:
        """Dollars of a key in the minutes before."""
        whole = min(int(until), len(self.burns[key].minutes))
        return sum(self._of(key, minute) for minute in range(whole))

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.path == "/report":
            return 200, {"lines": self._report(int(asked.query["since"]))}
        return super().answer(asked)

    def _report(self, since: int) -> list[dict[str, Any]]:
        """A line for each key and five minutes in which it spent, once they are over for an hour."""
        lines = []
        for minute in range(since, int(self.minute) - 60 - LINE_MINUTES + 1, LINE_MINUTES):
            at = self.began_at + timedelta(seconds=minute * self._minute_s)
            for key in self.burns:
                cost = sum(self._of(key, one) for one in range(minute, minute + LINE_MINUTES))
                if cost:
                    said = {"id": f"{key} {minute}", "key": key, "minute": minute, "cost": cost, "at": at.isoformat()}
                    lines.append(said)
        return lines

    def _of(self, key: str, minute: int) -> float:
        """What a key spent in a minute: its share of it that the key was not blocked."""
        minutes = self.burns[key].minutes
        if minute >= len(minutes):
            return 0.0
        free, blocked, since = 0.0, False, float(minute)
        for changed, now_blocked in self._changes[key]:
            at = min(max(changed, float(minute)), minute + 1.0)
            free += 0.0 if blocked else at - since
            since, blocked = at, now_blocked
        free += 0.0 if blocked else minute + 1.0 - since
        return minutes[minute] * free
