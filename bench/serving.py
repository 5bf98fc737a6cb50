"""Servers of benchmarks: a process of its own on a port of its own, what it uses, and its end."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

_PATIENCE_S: Final = 120.0


class CannotServe(Exception):
    """It is not installed here, or does not start; the message says why."""


class Server:
    """Started when made; `ready` waits until it serves, and `end` stops it as an operator would."""

    def __init__(
        self, command: Sequence[str], port: int, log: Path, environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self.port = port
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(environment), cwd=folder
            )

    def ready(self, path: str) -> Server:
        """Itself, once `path` is answered with 200. Raises CannotServe."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return self
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.1)
        self.end()
        raise CannotServe(f"it did not start: {self._log.read_text(errors='replace')[-1000:]}")

    def cpu_s(self) -> float:
        """Processor time used so far, of it and its children."""
        # The kernel's own clock of a process (clock_getcpuclockid(3)): nanoseconds, where /proc has hundredths.
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self._tree())

    def rss_mb(self) -> float:
        return sum(psutil.Process(pid).memory_info().rss for pid in self._tree()) / 2**20

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tree(self) -> list[int]:
        return [self._process.pid, *(one.pid for one in psutil.Process(self._process.pid).children(recursive=True))]


def granian(app: str, log: Path, environment: Mapping[str, str]) -> Server:
    """An ASGI application in one worker, with granian's defaults, as deploy/ has the gateway."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--log-level", "warning", app),
    ]
    return Server(command, port, log, os.environ | environment)


def gateway(folder: Path, more: Mapping[str, str] | None = None) -> Server:
    """A gateway process on the database in use, with its journal in a folder. Raises CannotServe."""
    from django.conf import settings

    entry = settings.DATABASES["default"]
    host = quote(str(entry["HOST"]), safe="")
    url = f"postgresql://{entry['USER']}@/{entry['NAME']}?host={host}" + (f"&port={p}" if (p := entry["PORT"]) else "")
    environment = {
        "DATABASE_URL": url,
        "CAPSTAN_SECRET_KEY": settings.SECRET_KEY,
        "CAPSTAN_JOURNAL": str(folder / "served"),
        **(more or {}),
    }
    return granian("routing.gateway.asgi:app", folder / "gateway.log", environment).ready("/readyz")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
