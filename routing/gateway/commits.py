"""Makes the journal durable for all who wait at once, beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Final, TypeVar

from finops.budgets.journal import Journal, JournalFailed

# A disk that takes less is waited for where nobody else is held up: to wake a thread and be woken takes as long.
QUICK_S: Final = 0.001
T = TypeVar("T")


class Commits:
    """One thread that syncs the journal whenever somebody waits; whoever comes meanwhile is in the next round."""

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = journal
        self._loop = loop
        self._waiting: list[asyncio.Future[None]] = []
        self._changing = threading.Lock()
        self._news = threading.Event()
        self._stopping = False
        # How long the disk took last.
        self._took_s = QUICK_S
        self._thread = threading.Thread(target=self._sync, name="commits", daemon=True)
        self._thread.start()

    async def wait(self, ticket: int, *, alone: bool = False) -> None:
        """Return once the record is durable; while the call is `alone` in this process it may hold up the event loop.
        Raises JournalFailed.
        """
        if ticket <= self._journal.durable:
            return
        if alone and self._took_s < QUICK_S and self._timed(self._journal.sync_at_once):
            return
        future: asyncio.Future[None] = self._loop.create_future()
        with self._changing:
            self._waiting.append(future)
        if not self._news.is_set():
            self._news.set()
        await future

    def close(self) -> None:
        self._stopping = True
        self._news.set()
        self._thread.join()

    def _sync(self) -> None:
        while not self._stopping:
            self._news.wait()
            self._news.clear()
            with self._changing:
                waiting, self._waiting = self._waiting, []
            if not waiting:
                continue
            failed: JournalFailed | None = None
            try:
                self._timed(self._journal.sync)
            except JournalFailed as error:
                failed = error
            self._loop.call_soon_threadsafe(_tell, waiting, failed)

    def _timed(self, syncs: Callable[[], T]) -> T:
        durable, began = self._journal.durable, perf_counter()
        said = syncs()
        if self._journal.durable > durable:
            # Where there was nothing to do, that says nothing of the disk.
            self._took_s = perf_counter() - began
        return said


def _tell(futures: list[asyncio.Future[None]], failed: JournalFailed | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failed is None:
            future.set_result(None)
        else:
            future.set_exception(failed)
