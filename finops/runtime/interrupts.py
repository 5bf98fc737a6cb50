"""Being asked to stop: Ctrl-C, or a signal."""

from __future__ import annotations

import signal
from types import FrameType


class Stopped(BaseException):
    """Somebody asked us to stop, by Ctrl-C or a signal, while something was being started."""


class Interrupts:
    """SIGINT, SIGTERM and SIGHUP: raised as Stopped while starting, noted while running or stopping.

    A second one while stopping means: hurry.
    """

    def __init__(self) -> None:
        self.count = 0
        self._raising = True
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._noted)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us

    def only_note(self) -> None:
        self._raising = False

    def _noted(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._raising:
            self._raising = False
            raise Stopped
