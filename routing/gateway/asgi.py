"""The gateway as an ASGI application: `granian --interface asgi routing.gateway.asgi:app`. No framework, no Django."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

from finops.runtime.collecting import calm_collector
from routing.gateway.answers import Answer, Asked, refused
from routing.gateway.logs import configure
from routing.gateway.process import BODY_MOST, Process
from routing.gateway.proxy.client import BODY_WITHIN_S, Client, ClientGone
from routing.gateway.proxy.errors import BodySlow, BodyTooLarge
from routing.gateway.settings import from_environment, log_level, logs_json

log = logging.getLogger(__name__)
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
# A proxy on this machine says with these that it asks for somebody else.
_PASSED_ON: Final = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"})


class Gateway:
    """One for each process; started and stopped by the server's lifespan."""

    def __init__(self) -> None:
        self._process: Process | None = None

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                configure(json=logs_json(), level=log_level())
                await send(await self._started())
            elif message["type"] == "lifespan.shutdown":
                if self._process is not None:
                    await self._process.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _started(self) -> dict[str, Any]:
        """What the server is told. It would go on with half a gateway, if this raised."""
        try:
            process = Process(from_environment())
            await process.start()
        except Exception:
            log.exception("the gateway cannot start")
            return {"type": "lifespan.startup.failed", "message": "the gateway cannot start; its log says why"}
        self._process = process
        _tell_when_stopped(process.ends)
        calm_collector()
        return {"type": "lifespan.startup.complete"}

    async def _answer(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        assert self._process is not None  # noqa: S101 - the server waits for the start
        relay = self._process.relay
        if relay.takes(scope["path"]):
            await relay.answer(Client(scope, receive, send))
            return
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await _body(receive)
        except TimeoutError:
            answer = refused(BodySlow(f"the body did not come within {BODY_WITHIN_S:.0f} seconds"))
        except BodyTooLarge as error:
            answer = refused(error)
        except ClientGone:
            return
        else:
            answer = await self._process.door.answer(_asked(scope, body))
        await _send(send, answer)


def _tell_when_stopped(tell: Callable[[], None]) -> None:
    """The server waits for every call under way before it says that it stops: who is to end them must hear of it first.
    The server's own handler, which its event loop calls, stays in force.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: tell())


def _asked(scope: Mapping[str, Any], body: bytes) -> Asked:
    authorization = key = ""
    client = scope.get("client")
    local = client is not None and _is_loopback(client[0])
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == b"x-api-key":
            key = value.decode("latin-1")
        local = local and name not in _PASSED_ON
    query = scope["query_string"]
    given = dict(parse_qsl(query.decode("latin-1"))) if query else {}
    return Asked(scope["method"], scope["path"], given, authorization or key, body, local=local)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def _body(receive: Receive) -> bytes:
    """All of it. Raises BodyTooLarge, and ClientGone where the rest does not come."""
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_MOST:
            raise BodyTooLarge(f"a body has at most {BODY_MOST} bytes")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


app = Gateway()
