"""Gateway processes behind HTTP, each with a server of its own, and the house beside them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from bench.http import Client
from finops.runtime.places import CHECKOUT
from finops.runtime.postgres import Postgres
from tests.aside import run
from tests.waiting import until

PROCESSES = 4


class Gateways:
    """The processes, each with a server of its own before it, and the house beside them."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        self.folder = folder
        self.server = server
        self.environment = os.environ | {
            "DATABASE_URL": server.place.url(),
            "CAPSTAN_SECRET_KEY": "stress",
            "CAPSTAN_JOURNAL": str(folder / "gateway"),
            "CAPSTAN_DATA": str(folder),
            "CAPSTAN_INTERNAL_HOSTS": "127.0.0.1",
        }
        self.house = self._started("-m", "tests.faults.gateway.house")
        self.company = self._read()
        self.ports = [_free_port() for _ in range(PROCESSES)]
        self.processes = [self._gateway(port) for port in self.ports]

    def do(self, what: str, **given: Any) -> Any:
        assert self.house.stdin is not None
        self.house.stdin.write((json.dumps({"do": what} | given) + "\n").encode())
        self.house.stdin.flush()
        return self._read()

    def kill(self, n: int) -> None:
        """The process that decides, not the server that would replace it, and then the server."""
        os.killpg(self.processes[n].pid, signal.SIGKILL)
        self.processes[n].wait()

    def start(self, n: int) -> None:
        self.processes[n] = self._gateway(self.ports[n])

    def serve(self, address: str, **given: Any) -> None:
        """What an upstream has, once every process knows of it."""
        self.do("upstream", address=address, **given)
        until(lambda: all(self._knows(port) for port in self.ports))

    def _knows(self, port: int) -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/v1/models/gpt", headers={"authorization": f"Bearer {self.company['caller']}"})
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    async def jump(self, n: int, seconds: float) -> None:
        """Sets the clock of the machine that process believes it stands on."""
        client = await Client.open(self.ports[n], self.company["secret"])
        _, moved = await client.send("POST", f"/jump/{seconds}", b"")
        client.close()
        assert abs(float(moved) - seconds) < 1

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                # Its server was told before it could listen, and does not hear it.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def close(self) -> None:
        self.stop()
        assert self.house.stdin is not None
        assert self.house.stdout is not None
        self.house.stdin.close()
        self.house.wait(30)
        self.house.stdout.close()

    def _gateway(self, port: int) -> subprocess.Popen[bytes]:
        where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--log-level", "error")
        return self._started("-m", "granian", "--interface", "asgi", *where, "tests.faults.gateway.jumping:app")

    def _started(self, *arguments: str) -> subprocess.Popen[bytes]:
        pipes: dict[str, Any] = {}
        if "granian" not in arguments:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=CHECKOUT, env=self.environment, start_new_session=True, **pipes
        )

    def _read(self) -> Any:
        assert self.house.stdout is not None
        line = self.house.stdout.readline()
        assert line, "the house has ended"
        return json.loads(line)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


async def ready(gateways: Gateways, which: int) -> None:
    while True:
        try:
            client = await Client.open(gateways.ports[which], gateways.company["secret"])
            status, _ = await client.send("GET", "/readyz", b"")
            client.close()
            if status == 200:
                return
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(0.05)


def settled(gateways: Gateways, patience_s: float = 30) -> None:
    """A last process adopts what is left, and the house books all there is."""
    gateways.start(0)
    run(ready(gateways, 0))
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        found = gateways.do("standing")
        if not found["waiting"] and all(not Decimal(leased) for *_, leased, _, _ in found["accounts"]):
            return
        time.sleep(0.3)
