"""Lets a process ask the bank from many threads, and stand still when the two are brought together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Many pass at once; while it is closed, none does. Whoever closes it waits until all have passed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._passing = 0
        self._closed = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._passing += 1
        try:
            yield
        finally:
            with self._changed:
                self._passing -= 1
                self._changed.notify_all()

    @contextmanager
    def closed(self, *, timeout: float) -> Iterator[bool]:
        """False when somebody was still passing after so many seconds; then it is open all the while."""
        with self._changed:
            self._closed = True
            self._closed = self._changed.wait_for(lambda: not self._passing, timeout)
            all_passed = self._closed
            self._changed.notify_all()
        try:
            yield all_passed
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()
