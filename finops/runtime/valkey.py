"""The embedded Valkey: Celery's queue, on a Unix socket, kept on disk so that queued tasks outlive a restart."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from finops.runtime import binaries, places, processes
from finops.runtime.errors import DataFolderUnusable, ServerFailed

START_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """`folder` holds the append-only file and the log, `socket` is where it answers."""

    folder: Path
    socket: Path

    @classmethod
    def of_data(cls) -> Place:
        return cls(places.valkey_dir(), places.valkey_socket())

    @classmethod
    def below(cls, data: Path) -> Place:
        folder = data / "valkey"
        return cls(folder, places.socket_dir(folder, places.VALKEY_SOCKET) / places.VALKEY_SOCKET)

    @property
    def log(self) -> Path:
        return self.folder / "server.log"


class Valkey:
    """One embedded server, owned by whoever starts it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> processes.Identity:
        """Starts and waits until it answers. Raises ServerFailed, DataFolderUnusable or CannotRun."""
        program = binaries.valkey_server()
        for folder in {self.place.folder, self.place.socket.parent}:
            _make_private(folder)
        stop_leftovers(self.place)
        options = {
            "port": "0",
            "unixsocket": os.fspath(self.place.socket),
            "unixsocketperm": "700",
            "dir": os.fspath(self.place.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            # A queue that silently drops its oldest entries would lose work.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "notice",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with self.place.log.open("wb") as log:
            self._process = subprocess.Popen(
                [os.fspath(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.place.folder,
                start_new_session=True,
            )
        self._await_ready()
        identity = self.identity()
        if identity is None:
            raise self._failed()
        return identity

    def identity(self) -> processes.Identity | None:
        if self._process is None:
            return None
        return processes.identify("valkey", self._process.pid, soft=signal.SIGTERM, patience_s=20.0)

    def poll(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def answers(self) -> bool:
        """Whether a server answers PING on the socket and has loaded its data."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            try:
                connection.connect(os.fspath(self.place.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def stop(self) -> None:
        if self._process is None:
            return
        identity = self.identity()
        if identity is not None:
            processes.stop([identity])
        self._process.wait()
        self._process = None
        stop_leftovers(self.place)
        if self.place.socket.parent != self.place.folder:
            with suppress(OSError):
                self.place.socket.unlink(missing_ok=True)
                self.place.socket.parent.rmdir()

    def disown(self) -> None:
        """Leaves the server running for whoever stops it by its folder; this object knows it no more."""
        if self._process is not None:
            self._process.returncode = 0  # else Popen warns, at its end, of a process still running
        self._process = None

    def _await_ready(self) -> None:
        began = time.monotonic()
        while not self.answers():
            if self.poll() is not None or time.monotonic() - began > START_PATIENCE_S:
                self.stop()
                raise self._failed()
            time.sleep(0.02)

    def _failed(self) -> ServerFailed:
        lines = self.place.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
        return ServerFailed(f"Valkey did not start: {lines[-1].strip()}; the whole log is {self.place.log}")


def stop_leftovers(place: Place) -> None:
    """Stops a Valkey that an earlier run left in this folder; it is known by its working directory."""
    found = processes.working_in(place.folder, "valkey-server")
    for process in found:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=20)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def _make_private(folder: Path) -> None:
    places.make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise DataFolderUnusable(f"{folder} belongs to somebody else; remove it, or set CAPSTAN_DATA")
    if stat.S_IMODE(info.st_mode) != 0o700:
        folder.chmod(0o700)
