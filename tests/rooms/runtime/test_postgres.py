"""The embedded PostgreSQL, for real: started, stopped, interrupted, left behind, and closed to everybody else."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from finops.runtime import binaries
from finops.runtime.errors import DataFolderUnusable, ServerFailed
from finops.runtime.places import CHECKOUT
from finops.runtime.postgres import Place, Postgres, running_processes, stop_leftovers

Make = Callable[..., Postgres]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")


@pytest.fixture
def make(empty_data: Path) -> Iterator[Make]:
    made: list[Postgres] = []

    def one(data: Path = empty_data, *, durable: bool = False) -> Postgres:
        made.append(Postgres(Place.below(data), durable=durable))
        return made[-1]

    yield one
    for server in made:
        server.stop()
        stop_leftovers(server.place)


def modes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mode for path in [folder, *folder.parents]}


def test_it_starts_answers_and_leaves_nothing_running(make: Make) -> None:
    server = make()
    server.start()
    with psycopg.connect(server.place.url()) as connection:
        row = connection.execute(
            "SELECT current_setting('listen_addresses'), upper('ölé'), current_database()"
        ).fetchone()
    assert row == ("", "ÖLÉ", "capstan")
    assert running_processes(server.place)

    server.stop()

    assert running_processes(server.place) == []


def test_what_was_written_is_there_after_a_kill_and_a_new_start(make: Make) -> None:
    server = make(durable=True)
    identity = server.start()
    with psycopg.connect(server.place.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('durable')")
    os.kill(identity.pid, signal.SIGKILL)

    again = make()
    again.start()

    with psycopg.connect(again.place.url()) as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("durable",)]


def test_a_server_that_an_earlier_run_left_is_stopped_first(make: Make) -> None:
    left = make()
    first = left.start()
    left.disown()

    second = make().start()

    assert first.pid != second.pid
    assert [process.ppid() for process in running_processes(left.place) if process.pid == second.pid] == [os.getpid()]


def test_an_interrupted_initdb_is_begun_anew(make: Make) -> None:
    server = make()
    torn = server.place.cluster.with_name("18.new")
    torn.mkdir(parents=True)
    (torn / "base").mkdir()
    (torn / "PG_VERSION").write_text("18\n")

    server.start()

    assert not torn.exists()


def test_a_folder_that_is_no_cluster_is_named_with_the_way_out(make: Make) -> None:
    server = make()
    server.place.cluster.mkdir(parents=True)
    (server.place.cluster / "holiday.jpg").touch()
    with pytest.raises(
        DataFolderUnusable, match=r"is not a PostgreSQL cluster .*; move .* away .*CAPSTAN_DATA"
    ) as refused:
        server.start()
    assert "\n" not in refused.value.message
    assert (server.place.cluster / "holiday.jpg").exists()


def test_a_cluster_of_another_version_is_named_with_the_way_out(make: Make) -> None:
    server = make()
    server.place.cluster.mkdir(parents=True)
    (server.place.cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(DataFolderUnusable, match="was made by PostgreSQL 15, this is 18; move"):
        server.start()


def test_a_lock_naming_a_process_that_is_not_postgres_does_not_stop_it(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    (server.place.cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{server.place.cluster}\n1\n5432\n\n\n1 1\n")
    server.start()


def test_a_server_that_cannot_start_says_its_last_words(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    (server.place.cluster / "postgresql.conf").write_text("max_connections = many\n")
    with pytest.raises(ServerFailed, match=r"PostgreSQL did not start: .*; the whole log is .*postgres.log"):
        server.start()
    assert running_processes(server.place) == []


def test_a_path_too_long_for_a_socket_gets_a_short_one(make: Make, empty_data: Path) -> None:
    deep = empty_data / ("deep" * 20) / "data"
    server = make(deep)
    deep.parent.mkdir(parents=True)

    server.start()

    assert server.place.sockets != server.place.folder
    assert stat.S_IMODE(server.place.sockets.stat().st_mode) == 0o700
    with psycopg.connect(server.place.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()
    assert not server.place.sockets.exists()


def test_nothing_outside_the_data_folder_changes_its_mode(make: Make, empty_data: Path) -> None:
    wheel = binaries.postgres_folder()
    before = modes(empty_data.parent) | modes(wheel / "bin" / "postgres")

    make().start()

    assert modes(empty_data.parent) | modes(wheel / "bin" / "postgres") == before
    assert stat.S_IMODE((empty_data / "pg").stat().st_mode) == 0o700


@as_root
def test_as_root_it_runs_as_another_user_whom_nobody_logs_in_as(make: Make) -> None:
    identity = make().start()
    account = binaries.server_account()
    assert account.uid != 0
    assert psutil.Process(identity.pid).uids().effective == account.uid
    assert psutil.Process(identity.pid).gids().effective == account.gid


@as_root
@pytest.mark.parametrize("who", ["nobody", "the server's own user"])
def test_as_root_no_other_user_of_the_machine_can_log_in(make: Make, who: str) -> None:
    server = make()
    server.start()
    account = binaries.server_account()
    entry = pwd.getpwnam("nobody") if who == "nobody" else pwd.getpwuid(account.uid)
    psql = binaries.runnable_postgres(server.place.folder.parent, account) / "bin" / "psql"
    done = subprocess.run(
        [os.fspath(psql), "-h", os.fspath(server.place.sockets), "-U", "postgres", "-c", "SELECT 1", "capstan"],
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Permission denied" in done.stderr or "Peer authentication failed" in done.stderr


@as_root
def test_as_root_a_closed_folder_above_is_named_and_not_opened(make: Make, empty_data: Path) -> None:
    closed = empty_data / "home"
    closed.mkdir(parents=True, mode=0o700)
    server = make(closed / "data")
    with pytest.raises(DataFolderUnusable, match=rf"cannot enter {closed} .*set CAPSTAN_DATA"):
        server.start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_as_root_a_closed_folder_with_others_files_is_not_opened(make: Make, empty_data: Path) -> None:
    empty_data.mkdir(mode=0o700)
    (empty_data / "diary.txt").touch()
    with pytest.raises(DataFolderUnusable, match=r"files that are not ours \(diary.txt\)"):
        make().start()
    assert stat.S_IMODE(empty_data.stat().st_mode) == 0o700


@as_root
def test_it_runs_as_an_ordinary_user_too(empty_data: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    empty_data.mkdir()
    os.chown(empty_data, nobody.pw_uid, nobody.pw_gid)
    code = (
        "import pathlib, sys, psycopg\n"
        "from finops.runtime.postgres import Place, Postgres, running_processes\n"
        "from finops.runtime import valkey\n"
        "data = pathlib.Path(sys.argv[1])\n"
        "server, queue = Postgres(Place.below(data)), valkey.Valkey(valkey.Place.below(data))\n"
        "server.start(); queue.start()\n"
        "print(psycopg.connect(server.place.url()).execute('SELECT current_database()').fetchone()[0])\n"
        "server.stop(); queue.stop()\n"
        "print(running_processes(server.place))\n"
    )
    as_nobody: dict[str, Any] = {
        "user": nobody.pw_uid,
        "group": nobody.pw_gid,
        "extra_groups": [],
        "cwd": CHECKOUT,
        "env": {"PYTHONDONTWRITEBYTECODE": "1"},
        "capture_output": True,
        "text": True,
    }
    try:
        subprocess.run([sys.executable, "-c", "import finops, psycopg"], check=True, **as_nobody)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"an ordinary user cannot run {sys.executable} or read {CHECKOUT} here")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, empty_data], check=False, **as_nobody)
    assert done.stdout == "capstan\n[]\n", done.stderr
    assert (empty_data / "pg").stat().st_uid == nobody.pw_uid
