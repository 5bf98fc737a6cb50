"""What is said to be durable is, whoever made it so."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from finops.budgets.journal import Journal, JournalFailed
from routing.gateway import commits
from routing.gateway.commits import Commits


class Disk:
    """Notes who waited for it."""

    def __init__(self) -> None:
        self.waited: list[str] = []

    def sync(self, _file: int) -> None:
        self.waited.append(threading.current_thread().name)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(os, "fdatasync", made.sync)
    # However busy the machine is.
    monkeypatch.setattr(commits, "QUICK_S", 10.0)
    return made


@asynccontextmanager
async def committing(folder: Path) -> AsyncIterator[tuple[Journal, Commits]]:
    journal = Journal(folder / "one")
    made = Commits(journal, asyncio.get_running_loop())
    try:
        yield journal, made
    finally:
        await asyncio.to_thread(made.close)


def test_who_is_alone_waits_for_the_disk_itself_and_nobody_else_is_held_up(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        async with committing(tmp_path) as (journal, made):
            for alone in (False, True, True, False):
                await made.wait(journal.append(b"x"), alone=alone)
                assert journal.durable == journal.last

    asyncio.run(story())
    assert disk.waited == ["commits", "MainThread", "MainThread", "commits"]


def test_while_the_disk_is_slow_nobody_waits_for_it_where_calls_are_answered(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with committing(tmp_path) as (journal, made):
            await made.wait(journal.append(b"x"), alone=True)
            monkeypatch.setattr(commits, "QUICK_S", 0.0)
            await made.wait(journal.append(b"x"), alone=True)

    asyncio.run(story())
    # How slow it is, is not known before it was waited for.
    assert disk.waited == ["commits", "commits"]


def test_that_there_was_nothing_to_do_says_nothing_of_the_disk(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with committing(tmp_path) as (journal, made):
            monkeypatch.setattr(commits, "QUICK_S", 0.0)
            await made.wait(journal.append(b"x"))
            slow = made._took_s
            # Whoever came while another's record was made durable finds that theirs is, too.
            journal.sync()
            made._timed(journal.sync)
            assert made._took_s == slow

    asyncio.run(story())


def test_while_a_segment_begins_nobody_waits_for_that_where_calls_are_answered(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        async with committing(tmp_path) as (journal, made):
            await made.wait(journal.append(b"x"), alone=True)
            with journal._syncing:
                waiting = asyncio.ensure_future(made.wait(journal.append(b"x"), alone=True))
                await asyncio.sleep(0)
                assert not waiting.done()
            await waiting

    asyncio.run(story())
    assert disk.waited == ["commits", "commits"]


@pytest.mark.parametrize("alone", [False, True])
def test_who_waits_for_a_disk_that_fails_hears_of_it(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    def gone(_file: int) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    async def story() -> None:
        async with committing(tmp_path) as (journal, made):
            await made.wait(journal.append(b"x"))
            monkeypatch.setattr(os, "fdatasync", gone)
            with pytest.raises(JournalFailed, match="the disk is gone"):
                await made.wait(journal.append(b"x"), alone=alone)

    asyncio.run(story())
