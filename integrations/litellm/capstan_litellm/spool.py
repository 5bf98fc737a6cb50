"""What has to reach Capstan and has not yet: a file of lines, on the disk before the caller gets its last byte.

One file a process, locked while the process lives. A file without its lock is of a process that died: whoever finds it
takes over what is in it. `open` lines say that a call was let through; one that was never ended is settled as the most
it is likely to have been, because a call whose end nobody saw may have been made.

Everything in it may be sent twice; Capstan answers a repeat with the first answer.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

logger = logging.getLogger("capstan_litellm")
_OPEN: Final = "open"
_SEND: Final = "send"
_DONE: Final = "done"
_SUFFIX: Final = ".spool"
_REJECTED: Final = "rejected.jsonl"
_MOST_REJECTED: Final = 16 * 1024 * 1024
# Below it a file is left as it is: writing it anew costs more than it gains.
_WORTH_COMPACTING: Final = 1024 * 1024


class Full(Exception):
    """More is waiting for Capstan than the spool may hold."""


class Spool:
    """Threads: `open` and `done` may be called from any; writing is one thread's."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / f"{uuid4().hex}{_SUFFIX}"
        self._file = _created(self._path)
        self._lock = threading.Condition()
        self._waiting: list[tuple[bytes, Future[None] | None]] = []
        self._opened: dict[str, bytes] = {}
        self._unsent: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self._kept = 0
        self._written = 0
        self._closing = False
        self.failed = ""
        self._thread = threading.Thread(target=self._write, name="capstan-spool", daemon=True)
        self._thread.start()

    def room(self) -> None:
        """Raises Full, also while the disk takes nothing: a call is not begun whose end could not be kept."""
        if self.failed:
            with self._lock:
                self._put(b"", None)  # another attempt
            raise Full(f"the spool cannot be written: {self.failed}")
        if self._kept > self._most:
            raise Full(f"{len(self._unsent)} settlements are waiting for Capstan, as many as the spool may hold")

    def open(self, call: str, otherwise: dict[str, Any]) -> None:
        """`otherwise` is what is sent should the process end before the call does."""
        line = _line(_OPEN, call, otherwise)
        with self._lock:
            self._opened[call] = line
            self._kept += len(line)
            self._put(line, None)

    def send(self, call: str, message: dict[str, Any]) -> Future[None]:
        """Done once the message is on the disk; from then on it will be sent, whatever happens."""
        line = _line(_SEND, call, message)
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # whoever stops waiting for it must not stop the writer
        with self._lock:
            self._forget(call)
            self._unsent[call] = (line, message)
            self._kept += len(line)
            self._put(line, future)
        return future

    def done(self, call: str) -> None:
        """Capstan has it."""
        with self._lock:
            self._forget(call)
            self._put(_line(_DONE, call, None), None)

    def reject(self, call: str, message: dict[str, Any], why: str) -> None:
        """Capstan will never take it. It is kept where a person can find it, as long as that file is not too large."""
        path = self._folder / _REJECTED
        line = json.dumps({"call": call, "why": why, "message": message}).encode() + b"\n"
        if not path.exists() or path.stat().st_size + len(line) <= _MOST_REJECTED:
            with path.open("ab") as file:
                file.write(line)
        logger.error("Capstan refuses a settlement for good (%s); it is in %s", why, path)
        self.done(call)

    def unsent(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {call: message for call, (_, message) in self._unsent.items()}

    def adopt(self) -> dict[str, dict[str, Any]]:
        """Takes over the files of processes that have died; gives what is to be sent. Their lines are on our disk
        before theirs go.
        """
        taken: dict[str, dict[str, Any]] = {}
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path == self._path:
                continue
            try:
                fd = _locked(path)
            except OSError:
                continue
            try:
                left = dict(_left(fd))
                for future in [self.send(call, message) for call, message in left.items()]:
                    future.result(60)
                path.unlink()
                taken |= left
            finally:
                os.close(fd)
        return taken

    def close(self) -> None:
        """Ends the writer. What is unsent stays in the file, for the next process."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        self._thread.join(30)
        if not self._opened and not self._unsent and not self.failed:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _forget(self, call: str) -> None:
        line = self._opened.pop(call, None)
        if line is not None:
            self._kept -= len(line)
        sent = self._unsent.pop(call, None)
        if sent is not None:
            self._kept -= len(sent[0])

    def _put(self, line: bytes, future: Future[None] | None) -> None:
        self._waiting.append((line, future))
        self._lock.notify()

    def _write(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._closing:
                    self._lock.wait()
                batch, self._waiting = self._waiting, []
                if not batch:
                    return
                # After a failure too: what the disk did not take is in memory, and a line may be torn.
                compact = bool(self.failed) or self._written > max(_WORTH_COMPACTING, 2 * self._kept)
                whole = [*self._opened.values(), *(line for line, _ in self._unsent.values())] if compact else []
            self._keep(batch, whole if compact else None)

    def _keep(self, batch: list[tuple[bytes, Future[None] | None]], whole: list[bytes] | None) -> None:
        try:
            if whole is not None:
                self._renew(whole)
            else:
                data = b"".join(line for line, _ in batch)
                _write_all(self._file, data)
                self._written += len(data)
                if any(future is not None for _, future in batch):
                    os.fdatasync(self._file)
            self.failed = ""
        except OSError as error:
            # It will be sent from memory; what is lost is only that a crash now would lose it. No new call is begun.
            self.failed = error.strerror or type(error).__name__
            logger.error("The spool cannot be written: %s", self.failed)
        for _, future in batch:
            if future is not None:
                future.set_result(None)

    def _renew(self, lines: list[bytes]) -> None:
        """Everything that still counts, in a new file. Between the two steps both are there, and both say the same."""
        path = self._folder / f"{uuid4().hex}{_SUFFIX}"
        file = _created(path)
        try:
            _write_all(file, b"".join(lines))
            os.fdatasync(file)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        old, self._path, self._file = (self._path, self._file), path, file
        self._written = sum(map(len, lines))
        old[0].unlink(missing_ok=True)
        os.close(old[1])


def _line(kind: str, call: str, message: dict[str, Any] | None) -> bytes:
    return json.dumps([kind, call, message], separators=(",", ":")).encode() + b"\n"


def _left(fd: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was not done when its process ended. The last line may be torn."""
    left: dict[str, dict[str, Any]] = {}
    with open(os.dup(fd), "rb") as file:  # noqa: PTH123  # it is a descriptor
        file.seek(0)
        for line in file:
            try:
                kind, call, message = json.loads(line)
            except ValueError:
                continue
            if kind == _DONE:
                left.pop(call, None)
            else:
                left[call] = message
    yield from left.items()


def _created(path: Path) -> int:
    """Locked before it has its name, so that nobody takes it for a dead process's."""
    hidden = path.with_suffix(".new")
    fd = os.open(hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    hidden.rename(path)
    _sync_folder(path.parent)
    return fd


def _locked(path: Path) -> int:
    """Raises OSError where its process lives, or another has just taken it over."""
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino != os.fstat(fd).st_ino:
            raise FileNotFoundError(path)
    except OSError:
        os.close(fd)
        raise
    return fd


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
