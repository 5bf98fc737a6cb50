"""Workers in their own processes, killed (SIGKILL) where a test says: at a request, at the end of a booking, or at any
moment after. What they did is compared with what they would have.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import psycopg
from django.db import connection

from finops.runtime.places import CHECKOUT
from tests.factories.ledger import rows
from tests.waiting import until

KILLED: Final = -9
_DATABASE: Final = ("NAME", "HOST", "PORT", "USER", "PASSWORD")


class Workers:
    """One at a time: `begin`, and then `kill` or `end`, which give its exit code."""

    def __init__(self) -> None:
        said = {name: connection.settings_dict[name] for name in _DATABASE}
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.polling.worker"],
            cwd=CHECKOUT,
            env=os.environ
            | {"CAPSTAN_TEST_DATABASE": json.dumps(said), "DJANGO_SETTINGS_MODULE": "finops.config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # So that what may be read is what was not read yet.
            bufsize=0,
        )
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._in, self._out = self._parent.stdin, self._parent.stdout
        self._is_at_work = self._is_ended = False
        assert self._read() == "ready"

    def begin(self, what: str, number: int, *, host: str, at: datetime) -> None:
        """A turn of a feed (`poll`) or of a job (`backfill`), by a clock that stands at `at`."""
        self._is_at_work, self._is_ended = True, False
        self._write(json.dumps({"what": what, "id": number, "host": host, "at": at.isoformat()}))

    @property
    def is_ended(self) -> bool:
        """It came to its end by itself."""
        if not self._is_ended and select.select([self._out], [], [], 0)[0]:
            assert self._read() == "ended"
            self._is_ended = True
        return self._is_ended

    def kill(self) -> int:
        return self._over("kill")

    def end(self) -> int:
        """Waits until it has."""
        soon(lambda: self.is_ended)
        return self._over("bury")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Nobody is at the end, whatever became of the test."""
        try:
            yield
        finally:
            if self._is_at_work:
                self.kill()

    def close(self) -> None:
        self._in.close()
        self._parent.wait()
        self._out.close()

    def _over(self, word: str) -> int:
        self._write(word)
        self._is_at_work = False
        said = self._read()
        if said == "ended":
            said = self._read()
        return int(said)

    def _write(self, line: str) -> None:
        self._in.write(line.encode() + b"\n")

    def _read(self) -> str:
        return self._out.readline().decode().strip()


def soon(holds: Callable[[], object]) -> None:
    """Looks often: what is to be killed does not wait."""
    until(holds, every_s=0.002)


def settled() -> None:
    """PostgreSQL notices later than the kernel: what it was told last is done or taken back when the session ends."""
    soon(lambda: not _others())


def _others() -> list[tuple[Any, ...]]:
    return rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )


class Before:
    """Keeps whoever books from ending: first from the rows it is to write, then from the last write before its commit,
    which is that of the feed's own row.
    """

    def __init__(self, table: str, feed_id: int) -> None:
        self._feed_id = feed_id
        # Nothing is written there; reading goes on.
        self._rows = _connected()
        self._rows.execute(f"LOCK TABLE {table} IN SHARE MODE")
        self._feed: psycopg.Connection[Any] | None = None

    def is_at_rows(self) -> bool:
        return bool(_waiting())

    def on_to_the_feed(self) -> None:
        self._feed = _connected()
        self._feed.execute("SELECT FROM polling_polledfeed WHERE id = %s FOR UPDATE", [self._feed_id])
        self._rows.close()

    def is_at_feed(self) -> bool:
        return any(query.startswith('UPDATE "polling_polledfeed"') for query in _waiting())

    def close(self) -> None:
        self._rows.close()
        if self._feed is not None:
            self._feed.close()


@contextmanager
def before_the_end(table: str, feed_id: int) -> Iterator[Before]:
    made = Before(table, feed_id)
    try:
        yield made
    finally:
        made.close()


def _waiting() -> list[str]:
    """What those who wait for somebody's lock want to do."""
    found = rows(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND pid <> pg_backend_pid()"
    )
    return [query for (query,) in found]


def _connected() -> psycopg.Connection[Any]:
    said = connection.settings_dict
    made = psycopg.connect(
        dbname=said["NAME"], host=said["HOST"], port=said["PORT"] or None, user=said["USER"], password=said["PASSWORD"]
    )
    made.execute("SET lock_timeout = '20s'")
    return made
