"""One HTTP connection to a gateway, as lean as can be, so that it is the gateway that is measured."""

from __future__ import annotations

import asyncio


class Client:
    """Sends one request after the other with a key."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret: str) -> None:
        self._reader, self._writer = reader, writer
        self._head = f"HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\ncontent-length: "

    @classmethod
    async def open(cls, port: int, secret: str) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port), secret)

    async def send(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        self._writer.write(f"{method} {path} {self._head}{len(body)}\r\n\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()
