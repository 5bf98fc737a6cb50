"""A process's journal: what was decided and must not be lost, on disk before anybody is told. No Django, no database.

A folder of segments, each a run of records: length and CRC-32 of the body (two little-endian 32-bit numbers), then the
body. Many threads append; one `fdatasync` makes all of them durable that wait. A record that was torn by a crash can
only be the last of a segment, and was never reported as durable, so reading ends there.

One process has a folder at a time, by a lock on it that the kernel lets go of when the process dies. Whoever gets the
lock of a folder that is not theirs adopts it, and reads what its owner left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from finops.core.errors import FinopsError

SEGMENT_BYTES: Final = 64 * 2**20
# No record of ours comes near it; a length beyond it is a torn or foreign header.
LARGEST: Final = 2**20
_HEADER: Final = struct.Struct("<II")
_ENDING: Final = ".journal"
_HIDDEN: Final = "."


class JournalTaken(FinopsError):
    """Another process that is alive has this folder."""

    code = "budgets.journal_taken"
    status = 503


class JournalFailed(FinopsError):
    """The disk refused; nothing that waits is durable, and nothing more is taken."""

    code = "budgets.journal_failed"
    status = 503


class Journal:
    """The journal in a folder, for the process that made this object. Its methods may be called by any thread."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises JournalTaken when another process has it."""
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._lock = _taken(folder) if folder.exists() else _made(folder)
        self._changing = threading.Lock()
        # Taken in this order: who syncs, who writes, who appends.
        self._syncing = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[bytes] = []
        # Records taken, how many of those the kernel has, and how many the disk.
        self._taken = 0
        self._written = 0
        self._durable = 0
        self._failed = False
        self._size = 0
        self._file = self._open(max(_numbers(folder), default=0) + 1)

    def append(self, body: bytes) -> int:
        """Take a record; gives a ticket for `wait`, before which nobody may be told of it: it is in memory, and written
        with all that come meanwhile. Raises ValueError and JournalFailed.
        """
        if not 0 < len(body) <= LARGEST:
            raise ValueError(f"a record has 1 to {LARGEST} bytes")
        record = _HEADER.pack(len(body), zlib.crc32(body)) + body
        with self._changing:
            if self._failed:
                raise JournalFailed("the journal cannot be written")
            self._waiting.append(record)
            self._taken += 1
            return self._taken

    def flush(self) -> None:
        """Hand all that was appended to the kernel: it outlives this process, and not yet a loss of power. Raises
        JournalFailed.
        """
        with self._writing:
            self._write()

    def wait(self, ticket: int) -> None:
        """Return once the record is durable; with it become all that were appended meanwhile. Raises JournalFailed."""
        if self._is_durable(ticket):
            return
        with self._syncing:
            if self._is_durable(ticket):
                return
            self._make_durable()
            if self._size >= self._segment_bytes:
                self._turn()

    def sync(self) -> None:
        """Return once all that was appended by now is durable. Raises JournalFailed."""
        self.wait(self._taken)

    def sync_at_once(self) -> bool:
        """As `sync`, unless another thread is at it or begins a segment: False, then, at once. Raises JournalFailed."""
        if not self._syncing.acquire(blocking=False):
            return False
        try:
            self._make_durable()
        finally:
            self._syncing.release()
        return True

    def _is_durable(self, ticket: int) -> bool:
        if self._durable < ticket and self._failed:
            raise JournalFailed("the journal cannot be written")
        return self._durable >= ticket

    def turn(self) -> None:
        """Begin a new segment, so that all before it can be settled and forgotten. Raises JournalFailed, ever after it
        did once: what could not be written is in no segment.
        """
        with self._syncing:
            self._make_durable()
            if self._size:
                self._turn()
            if self._failed:
                raise JournalFailed("the journal cannot be written")

    def closed(self) -> list[int]:
        """Segments that nothing is written to any more, the oldest first."""
        with self._syncing:
            return [number for number in sorted(_numbers(self.folder)) if number < self._number]

    def read(self, segment: int) -> Iterator[bytes]:
        """The records of a segment, up to where a crash tore it."""
        return read_segment(_path(self.folder, segment))

    def forget(self, segment: int) -> None:
        """All of a closed segment is in the ledger. Raises ValueError for the one being written."""
        if segment >= self._number:
            raise ValueError("the segment is still written to")
        _path(self.folder, segment).unlink(missing_ok=True)

    @property
    def last(self) -> int:
        """The ticket of what was appended last."""
        return self._taken

    @property
    def durable(self) -> int:
        """The last ticket that is durable."""
        return self._durable

    @property
    def failed(self) -> bool:
        """The disk refused once: nothing more is taken."""
        return self._failed

    def remove(self) -> None:
        """All of it is in the ledger or taken over: close it, and leave no trace."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        with self._syncing:
            self._make_durable()
            os.close(self._file)
            os.close(self._lock)

    # What follows is for whoever holds `_syncing`.
    def _turn(self) -> None:
        """The new segment first: should it fail, there is still the old one to close."""
        with self._writing:
            self._write()
            before = self._file
            try:
                os.fdatasync(before)
                self._file = self._open(self._number + 1)
            except OSError as error:
                self._failed = True
                raise JournalFailed(f"the journal cannot go on: {error}") from error
            self._durable = self._written
            os.close(before)

    def _open(self, number: int) -> int:
        found = os.open(_path(self.folder, number), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        self._number, self._size = number, 0
        # A file's name is durable once its folder is.
        os.fsync(self._lock)
        return found

    def _make_durable(self) -> None:
        with self._writing:
            self._write()
            reached, file = self._written, self._file
        if reached == self._durable:
            return
        if self._failed:
            raise JournalFailed("the journal cannot be written")
        try:
            os.fdatasync(file)
        except OSError as error:
            # The kernel may have dropped what it could not write: a second try would lie.
            self._failed = True
            raise JournalFailed(f"the journal cannot be made durable: {error}") from error
        self._durable = reached

    def _write(self) -> None:
        """For whoever holds `_writing`. A write that is not whole leaves a torn end, which nobody was told of."""
        with self._changing:
            records, self._waiting = self._waiting, []
            reached = self._taken
        if not records:
            return
        if self._failed:
            raise JournalFailed("the journal cannot be written")
        body = b"".join(records)
        try:
            whole = os.write(self._file, body) == len(body)
        except OSError as error:
            self._failed = True
            raise JournalFailed(f"the journal cannot be written: {error}") from error
        if not whole:
            self._failed = True
            raise JournalFailed("the disk is full")
        self._size += len(body)
        self._written = reached


def abandoned(root: Path) -> Iterator[Journal]:
    """Journals below a folder whose owners are dead, each taken over before it is given."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else ():
        if folder.name.startswith(_HIDDEN):
            continue
        try:
            yield Journal(folder)
        except JournalTaken:
            continue


def read_segment(path: Path) -> Iterator[bytes]:
    """The records of a segment file, up to the first that is not whole."""
    content = path.read_bytes()
    unpack, size, end = _HEADER.unpack_from, _HEADER.size, len(content)
    place = 0
    while place + size <= end:
        length, checksum = unpack(content, place)
        begins = place + size
        place = begins + length
        body = content[begins:place]
        if not 0 < length <= LARGEST or len(body) != length or zlib.crc32(body) != checksum:
            return
        yield body


def _taken(folder: Path) -> int:
    """A descriptor of the folder, locked until it is closed or this process dies."""
    found = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(found)
        raise JournalTaken(f"another process writes the journal in {folder}") from None
    return found


def _made(folder: Path) -> int:
    """As `_taken`, of a new folder. It gets its name once it is locked: in between it would be taken for what somebody
    dead left.
    """
    hidden = folder.with_name(f"{_HIDDEN}{folder.name}")
    hidden.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = _taken(hidden)
    hidden.rename(folder)
    return found


def _numbers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob(f"*{_ENDING}") if path.stem.isdigit()]


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}{_ENDING}"
