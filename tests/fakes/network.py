"""A network between a process and its database that forgets its connections: they stay open, and nothing passes.
So does a firewall that lost its state, where something beside it goes on answering for the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.fakes.blunt import Blunt

_PIECE: Final = 2**16


class Network:
    """The database at `address`, by way of it."""

    def __init__(self, address: str) -> None:
        there = conninfo_to_dict(address)
        self._host, self._port = str(there.get("host") or "127.0.0.1"), str(there.get("port") or 5432)
        self._forgot = 0
        self._server = Blunt(self._talk)
        self.address = make_conninfo(address, host="127.0.0.1", port=urlsplit(self._server.address).port)

    def forgets(self) -> None:
        """Connections so far are dead, and nobody is told; new ones pass."""
        self._forgot += 1

    def close(self) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        since = self._forgot
        if self._host.startswith("/"):
            there, back = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            there, back = await asyncio.open_connection(self._host, self._port)
        try:
            await asyncio.gather(self._pass(reader, back, since), self._pass(there, writer, since))
        finally:
            back.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, since: int) -> None:
        while piece := await source.read(_PIECE):
            if since == self._forgot:
                sink.write(piece)
                await sink.drain()
        if since != self._forgot:
            # Nor does anybody hear that one of the two went.
            await asyncio.Event().wait()
        sink.close()


@contextmanager
def network(address: str) -> Iterator[Network]:
    running = Network(address)
    try:
        yield running
    finally:
        running.close()
