"""The embedded PostgreSQL: one cluster in the data folder, reached by a Unix socket, run by us and stopped by us.

No TCP port is opened. Who may log in is decided by the operating system's user (peer authentication), so that even
somebody who reaches the socket is nobody here. The cluster is made in a temporary folder and renamed, so it is never
half-made; the settings are given on the command line, so they follow the code and the machine, not the day of initdb.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from finops.runtime import binaries, places, processes
from finops.runtime.errors import DataFolderUnusable, ServerFailed

DATABASE = "capstan"
SUPERUSER = "postgres"
# Recovery after a power cut replays at most max_wal_size; this is far beyond it.
START_PATIENCE_S = 600.0
LOG_BYTES_MAX = 10 * 2**20
_OURS = {"gateway", "laptop.key", "pg", "pgaccess", "postgres.log", "postgres.log.1", "run", "secret_key", "valkey"}
_MAP = "capstan"

Say = Callable[[str], None]


def silent(_: str) -> None:
    """For callers that show nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cluster lives: `folder` holds it and its log, `sockets` its socket."""

    folder: Path
    sockets: Path

    @classmethod
    def of_data(cls) -> Place:
        return cls(places.postgres_dir(), places.postgres_socket_dir())

    @classmethod
    def below(cls, data: Path) -> Place:
        folder = data / "pg"
        return cls(folder, places.socket_dir(folder, places.POSTGRES_SOCKET))

    @property
    def cluster(self) -> Path:
        return self.folder / str(binaries.POSTGRES_MAJOR)

    @property
    def log(self) -> Path:
        return self.folder.with_name("postgres.log")

    @property
    def access(self) -> Path:
        return self.folder.with_name("pgaccess")

    def url(self, database: str = DATABASE) -> str:
        """A DATABASE_URL for this server's socket."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.sockets), safe='/')}"


