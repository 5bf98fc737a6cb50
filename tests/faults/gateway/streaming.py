"""Clients that stream, over sockets of their own; and an upstream in a process of its own."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, Final, NamedTuple

from finops.runtime.places import CHECKOUT

DONE: Final = b"data: [DONE]"
_WITHIN_S: Final = 40


class Provider:
    """`python -m tests.fakes.upstream`."""

    def __init__(self, script: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.upstream", "--script", json.dumps(script)],
            cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def get(self, path: str = "") -> Any:
        return self._send("GET", f"/_{path}")

    def steer(self, **said: Any) -> None:
        self._send("POST", "/_", json.dumps(said))

    def _send(self, method: str, path: str, body: str | None = None) -> Any:
        connection = HTTPConnection(self.address.removeprefix("http://"), timeout=20)
        connection.request(method, path, body)
        try:
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Said(NamedTuple):
    """An answer as far as it was read; `status` 0 where none came. `whole`: HTTP says that there is no more."""

    status: int
    head: bytes
    body: bytes
    whole: bool
    began_at: float = 0.0

    def header(self, name: str) -> str:
        lines = self.head.decode().lower().split("\r\n")
        return next((line.partition(":")[2].strip() for line in lines if line.startswith(name + ":")), "")

    @property
    def good(self) -> bool:
        return self.status == 200 and self.whole and DONE in self.body


def request(secret: str, body: bytes) -> bytes:
    head = (
        "POST /v1/chat/completions HTTP/1.1", "host: x", "connection: close", f"authorization: Bearer {secret}",
        "content-type: application/json", f"content-length: {len(body)}", "", "",
    )  # fmt: skip
    return "\r\n".join(head).encode() + body


async def ask(port: int, secret: str, body: bytes, *, leaves_after: int | None = None) -> Said:
    """One call over a connection of its own; who leaves does so once so many bytes have come."""
    head = got = b""
    status = 0
    try:
        async with asyncio.timeout(_WITHIN_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request(secret, body))
                if leaves_after == 0:
                    return Said(0, b"", b"", whole=False)
                head = await reader.readuntil(b"\r\n\r\n")
                status, began = int(head[9:12]), time.monotonic()
                while piece := await reader.read(65_536):
                    got += piece
                    if leaves_after is not None and len(got) >= leaves_after:
                        writer.transport.abort()
                        return Said(status, head, got, whole=False, began_at=began)
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return Said(status, head, got, whole=False)
    said = Said(status, head, got, whole=True, began_at=began)
    length = said.header("content-length")
    return said._replace(whole=len(got) == int(length) if length else got.endswith(b"0\r\n\r\n"))


class Crowd:
    """Clients that ask one of the processes after another, and leave now and then in the middle."""

    def __init__(self, ports: list[int], secret: str, *, leaving: float, call: Mapping[str, Any]) -> None:
        self._ports = ports
        self._secret = secret
        self._leaving = leaving
        self._body = json.dumps(dict(call)).encode()
        self.stopping = False
        self.counts: Counter[str] = Counter()
        self.said: list[tuple[float, Said]] = []

    async def run(self, clients: int) -> None:
        await asyncio.gather(*[self._client(random.Random(n)) for n in range(clients)])

    async def _client(self, dice: random.Random) -> None:
        while not self.stopping:
            leaves = dice.randrange(6_000) if dice.random() < self._leaving else None
            began = time.monotonic()
            said = await ask(dice.choice(self._ports), self._secret, self._body, leaves_after=leaves)
            if leaves is not None and not said.whole:
                self.counts["left"] += 1
                continue
            self.counts[str(said.status) if said.whole else f"{said.status} broken"] += 1
            self.said.append((began, said))
            if said.status != 200:
                await asyncio.sleep(dice.random() / 10)
