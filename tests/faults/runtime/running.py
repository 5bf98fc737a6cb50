"""A Capstan of processes: what was started, what it printed, and what runs for its data folder."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from finops.runtime.places import CHECKOUT

PATIENCE_S = 100


class Running:
    """One `manage.py …` on a data folder of its own, with nothing given, and what it printed."""

    def __init__(self, data: Path, *command: str) -> None:
        self.data = data
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
        }
        environment |= {"CAPSTAN_DATA": str(data), "CAPSTAN_STATIC": str(data.parent / "static")}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def said(self, pattern: str) -> str:
        """The first line that matches, once there is one."""

        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._ended, timeout=PATIENCE_S)
            line = found()
        assert line, f"nothing like {pattern!r} in:\n" + "\n".join(self.lines)
        return line

    def ended(self) -> int:
        status = self.process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=PATIENCE_S)
        return status

    def running(self) -> list[psutil.Process]:
        """Every process that works for this data folder: known by its environment, its folder or its command line."""
        found = []
        for process in psutil.process_iter():
            try:
                marks = [process.environ().get("CAPSTAN_DATA", ""), process.cwd(), *process.cmdline()]
                if process.status() != psutil.STATUS_ZOMBIE and any(str(self.data) in mark for mark in marks):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def child(self, word: str) -> psutil.Process:
        return next(
            process
            for process in self.process_tree()
            if any(word in part for part in process.cmdline()) and process.ppid() == self.process.pid
        )

    def process_tree(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        """However the test ended: nothing of it is left."""
        if self.process.poll() is None:
            self.process.terminate()
            self.ended()
        for process in self.running():
            process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


def eventually(fact: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found
