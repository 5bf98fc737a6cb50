"""A very small HTTP server for fakes: keep-alive, JSON in and out, and answers in pieces. Loopback only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

_REASONS: Final = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 503: "Unavailable"}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Said:
    """`pieces` are sent as they come; `body` at once. Status 0 closes the connection instead."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: AsyncIterator[bytes] | None = None


Handler = Callable[[Asked], Awaitable[Said]]


async def serve(handler: Handler, port: int = 0) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while asked := await _asked(reader):
                if not await _say(writer, await handler(asked)):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", port, limit=2**22)


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _asked(reader: asyncio.StreamReader) -> Asked | None:
    line = await reader.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (row := (await reader.readline()).decode().strip()) != "":
        name, _, value = row.partition(":")
        headers[name.strip().lower()] = value.strip()
    raw = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            raw += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    elif length := int(headers.get("content-length", "0")):
        raw = await reader.readexactly(length)
    parts = urlsplit(target)
    return Asked(method, parts.path, dict(parse_qsl(parts.query)), headers, json.loads(raw) if raw else None)


async def _say(writer: asyncio.StreamWriter, said: Said) -> bool:
    """Whether the connection stays."""
    if said.status == 0:
        return False
    head = [
        f"HTTP/1.1 {said.status} {_REASONS.get(said.status, 'Said')}",
        *(f"{k}: {v}" for k, v in said.headers.items()),
    ]
    if said.pieces is None:
        body = json.dumps(said.body).encode()
        head += ["content-type: application/json", f"content-length: {len(body)}"]
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        await writer.drain()
        return True
    head += ["content-type: text/event-stream", "transfer-encoding: chunked"]
    writer.write("\r\n".join([*head, "", ""]).encode())
    async for piece in said.pieces:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True
