"""Processes we started: who they are (pid and start time, since pids are reused), and stopping all of them.

Each child leads a session of its own, so Ctrl-C reaches only the supervisor, which stops them in order, and so that a
child's own children can be found by their session when it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, told apart from a later one with the same pid by when it started.

    `soft` is the signal it is asked to stop with, `patience_s` how long it may take before it is killed.
    """

    name: str
    pid: int
    started: float
    soft: int = signal.SIGTERM
    patience_s: float = 10.0


def identify(name: str, pid: int, *, soft: int = signal.SIGTERM, patience_s: float = 10.0) -> Identity | None:
    """The running process `pid`, or None when it is gone already."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.Error:
        return None
    return Identity(name=name, pid=pid, started=started, soft=soft, patience_s=patience_s)


def is_alive(identity: Identity) -> bool:
    try:
        process = psutil.Process(identity.pid)
        return process.create_time() == identity.started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def session_members(identity: Identity) -> list[psutil.Process]:
    """Processes of the session that this one leads or led, itself included, still running.

    A leader's pid cannot be given to a new process while its session lives; a session whose leader started later than
    ours, or whose members are older than it, is another's and answers nothing.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) != identity.pid or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.pid == identity.pid and process.create_time() != identity.started:
                return []
            if process.create_time() >= identity.started:
                found.append(process)
    return found


def patient() -> bool:
    return False


def stop(identities: Iterable[Identity], *, hurry: Callable[[], bool] = patient) -> list[str]:
    """Stops these and everything in their sessions, all at once: asked first, killed when patience ends.

    Returns the names of those that had to be killed. Once `hurry` answers yes, the rest is killed without patience.
    """
    waiting = [identity for identity in identities if session_members(identity)]
    for identity in waiting:
        if is_alive(identity):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(identity.pid, identity.soft)
    killed = []
    began = time.monotonic()
    while waiting:
        left = []
        for identity in waiting:
            members = session_members(identity)
            if not members:
                continue
            left.append(identity)
            if hurry() or time.monotonic() - began > identity.patience_s:
                killed.append(identity.name)
                _kill(members)
            elif not is_alive(identity):
                # The leader is gone and left some behind: they are asked once more, in its place.
                _ask(members)
        waiting = left
        if waiting:
            time.sleep(0.05)
    return sorted(set(killed))


def working_in(folder: Path, name: str) -> list[psutil.Process]:
    """Running processes called `name` whose working directory is this folder, whoever started them."""
    where = os.fspath(folder)
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == name and process.status() != psutil.STATUS_ZOMBIE and process.cwd() == where:
                found.append(process)
    return found


def _kill(members: list[psutil.Process]) -> None:
    for process in members:
        with suppress(psutil.Error):
            process.kill()


def _ask(members: list[psutil.Process]) -> None:
    for process in members:
        with suppress(psutil.Error):
            process.terminate()


class Roster:
    """The list of running children on disk, for the janitor and for the next start. Written whole, by rename."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, identities: Iterable[Identity]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps([asdict(identity) for identity in identities]), encoding="utf-8")
        fresh.replace(self._path)

    def read(self) -> list[Identity]:
        """What was last written; an absent or torn file is an empty list, since there is nothing to stop by it."""
        try:
            return [Identity(**row) for row in json.loads(self._path.read_text(encoding="utf-8"))]
        except (FileNotFoundError, ValueError, TypeError):
            return []

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
