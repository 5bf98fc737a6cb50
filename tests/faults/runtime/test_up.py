"""`manage.py up`, for real: it comes up with nothing installed, mends itself, and leaves nothing running at its end."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from finops.runtime.places import CHECKOUT

PATIENCE_S = 100
pytestmark = pytest.mark.timeout(240)


class Up:
    """One `manage.py up` on a data folder and a port of its own, and what it printed."""

    def __init__(self, data: Path, port: int, *arguments: str) -> None:
        self.data = data
        self.port = port
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
        }
        environment |= {"CAPSTAN_DATA": str(data), "CAPSTAN_STATIC": str(data.parent / "static")}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "up", "--port", str(port), "--gateway-port", str(free_port())),
                *("--workers", "1", *arguments),
            ],
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

    def answers(self) -> bool:
        web = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            web.request("GET", "/healthz")
            return web.getresponse().status == 200
        except OSError:
            return False
        finally:
            web.close()


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


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def up(empty_data: Path, port: int) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def one(*arguments: str) -> Up:
        started.append(Up(empty_data, port, *arguments))
        return started[-1]

    yield one
    for each in started:
        if each.process.poll() is None:
            each.process.terminate()
            each.ended()
        for process in each.running():
            process.kill()
        assert each.process.stdout is not None
        each.process.stdout.close()


def test_it_comes_up_mends_itself_and_ctrl_c_leaves_nothing(up: Callable[..., Up]) -> None:
    capstan = up()
    assert capstan.said("^Open ").endswith(f"http://localhost:{capstan.port}/")
    assert capstan.answers()
    # Without a price book every call would be unpriced.
    assert capstan.said("Filling the price book")

    # A second one on the same data folder is told about the first.
    assert up().ended() == 1
    # A killed worker, and a killed database, are replaced.
    capstan.child("celery").kill()
    capstan.said("worker was killed by SIGKILL; starting it again|beat was killed by SIGKILL; starting it again")
    capstan.child("bin/postgres").kill()
    capstan.said("postgres was killed by SIGKILL; starting it again")
    assert eventually(capstan.answers)

    os.killpg(capstan.process.pid, signal.SIGINT)

    assert capstan.ended() == 0
    assert capstan.said("nothing is left running")
    assert capstan.running() == []
    assert not capstan.answers()


def test_killing_the_supervisor_leaves_nothing_and_the_next_start_works(up: Callable[..., Up]) -> None:
    capstan = up()
    capstan.said("^Open ")
    assert len(capstan.running()) > 5

    capstan.process.kill()
    capstan.ended()

    assert eventually(lambda: not capstan.running()), capstan.running()
    again = up()
    again.said("^Open ")
    assert again.answers()


def test_after_supervisor_and_janitor_were_killed_the_next_start_cleans_up(up: Callable[..., Up]) -> None:
    capstan = up()
    capstan.said("^Open ")
    left = {process.pid for process in capstan.running()} - {capstan.process.pid}
    janitor = capstan.child("finops.runtime.janitor")

    janitor.kill()
    capstan.process.kill()
    capstan.ended()
    assert [process for process in capstan.running() if process.pid in left]

    again = up()
    again.said("Stopping what an earlier run left")
    again.said("^Open ")
    assert not left & {process.pid for process in again.running()}


@pytest.mark.parametrize(
    "moment",
    [
        "Starting PostgreSQL",
        pytest.param("Making the tables", marks=pytest.mark.soak),
        pytest.param("Starting web", marks=pytest.mark.soak),
    ],
)
def test_a_stop_in_the_middle_of_starting_leaves_nothing(up: Callable[..., Up], moment: str) -> None:
    capstan = up()
    capstan.said(moment)

    capstan.process.terminate()

    assert capstan.ended() == 0
    assert capstan.running() == []


def test_a_busy_port_is_one_line_and_nothing_was_started(up: Callable[..., Up], port: int, empty_data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        capstan = up()
        assert capstan.ended() == 1
    assert len(capstan.lines) == 1, capstan.lines
    assert re.search(rf"port {port} is taken by .* \(process {os.getpid()}\); .*--port", capstan.lines[0])
    assert not (empty_data / "pg").exists()


def test_a_setting_that_cannot_be_read_is_one_line(up: Callable[..., Up], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSTAN_HTTPS", "perhaps")
    capstan = up()
    assert capstan.ended() == 1
    assert capstan.lines == [
        "Capstan cannot start: CAPSTAN_HTTPS='perhaps' cannot be used: not a yes or no. Set it to 1 or 0."
    ]
