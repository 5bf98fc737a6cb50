"""The least a gateway in Python can be: granian takes a request, aiohttp sends it on, the answer streams back. It reads
nothing, knows nobody and counts nothing. What `bench gateway` measures ours by.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

UPSTREAM: Final = "BENCH_UPSTREAM"
_OF_THE_CONNECTION: Final = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding"})


class Passthrough:
    """`BENCH_UPSTREAM` says where everything goes."""

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._pass(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            self._upstream = os.environ[UPSTREAM]
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._session.close()
            await send({"type": "lifespan.shutdown.complete"})

    async def _pass(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {str(k, "latin-1"): str(v, "latin-1") for k, v in scope["headers"] if k not in _OF_THE_CONNECTION}
        sent = self._session.request(scope["method"], self._upstream + scope["path"], headers=headers, data=body)
        async with sent as response:
            answer = [(k.lower(), v) for k, v in response.raw_headers if k.lower() not in _OF_THE_CONNECTION]
            await send({"type": "http.response.start", "status": response.status, "headers": answer})
            more = True
            while more:
                # A small answer is all there at once, and leaves at once.
                piece = await response.content.readany()
                more = not response.content.at_eof()
                await send({"type": "http.response.body", "body": piece, "more_body": more})


app = Passthrough()
