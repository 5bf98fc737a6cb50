"""When a file was saved: looked at once a second, and told once it lies still, so that half of one is never read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

EVERY_S: Final = 1.0
# Which file it is, how long, and when it was written; None for none.
_Stamp = tuple[int, int, int] | None


class Watched:
    """`clock` tells seconds, and goes only forward. What the file is when this is made counts as known."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._seen = self._known = self._stamp()

    def saved(self) -> bool:
        """Whether it is another than was known, and known from now on."""
        now = self._clock()
        if now - self._looked < EVERY_S:
            return False
        self._looked = now
        before, self._seen = self._seen, self._stamp()
        if self._seen != before or self._seen == self._known:
            return False
        self._known = self._seen
        return True

    def _stamp(self) -> _Stamp:
        try:
            info = self._path.stat()
        except OSError:
            return None
        return info.st_ino, info.st_size, info.st_mtime_ns
