"""What the journal reported as durable is there after any crash, and what a crash tore is not mistaken for a record."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.budgets.journal import Journal, JournalFailed, JournalTaken, abandoned, read_segment
from finops.runtime.places import CHECKOUT

# Reports each record on stdout once it is out of the process's hands, until it is killed.
WRITER = """
import sys
from pathlib import Path
from finops.budgets.journal import Journal
journal = Journal(Path(sys.argv[1]), segment_bytes=2000)
number = 0
while True:
    number += 1
    ticket = journal.append(b"call-%d" % number)
    journal.wait(ticket) if sys.argv[2] == "durable" else journal.flush()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "gateway-1", segment_bytes=200)


def everything(journal: Journal) -> list[bytes]:
    journal.turn()
    return [body for segment in journal.closed() for body in journal.read(segment)]


def test_records_are_read_as_they_were_written_in_their_order(journal: Journal) -> None:
    bodies = [b"x" * size for size in range(1, 90)]
    for body in bodies:
        journal.wait(journal.append(body))
    assert len(list(journal.folder.glob("*.journal"))) > 10
    assert everything(journal) == bodies


def test_what_is_in_the_ledger_is_forgotten_and_never_what_is_still_written(journal: Journal) -> None:
    journal.append(b"first")
    journal.turn()
    (segment,) = journal.closed()
    journal.forget(segment)
    journal.append(b"second")
    with pytest.raises(ValueError, match="still written"):
        journal.forget(segment + 1)
    assert everything(journal) == [b"second"]


def test_one_process_has_a_journal_at_a_time(journal: Journal) -> None:
    with pytest.raises(JournalTaken):
        Journal(journal.folder)
    journal.append(b"one")
    journal.close()
    again = Journal(journal.folder)
    again.append(b"two")
    assert everything(again) == [b"one", b"two"]


def test_a_journal_that_is_being_made_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[list[Journal]] = []
    lock = fcntl.flock

    def somebody_looks_first(folder: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        looked.append(list(abandoned(tmp_path)))
        lock(folder, how)

    monkeypatch.setattr(fcntl, "flock", somebody_looks_first)
    made = Journal(tmp_path / "gateway-2")
    assert looked == [[]]
    made.append(b"one")
    made.close()
    (left,) = abandoned(tmp_path)
    assert everything(left) == [b"one"]


def test_many_threads_share_a_sync(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    start = threading.Barrier(16)

    def write() -> None:
        tickets = [journal.append(b"x") for _ in range(5)]
        start.wait()
        for ticket in tickets:
            journal.wait(ticket)

    threads = [threading.Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(everything(journal)) == 80
    assert len(synced) < 80


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8), st.data())
def test_a_torn_end_is_left_out_and_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], data: st.DataObject
) -> None:
    made = Journal(tmp_path_factory.mktemp("torn") / "one")
    for body in bodies:
        made.append(body)
    made.close()
    (path,) = made.folder.glob("*.journal")
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    garbage = data.draw(st.binary(max_size=3))
    torn = whole[:cut] + garbage
    path.write_bytes(torn)
    same = min(len(whole), len(torn))
    intact = next((n for n in range(same) if whole[n] != torn[n]), same)
    ends = [sum(len(body) + 8 for body in bodies[: n + 1]) for n in range(len(bodies))]
    assert list(read_segment(path)) == bodies[: sum(end <= intact for end in ends)]


def test_a_disk_that_fails_is_said_and_nothing_is_called_durable(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = journal.append(b"one")

    def full(_: int) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(JournalFailed):
        journal.wait(ticket)
    monkeypatch.undo()
    with pytest.raises(JournalFailed):
        journal.wait(ticket)
    with pytest.raises(JournalFailed):
        journal.append(b"two")


def test_a_disk_that_fails_between_two_segments_is_said_too(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = journal.append(b"one")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(JournalFailed):
        journal.turn()
    monkeypatch.undo()
    # What came before is durable all the same; nothing more is taken.
    journal.wait(ticket)
    with pytest.raises(JournalFailed):
        journal.append(b"two")


def test_where_a_record_was_lost_no_segment_is_said_to_have_all(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.wait(journal.append(b"held"))
    journal.append(b"spent")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(JournalFailed):
        journal.flush()
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(JournalFailed):
            journal.turn()


@pytest.mark.parametrize("size", [0, 2**20 + 1])
def test_a_record_has_a_size(journal: Journal, size: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        journal.append(b"x" * size)


@pytest.mark.parametrize("kind", ["durable", "written"])
def test_what_was_durable_when_its_process_was_killed_is_adopted_whole(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "journals" / "gateway-1"
    command = [sys.executable, "-c", WRITER, str(folder), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as writer:
        assert writer.stdout is not None
        reported = [int(writer.stdout.readline()) for _ in range(300)]
        assert list(abandoned(tmp_path / "journals")) == []
        writer.send_signal(signal.SIGKILL)
        reported += [int(line) for line in writer.stdout.read().splitlines()]
    (adopted,) = abandoned(tmp_path / "journals")
    found = everything(adopted)
    assert found[: len(reported)] == [b"call-%d" % number for number in reported]
    assert len(found) <= len(reported) + 1
