"""The client's side of a call, over ASGI: its request read within bounds, the answer sent as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from routing.gateway.proxy.errors import BodySlow, BodyTooLarge

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# What Anthropic takes at most, and more than OpenAI does.
BODY_MOST: Final = 32 * 2**20
BODY_WITHIN_S: Final = 60.0
_FINISHED_WITHIN_S: Final = 30.0
# Beyond any body, and well below what Python makes numbers of.
_LONGEST_NUMBER: Final = 18


class ClientGone(Exception):
    """Nobody listens any more."""


class Client:
    """One request of a client, and the answer to it."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query = str(scope["query_string"], "latin-1")
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self._receive = receive
        self._send = send
        self.started = self.finished = False
        # What its call goes by here.
        self.call_id = ""
        # How many bytes of its body were read.
        self.asked_bytes = 0
        # What it was told: the status, and how many bytes of a body.
        self.status = 0
        self.said_bytes = 0

    @property
    def secret(self) -> str:
        """The virtual key, wherever a client of any family puts it."""
        given = self.headers
        bearer: str = given.get("authorization", "").removeprefix("Bearer ").removeprefix("bearer ").strip()
        return bearer or given.get("x-api-key", "").strip() or given.get("api-key", "").strip()

    @property
    def declared_bytes(self) -> int:
        """How many its body is said to have, 0 where that is not said."""
        declared = self.headers.get("content-length", "")
        return int(declared[:_LONGEST_NUMBER]) if declared.isdecimal() else 0

    async def body(self, took: Callable[[int], None]) -> bytes:
        """All of it; `took` is told of each part's bytes once they are in `asked_bytes`, and may raise. Raises
        BodyTooLarge, BodySlow and ClientGone.
        """
        if self.declared_bytes > BODY_MOST:
            raise BodyTooLarge(f"a body has at most {BODY_MOST} bytes")
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                return await self._read(took)
        except TimeoutError:
            raise BodySlow(f"the body did not come within {BODY_WITHIN_S:.0f} seconds") from None

    async def _read(self, took: Callable[[int], None]) -> bytes:
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            self.asked_bytes += len(part)
            took(len(part))
            if self.asked_bytes > BODY_MOST:
                raise BodyTooLarge(f"a body has at most {BODY_MOST} bytes")
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def gone(self) -> None:
        """Return when nobody listens any more."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """What is done within this ends as soon as nobody listens any more: it raises ClientGone then."""
        listens = asyncio.timeout(None)
        try:
            async with listens:
                watcher = asyncio.get_running_loop().create_task(self._ends(listens))
                try:
                    yield
                finally:
                    watcher.cancel()
        except TimeoutError:
            if listens.expired():
                raise ClientGone from None
            raise

    async def _ends(self, listens: asyncio.Timeout) -> None:
        await self.gone()
        listens.reschedule(0)

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.started = True
        self.status = status
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        await self._say({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, body: bytes) -> None:
        self.said_bytes += len(body)
        await self._say({"type": "http.response.body", "body": body, "more_body": True})

    async def finish(self, body: bytes = b"") -> None:
        """Nobody waits long for who does not read."""
        self.finished = True
        self.said_bytes += len(body)
        try:
            async with asyncio.timeout(_FINISHED_WITHIN_S):
                await self._say({"type": "http.response.body", "body": body, "more_body": False})
        except TimeoutError:
            raise ClientGone from None

    async def answer(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """All of an answer at once, which the server takes whole: nobody is waited for."""
        await self.start(status, [*headers, ("content-length", str(len(body)))])
        self.finished = True
        self.said_bytes += len(body)
        await self._say({"type": "http.response.body", "body": body, "more_body": False})

    def tap(self, tapped: Callable[[Send], Send]) -> None:
        """What it is told from now on is told through this."""
        self._send = tapped(self._send)

    async def _say(self, message: dict[str, Any]) -> None:
        """Raises ClientGone."""
        try:
            await self._send(message)
        except (RuntimeError, OSError):
            # As some servers say that nobody is there any more.
            raise ClientGone from None
