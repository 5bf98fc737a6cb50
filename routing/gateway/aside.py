"""What is over, worked off beside the event loop: by a thread of its own with a connection of its own to the database,
once there is anything. Nothing waits for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

import psycopg

from finops.budgets.lines import SILENT_S, connect

EVERY_S: Final = 0.5
T = TypeVar("T")


class Aside(Generic[T]):
    """`put` and `close` are the event loop's; `work` is called in the thread, with at most so many, oldest first. It
    says whether to go on at once with what else waits, and raises nothing.
    """

    def __init__(self, name: str, address: str, work: Callable[[list[T]], bool], *, most_at_once: int) -> None:
        self._name = name
        self._address = address
        self._work = work
        self._most_at_once = most_at_once
        self._waiting: deque[T] = deque()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_begun(self) -> bool:
        return self._thread is not None

    # --- On the event loop ----------------------------------------------------------------------------------------
    def put(self, one: T) -> None:
        self._waiting.append(one)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def drop_oldest(self) -> None:
        self._waiting.popleft()

    def close(self) -> None:
        """What waits is worked off, where that can be done soon."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(SILENT_S)

    # --- In the thread --------------------------------------------------------------------------------------------
    def put_back(self, ones: Iterable[T]) -> None:
        """They are the oldest again."""
        self._waiting.extendleft(reversed(list(ones)))

    def connected(self) -> psycopg.Connection[Any]:
        """Raises psycopg.OperationalError."""
        if self._connection is None:
            self._connection = connect(self._address)
        return self._connection

    def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(EVERY_S)
            while self._waiting and self._work(self._next()):
                pass
        self.disconnect()

    def _next(self) -> list[T]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most_at_once))]
