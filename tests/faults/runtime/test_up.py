"""`manage.py up`, for real: it comes up with nothing installed, mends itself, and leaves nothing running at its end."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.runtime.running import Running, eventually, free_port

pytestmark = pytest.mark.timeout(240)


class Up(Running):
    """One `manage.py up` on ports of its own."""

    def __init__(self, data: Path, port: int, *arguments: str) -> None:
        self.port = port
        ports = ("--port", str(port), "--gateway-port", str(free_port()))
        super().__init__(data, "up", *ports, "--workers", "1", *arguments)

    def answers(self) -> bool:
        web = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            web.request("GET", "/healthz")
            return web.getresponse().status == 200
        except OSError:
            return False
        finally:
            web.close()


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
        each.close()


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


@pytest.mark.soak
@pytest.mark.usefixtures("made_data")
def test_whoever_is_killed_leaves_nothing_that_the_next_start_does_not_end(up: Callable[..., Up]) -> None:
    capstan = up()
    capstan.said("^Open ")
    assert len(capstan.running()) > 5

    capstan.process.kill()
    capstan.ended()

    assert eventually(lambda: not capstan.running()), capstan.running()
    capstan = up()
    capstan.said("^Open ")
    assert capstan.answers()
    left = {process.pid for process in capstan.running()} - {capstan.process.pid}
    janitor = capstan.child("finops.runtime.janitor")

    # With the janitor, who ends what is left, nobody does.
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
