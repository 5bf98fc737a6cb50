"""Books the demo's days in several processes. Imports nothing of Django at its head: a new process begins here."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final, NamedTuple

# What a process says: a stretch of days is booked, all are (with the outcomes), or why it cannot go on.
_STEP: Final = "step"
_END: Final = "end"
_TROUBLE: Final = "trouble"


class WorkerFailed(RuntimeError):
    """A process that booked days ended without having booked them all."""


class Share(NamedTuple):
    """What one process is to book, and where. `database` is Django's, so that it is the same one."""

    database: dict[str, Any]
    organization_id: int
    until: datetime
    charges: int
    stretches: list[range]


def book_in_processes(shares: list[Share], say: Callable[[], None]) -> Counter[str]:
    """Book every share at once; outcomes by status. Raises WorkerFailed."""
    outcomes: Counter[str] = Counter()
    with _started(shares) as listening:
        while listening:
            for ready in wait(list(listening)):
                assert isinstance(ready, Connection)  # noqa: S101 - narrows the type: only connections were given
                try:
                    kind, told = ready.recv()
                except EOFError:
                    raise WorkerFailed("a process that booked the demo ended early") from None
                if kind == _TROUBLE:
                    raise WorkerFailed(told)
                if kind == _STEP:
                    say()
                else:
                    outcomes += told
                    listening.remove(ready)
    return outcomes


@contextmanager
def _started(shares: list[Share]) -> Iterator[list[Connection]]:
    """The processes' connections; no process outlives the block."""
    context = multiprocessing.get_context("spawn")
    listening: list[Connection] = []
    processes: list[SpawnProcess] = []
    try:
        for share in shares:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, share), daemon=True)
            process.start()
            # Ours would keep the pipe open after its process has died.
            theirs.close()
            listening.append(ours)
            processes.append(process)
        yield listening
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()


def _work(tell: Connection, share: Share) -> None:
    """One process. Should its parent die, telling of the next stretch fails and ends it."""
    # Ctrl-C reaches the whole group of processes; the parent decides, and what is half done is never committed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import django

        django.setup()
        from django.db import connection

        from finops.ingest.demo.booking import Booking

        connection.settings_dict.update(share.database)
        booking = Booking(share.organization_id, until=share.until, charges=share.charges)
        outcomes = booking.book(share.stretches, lambda: tell.send((_STEP, None)))
        tell.send((_END, Counter({status.value: count for status, count in outcomes.items()})))
    except BrokenPipeError:
        return
    except Exception:  # noqa: BLE001 - whatever it was, the parent is to show it
        tell.send((_TROUBLE, traceback.format_exc()))
