"""A server that knows no HTTP: it says the bytes it is told to, and does what no HTTP library lets one do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

_PATIENCE_S: Final = 20
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Blunt:
    """`talk` has one connection, from its beginning to where the connection is closed."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        # Connections so far, and those that are open.
        self.connections = self.open = 0
        # Asyncio itself forgets whoever waits for what never happens.
        self._talking: set[asyncio.Task[None] | None] = set()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(_PATIENCE_S)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._talking.add(asyncio.current_task())
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # who asked is gone, or all of this ends
        finally:
            self.open -= 1
            self._talking.discard(asyncio.current_task())
            writer.close()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def blunt(talk: Talk) -> Iterator[Blunt]:
    running = Blunt(talk)
    try:
        yield running
    finally:
        running.close()


async def asked(reader: asyncio.StreamReader) -> bytes:
    """One request, its body too."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(length)


def head(media_type: str, *more: str, status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", f"content-type: {media_type}", *more, "", "")).encode()
