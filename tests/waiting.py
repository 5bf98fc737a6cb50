"""Waiting for what other threads and processes do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def until(
    holds: Callable[[], object],
    found: Callable[[], object] = str,
    *,
    within_s: float = 60.0,
    every_s: float = 0.02,
) -> None:
    """Waits for a fact; should it never be one, `found` says what is there instead."""
    pause = threading.Event()
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, found() or "it never came true"
        pause.wait(every_s)
