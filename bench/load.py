"""The load of `bench gateway`: one process, raw HTTP/1.1 over connections that stay open, each asking again as soon as
it is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, Final, NamedTuple, cast

import uvloop

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_EVENT: Final = b"data: "


class Job(NamedTuple):
    """`requests`, whole ones, are asked in turn by `connections` at once; until `seconds` are over, or for 0 once."""

    port: int
    requests: Sequence[bytes]
    connections: int
    seconds: float = 0.0


class Done(NamedTuple):
    """Times are medians of all answers, in milliseconds. `first_ms` is until the first byte of a body. `open_most` says
    how many answers had begun and not ended at once.
    """

    answers: int
    seconds: float
    whole_ms: float
    first_ms: float
    events: int
    open_most: int
    last: bytes

    @property
    def per_s(self) -> float:
        return self.answers / self.seconds


class Failed(Exception):
    """An answer was no good."""


class Load:
    """The process. Its jobs are done one after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()

    def do(self, job: Job, meanwhile: Callable[[], object] = lambda: None) -> Done:
        """Raises Failed with what was answered, when it was not a 200."""
        self._pipe.send(job)
        while not self._pipe.poll(0.05):
            meanwhile()
        done = self._pipe.recv()
        if isinstance(done, str):
            raise Failed(done)
        assert isinstance(done, Done)
        return done

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


def _work(pipe: Connection) -> None:
    while True:
        job = pipe.recv()
        try:
            pipe.send(uvloop.run(_Working(job).run()))
        except (Failed, OSError) as error:
            pipe.send(str(error) or repr(error))


class _Working:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.requests: Iterator[bytes] = itertools.cycle(job.requests)
        self.end = 0.0
        self.whole: list[float] = []
        self.first: list[float] = []
        self.events = self.open = self.open_most = 0
        self.last = b""

    async def run(self) -> Done:
        loop = asyncio.get_running_loop()
        made = [
            (await loop.create_connection(lambda: _Caller(self, loop.create_future()), "127.0.0.1", self.job.port))[1]
            for _ in range(self.job.connections)
        ]
        began = time.perf_counter()
        self.end = began + self.job.seconds
        for caller in made:
            caller.ask()
        await asyncio.gather(*[caller.done for caller in made])
        seconds = time.perf_counter() - began
        whole, first = median(self.whole) * 1000, median(self.first) * 1000
        return Done(len(self.whole), seconds, whole, first, self.events, self.open_most, self.last)


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, working: _Working, done: asyncio.Future[None]) -> None:
        self.done = done
        self._working = working
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._began = 0.0
        self._buffer = bytearray()
        # Where the body begins, once the head is there; and where it ends, -1 where it is chunked.
        self._body = self._end = 0
        self._first = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A real one of uvloop is none by its class.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was closed: {exc}")

    def ask(self) -> None:
        self._buffer.clear()
        self._body, self._first = 0, False
        self._began = time.perf_counter()
        self._transport.write(next(self._working.requests))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._body and not self._head():
            return
        if not self._first and len(buffer) > self._body:
            self._first = True
            self._working.first.append(time.perf_counter() - self._began)
            self._working.open += 1
            self._working.open_most = max(self._working.open_most, self._working.open)
        # Nothing that is answered here looks like the end of chunks.
        if len(buffer) >= self._end if self._end >= 0 else buffer.endswith(b"\r\n0\r\n\r\n"):
            self._ended()

    def _head(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._body = end + 4
        length = _LENGTH.search(buffer, 0, end + 2)
        if not buffer.startswith(b"HTTP/1.1 200") or not (length or _CHUNKED.search(buffer, 0, end + 2)):
            self._fail(bytes(buffer[:2000]).decode("latin-1"))
            return False
        self._end = self._body + int(length[1]) if length else -1
        return True

    def _ended(self) -> None:
        working = self._working
        now = time.perf_counter()
        working.whole.append(now - self._began)
        working.open -= 1
        if self._end < 0:
            working.events += self._buffer.count(_EVENT)
        if now < working.end:
            self.ask()
            return
        working.last = bytes(self._buffer)
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(Failed(why))


def post(path: str, body: bytes, headers: dict[str, Any]) -> bytes:
    """A request as it goes over the wire."""
    said = {"host": "bench", "content-type": "application/json", "content-length": len(body), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body
