"""The embedded Valkey, for real: what was queued is there after a restart, and nobody else can reach it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from finops.runtime import processes
from finops.runtime.errors import ServerFailed
from finops.runtime.valkey import Place, Valkey, stop_leftovers

Make = Callable[[], Valkey]


@pytest.fixture
def make(empty_data: Path) -> Iterator[Make]:
    made: list[Valkey] = []

    def one() -> Valkey:
        made.append(Valkey(Place.below(empty_data)))
        return made[-1]

    yield one
    for server in made:
        server.stop()
        stop_leftovers(server.place)


def ask(server: Valkey, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.fspath(server.place.socket))
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(1000).decode()


def test_what_was_queued_outlives_a_restart(make: Make) -> None:
    first = make()
    first.start()
    assert ask(first, "RPUSH ingest task-1 task-2") == ":2\r\n"
    first.stop()

    second = make()
    second.start()

    assert ask(second, "LLEN ingest") == ":2\r\n"


def test_it_has_no_port_and_its_folder_is_ours_alone(make: Make) -> None:
    server = make()
    identity = server.start()
    listening = [
        one for one in psutil.Process(identity.pid).net_connections("inet") if one.status == psutil.CONN_LISTEN
    ]
    assert listening == []
    assert stat.S_IMODE(server.place.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.place.socket.stat().st_mode) == 0o700


def test_one_that_an_earlier_run_left_is_stopped_first(make: Make) -> None:
    left = make()
    first = left.start()
    left.disown()

    make().start()

    assert not processes.is_alive(first)


def test_a_damaged_file_is_told_with_its_log(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    for file in (server.place.folder / "appendonlydir").glob("*.manifest"):
        file.write_text("nonsense\n")
    with pytest.raises(ServerFailed, match=r"Valkey did not start: .*; the whole log is .*server.log"):
        server.start()