class Postgres:
    """One embedded server. `durable=False` gives up crash safety for speed; only for tests."""

    def __init__(self, place: Place, *, durable: bool = True, say: Say = silent) -> None:
        self.place = place
        self._durable = durable
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> processes.Identity:
        """Makes what is missing, stops what an earlier run left, starts, waits until it answers, makes the database.

        Raises DataFolderUnusable, ServerFailed or CannotRun, each with the way out.
        """
        account = binaries.server_account()
        self._prepare_folder(account)
        programs = binaries.runnable_postgres(self.place.folder.parent, account) / "bin"
        stop_leftovers(self.place, self._say)
        self._make_cluster(programs, account)
        self._write_access()
        self._launch(programs, account)
        self._make_database()
        identity = self.identity()
        if identity is None:
            raise self._failed()
        return identity

    def identity(self) -> processes.Identity | None:
        if self._process is None:
            return None
        # SIGINT is PostgreSQL's fast shutdown: it ends every connection and writes a checkpoint.
        return processes.identify("postgres", self._process.pid, soft=signal.SIGINT, patience_s=60.0)

    def poll(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def stop(self) -> None:
        """Stops the server and waits until the last of its processes is gone."""
        if self._process is None:
            return
        identity = self.identity()
        if identity is not None:
            processes.stop([identity])
        self._process.wait()
        self._process = None
        stop_leftovers(self.place, self._say)
        if self.place.sockets != self.place.folder:
            with suppress(OSError):
                self.place.sockets.rmdir()

    def disown(self) -> None:
        """Leaves the server running for whoever stops it by its folder; this object knows it no more."""
        if self._process is not None:
            self._process.returncode = 0  # else Popen warns, at its end, of a process still running
        self._process = None

    def _prepare_folder(self, account: binaries.Account) -> None:
        folder = self.place.folder
        data = folder.parent
        try:
            places.make_folder(data)
        except OSError as error:
            raise DataFolderUnusable(
                f"the data folder {data} cannot be made: {error.strerror}; set CAPSTAN_DATA to one that can"
            ) from None
        binaries.require_passage(data, account)
        if account.uid != os.geteuid():
            _open_for_passage(data)
        for owned in {folder, self.place.sockets}:
            _own_privately(owned, account)

    def _make_cluster(self, programs: Path, account: binaries.Account) -> None:
        cluster = self.place.cluster
        for torn in self.place.folder.glob("*.new"):
            shutil.rmtree(torn, ignore_errors=True)
        if cluster.exists():
            _check_cluster(cluster)
            return
        self._say("Making the database cluster")
        fresh = cluster.with_name(f"{cluster.name}.new")
        command = [
            os.fspath(programs / "initdb"),
            "-D",
            os.fspath(fresh),
            "-U",
            SUPERUSER,
            "--encoding=UTF8",
            "--locale=C",
            "--auth=reject",
        ]
        # Sorted by code point like C, yet upper and lower case know every alphabet.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        if not self._durable:
            command.append("--no-sync")
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **_as_account(account),
        )
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            reason = _last_line(done.stderr)
            raise ServerFailed(f"PostgreSQL's initdb failed in {self.place.folder}: {reason}")
        fresh.rename(cluster)

    def _write_access(self) -> None:
        # These belong to us, not to the server's user, who can therefore not let anybody else in.
        own = pwd.getpwuid(os.geteuid()).pw_name
        self.place.access.mkdir(exist_ok=True)
        self.place.access.chmod(0o755)
        _write(self.place.access / "pg_hba.conf", f"local all all peer map={_MAP}\n")
        _write(self.place.access / "pg_ident.conf", f'{_MAP} "{own}" {SUPERUSER}\n')

    def _launch(self, programs: Path, account: binaries.Account) -> None:
        _remove_stale_locks(self.place)
        _rotate(self.place.log)
        command = [os.fspath(programs / "postgres"), "-D", os.fspath(self.place.cluster)]
        for name, value in self._settings().items():
            command += ["-c", f"{name}={value}"]
        with self.place.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **_as_account(account),
            )
        self._await_ready()

    def _await_ready(self) -> None:
        assert self._process is not None  # noqa: S101 - called right after it was set
        began = time.monotonic()
        told = False
        while not _says_ready(self.place.cluster, self._process.pid):
            if self._process.poll() is not None:
                raise self._failed()
            waited = time.monotonic() - began
            if waited > START_PATIENCE_S:
                self.stop()
                raise self._failed()
            if waited > 5 and not told:
                self._say("PostgreSQL is recovering from an unclean stop")
                told = True
            time.sleep(0.02)

    def _make_database(self) -> None:
        with psycopg.connect(self.place.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _failed(self) -> ServerFailed:
        try:
            last = _last_line(self.place.log.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            last = "it wrote no log"
        return ServerFailed(f"PostgreSQL did not start: {last}; the whole log is {self.place.log}")

    def _settings(self) -> dict[str, str]:
        memory = psutil.virtual_memory().total // 2**20
        chosen = {
            "listen_addresses": "",
            "hba_file": os.fspath(self.place.access / "pg_hba.conf"),
            "ident_file": os.fspath(self.place.access / "pg_ident.conf"),
            "unix_socket_directories": os.fspath(self.place.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": f"{max(64, min(1024, memory * 15 // 100))}MB",
            "effective_cache_size": f"{max(128, memory // 2)}MB",
            "maintenance_work_mem": f"{max(64, min(256, memory // 32))}MB",
            "work_mem": "16MB",
            "max_wal_size": "4GB",
            "min_wal_size": "256MB",
            "checkpoint_timeout": "15min",
            "random_page_cost": "1.1",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        if _shared_memory_is_small():
            chosen["dynamic_shared_memory_type"] = "mmap"
        if not self._durable:
            chosen |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "1GB"}
        return chosen


def stop_leftovers(place: Place, say: Say = silent) -> None:
    """Stops PostgreSQL processes an earlier run left on this cluster. They are known by their working directory."""
    found = running_processes(place)
    if not found:
        return
    say("Stopping a PostgreSQL that an earlier run left")
    leader = _pid_in_lock(place.cluster)
    has_leader = leader in {process.pid for process in found}
    for process in found:
        with suppress(psutil.Error):
            # A postmaster ends its own backends, properly; backends that lost theirs can only be told to quit.
            if process.pid == leader:
                process.send_signal(signal.SIGINT)
            elif not has_leader:
                process.send_signal(signal.SIGQUIT)
    _, alive = psutil.wait_procs(found, timeout=60)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=10)


def running_processes(place: Place) -> list[psutil.Process]:
    """Every PostgreSQL process that works on this cluster."""
    return processes.working_in(place.cluster, "postgres")


def _check_cluster(cluster: Path) -> None:
    version = cluster / "PG_VERSION"
    way_out = f"move {cluster} away to start empty, or set CAPSTAN_DATA to another folder"
    try:
        major = version.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise DataFolderUnusable(f"{cluster} is not a PostgreSQL cluster (no PG_VERSION); {way_out}") from None
    if major != str(binaries.POSTGRES_MAJOR):
        raise DataFolderUnusable(
            f"{cluster} was made by PostgreSQL {major}, this is {binaries.POSTGRES_MAJOR}; {way_out}"
        )


def _open_for_passage(data: Path) -> None:
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & stat.S_IXOTH:
        return
    foreign = sorted(
        path.name for path in data.iterdir() if path.name not in _OURS and not path.name.startswith("pgsql-")
    )
    if foreign:
        raise DataFolderUnusable(
            f"{data} is closed to the database's user and holds files that are not ours ({foreign[0]}); "
            "set CAPSTAN_DATA to an empty folder"
        )
    data.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


def _own_privately(folder: Path, account: binaries.Account) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in {account.uid, os.geteuid()}:
        raise DataFolderUnusable(f"{folder} belongs to somebody else; remove it, or set CAPSTAN_DATA")
    if info.st_uid != account.uid:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    if stat.S_IMODE(info.st_mode) != 0o700:
        folder.chmod(0o700)


def _as_account(account: binaries.Account) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in ("PATH", "TZ", "TMPDIR") if name in os.environ}
    as_who: dict[str, Any] = {"env": environment | {"LC_ALL": "C"}}
    if account.uid != os.geteuid():
        as_who |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return as_who


def _write(path: Path, content: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(content, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(path)


def _pid_in_lock(cluster: Path) -> int | None:
    try:
        pid = int((cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if psutil.pid_exists(pid) else None


def _remove_stale_locks(place: Place) -> None:
    # Nobody runs here any more (stop_leftovers saw to it). Left alone, a lock whose pid was given to another of our
    # processes would stop PostgreSQL from starting.
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    (place.sockets / f"{places.POSTGRES_SOCKET}.lock").unlink(missing_ok=True)


def _says_ready(cluster: Path, pid: int) -> bool:
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _rotate(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_name(log.name + ".1"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error:" in line or "PANIC" in line]
    return (telling or lines or ["it said nothing"])[-1].rstrip(".")


def _shared_memory_is_small() -> bool:
    # Containers give /dev/shm 64 MB by default; a parallel query would fail in it.
    try:
        room = os.statvfs("/dev/shm")  # noqa: S108 - asked for its size alone
    except OSError:
        return True
    return room.f_frsize * room.f_blocks < 256 * 2**20
