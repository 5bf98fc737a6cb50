"""Stopping what we started, all of it, and never a stranger who was given the same pid."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from finops.runtime import processes

# Says it is ready, so that no test has to guess when its handlers stand.
SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
PARENT = (
    "import subprocess, sys, time\n"
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], stdout=subprocess.PIPE)\n"
    "child.stdout.readline()\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []
    yield children
    for child in children:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def start(
    code: str, started: list[subprocess.Popen[bytes]], *, patience_s: float = 10.0
) -> tuple[processes.Identity, str]:
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    started.append(child)
    assert child.stdout is not None
    said = child.stdout.readline().decode().strip()
    identity = processes.identify("child", child.pid, patience_s=patience_s)
    assert identity is not None
    return identity, said


def is_gone(pid: int) -> bool:
    # An orphan is buried by the machine's first process, which may take its time.
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_child_that_listens_is_only_asked(started: list[subprocess.Popen[bytes]]) -> None:
    identity, _ = start(SLEEPER, started)
    assert processes.is_alive(identity)
    assert processes.stop([identity]) == []
    assert not processes.is_alive(identity)


def test_a_child_that_does_not_listen_is_killed_when_patience_ends(started: list[subprocess.Popen[bytes]]) -> None:
    identity, _ = start(STUBBORN, started, patience_s=0.2)
    assert processes.stop([identity]) == ["child"]
    assert not processes.is_alive(identity)


def test_in_a_hurry_nobody_waits(started: list[subprocess.Popen[bytes]]) -> None:
    identity, _ = start(STUBBORN, started, patience_s=600)
    assert processes.stop([identity], hurry=lambda: True) == ["child"]


def test_a_childs_own_children_go_with_it(started: list[subprocess.Popen[bytes]]) -> None:
    identity, grandchild = start(PARENT, started)
    processes.stop([identity])
    assert is_gone(int(grandchild))


def test_grandchildren_are_found_after_their_parent_was_killed(started: list[subprocess.Popen[bytes]]) -> None:
    identity, grandchild = start(PARENT, started)
    started[0].kill()
    started[0].wait()
    processes.stop([identity])
    assert is_gone(int(grandchild))


def test_a_stranger_with_the_same_pid_is_left_alone(started: list[subprocess.Popen[bytes]]) -> None:
    stranger, _ = start(SLEEPER, started)
    ours_long_ago = replace(stranger, started=stranger.started - 1000)
    assert not processes.is_alive(ours_long_ago)
    processes.stop([ours_long_ago])
    assert processes.is_alive(stranger)


def test_a_roster_is_read_back_and_a_torn_one_names_nobody(tmp_path: Path) -> None:
    roster = processes.Roster(tmp_path / "run" / "children.json")
    assert roster.read() == []
    identity = processes.Identity(name="web", pid=1, started=2.5, soft=15, patience_s=3.0)
    roster.write([identity])
    assert roster.read() == [identity]
    (tmp_path / "run" / "children.json").write_text('[{"name": "we')
    assert roster.read() == []
