"""Several programs as one: crashes are answered and told, and nothing is left when the supervisor leaves."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from finops.runtime import supervisor as room
from finops.runtime.errors import AlreadyRunning, ServerFailed
from finops.runtime.interrupts import Interrupts, Stopped
from finops.runtime.supervisor import Program, Supervisor, only_one


class Paper:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.lines: list[tuple[str, str]] = []

    def say(self, words: str) -> None:
        self.said.append(words)

    def trouble(self, words: str) -> None:
        self.said.append(words)

    def line(self, program: str, text: str) -> None:
        self.lines.append((program, text))


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    with Interrupts() as interrupts:
        yield interrupts


def children() -> set[psutil.Process]:
    """Programs of these stories; the suite's own servers come and go beside them."""
    return {one for one in psutil.Process().children(recursive=True) if _said(one)[:2] == [sys.executable, "-c"]}


def _said(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def python(name: str, code: str) -> Program:
    return Program(name, [sys.executable, "-c", code], patience_s=2.0)


def test_a_crashed_program_is_started_again_and_told(
    tmp_path: Path, paper: Paper, interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BACKOFF_FIRST_S", 0.01)
    mark = tmp_path / "came"
    code = f"import sys, time, pathlib\np = pathlib.Path({str(mark)!r})\nif not p.exists():\n  p.touch(); sys.exit(3)\n"
    with Supervisor(run_dir=tmp_path / "run", screen=paper, interrupts=interrupts) as supervisor:
        supervisor.launch(python("worker", code + "(p.parent / 'again').touch()\ntime.sleep(600)"))
        assert supervisor.wait_until((tmp_path / "again").exists, patience_s=20)
    assert "worker ended with status 3; starting it again in 0.01 s" in paper.said


def test_a_program_is_replaced_by_another_of_its_name(tmp_path: Path, paper: Paper, interrupts: Interrupts) -> None:
    def marks(name: str) -> Program:
        return python(
            "gateway", f"import pathlib, time; pathlib.Path({str(tmp_path / name)!r}).touch(); time.sleep(600)"
        )

    with Supervisor(run_dir=tmp_path / "run", screen=paper, interrupts=interrupts) as supervisor:
        supervisor.launch(marks("one"))
        assert supervisor.wait_until((tmp_path / "one").exists, patience_s=20)
        before = children()
        supervisor.replace(marks("other"))
        assert supervisor.wait_until((tmp_path / "other").exists, patience_s=20)
        assert len(before) == len(children())
        assert before != children()
    assert paper.said == []


def test_a_program_that_keeps_crashing_ends_it_all_with_its_last_lines(
    tmp_path: Path, paper: Paper, interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BACKOFF_FIRST_S", 0.01)
    code = "import sys; print('the disk is full', flush=True); sys.exit(1)"
    with (
        pytest.raises(ServerFailed, match="web ended with status 1, 5 times within a minute"),
        Supervisor(run_dir=tmp_path / "run", screen=paper, interrupts=interrupts) as supervisor,
    ):
        supervisor.launch(python("web", code))
        supervisor.wait_until(lambda: False, patience_s=60)
    assert paper.lines.count(("web", "the disk is full")) == 5


def test_lines_come_whole_with_their_programs_name(tmp_path: Path, paper: Paper, interrupts: Interrupts) -> None:
    code = "import sys, time; o = sys.stdout.buffer; o.write('ein Gr'.encode()); o.flush(); time.sleep(0.1)\n"
    code += "o.write('üß\\nzwei\\n'.encode()); o.flush(); time.sleep(600)"
    with Supervisor(run_dir=tmp_path / "run", screen=paper, interrupts=interrupts) as supervisor:
        supervisor.launch(python("beat", code))
        supervisor.show_kept_lines()
        assert supervisor.wait_until(lambda: len(paper.lines) == 2, patience_s=20)
    assert paper.lines == [("beat", "ein Grüß"), ("beat", "zwei")]


def test_leaving_stops_programs_and_what_they_started(tmp_path: Path, paper: Paper, interrupts: Interrupts) -> None:
    before = children()
    code = (
        "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    )
    code += "print(c.pid, flush=True); time.sleep(600)"
    with Supervisor(run_dir=tmp_path / "run", screen=paper, interrupts=interrupts) as supervisor:
        supervisor.launch(python("web", code))
        supervisor.show_kept_lines()
        assert supervisor.wait_until(lambda: bool(paper.lines), patience_s=20)
    orphan = int(paper.lines[0][1])
    # An orphan is buried by the machine's first process, which may take its time.
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    assert children() <= before


def test_a_signal_while_starting_is_raised_and_while_running_ends_the_watch(
    tmp_path: Path, paper: Paper, interrupts: Interrupts
) -> None:
    before = children()
    with (
        pytest.raises(Stopped),
        Supervisor(run_dir=tmp_path / "run", screen=paper, interrupts=interrupts) as supervisor,
    ):
        supervisor.launch(python("web", "import time; time.sleep(600)"))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    assert children() <= before


def test_a_program_that_ends_gives_its_lines_and_status(tmp_path: Path, paper: Paper, interrupts: Interrupts) -> None:
    said: list[str] = []
    with Supervisor(run_dir=tmp_path / "run", screen=paper, interrupts=interrupts) as supervisor:
        status = supervisor.run_to_end(
            python("seed", "print('one'); print('two'); raise SystemExit(4)"), on_line=said.append
        )
    assert (status, said) == (4, ["one", "two"])


def test_two_supervisors_do_not_share_a_data_folder(tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "run", "http://localhost:8000/"),
        pytest.raises(AlreadyRunning, match=r"process \d+, http://localhost:8000/"),
        only_one(tmp_path / "run", "http://localhost:9000/"),
    ):
        pass
    with only_one(tmp_path / "run", "http://localhost:9000/"):
        pass
