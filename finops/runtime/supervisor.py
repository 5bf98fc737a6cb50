"""Runs several programs as one: their output with names before it, a crash answered by a restart, one stop for all.

Nothing outlives the supervisor. It stops its children in order when it is asked to; should it be killed, the janitor,
which holds the other end of a pipe, stops them instead; should that be killed too, the next start does.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from finops.runtime import places, processes
from finops.runtime.errors import AlreadyRunning, ServerFailed
from finops.runtime.interrupts import Interrupts

CRASHES_MAX = 5
CRASH_WINDOW_S = 60.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 8.0
# Lines kept back while starting, to be shown only when the start fails.
KEPT_LINES = 60
LINE_BYTES_MAX = 64 * 1024
ROSTER = "children.json"


@dataclass(frozen=True, slots=True)
class Program:
    """A child to run: `soft` asks it to stop, `patience_s` is how long it may take over that."""

    name: str
    command: Sequence[str]
    soft: int = signal.SIGTERM
    patience_s: float = 15.0
    environment: Mapping[str, str] = field(default_factory=dict)


def nothing() -> None:
    """For callers that look after nothing else."""


class Server(Protocol):
    """An embedded server. `start` blocks until it answers."""

    def start(self) -> processes.Identity: ...

    def identity(self) -> processes.Identity | None: ...

    def poll(self) -> int | None: ...

    def stop(self) -> None: ...


class Screen(Protocol):
    def say(self, words: str) -> None: ...

    def trouble(self, words: str) -> None: ...

    def line(self, program: str, text: str) -> None: ...


@contextmanager
def only_one(folder: Path, address: str) -> Iterator[None]:
    """Holds the data folder for one supervisor. Raises AlreadyRunning naming the other one."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip() or "another process"
            raise AlreadyRunning(
                f"Capstan already runs from {folder.parent} ({who}); stop that one, or set CAPSTAN_DATA to another"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {address}")
        lock.flush()
        yield


def clear_leftovers(run_dir: Path, screen: Screen) -> None:
    """Stops what a killed supervisor, whose janitor was killed too, left running. The lock must be held."""
    roster = processes.Roster(run_dir / ROSTER)
    left = [identity for identity in roster.read() if processes.session_members(identity)]
    if left:
        screen.say(f"Stopping what an earlier run left: {', '.join(sorted({identity.name for identity in left}))}")
        processes.stop(left)
    roster.clear()


class _Child:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.identity: processes.Identity | None = None
        self.start_at = 0.0
        self.backoff_s = BACKOFF_FIRST_S
        self.started_at = 0.0
        self.crashes: deque[float] = deque()
        self.unfinished = b""


class Supervisor:
    """Holds servers and programs. Use as a context manager: leaving it stops everything, however it is left."""

    def __init__(self, *, run_dir: Path, screen: Screen, interrupts: Interrupts) -> None:
        self._screen = screen
        self._interrupts = interrupts
        self._roster_path = run_dir / ROSTER
        self._roster = processes.Roster(self._roster_path)
        self._servers: dict[str, Server] = {}
        self._server_crashes: dict[str, deque[float]] = {}
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._janitor: subprocess.Popen[bytes] | None = None
        self._kept: deque[tuple[str, str]] | None = deque(maxlen=KEPT_LINES)

    def __enter__(self) -> Supervisor:
        self._janitor = subprocess.Popen(
            [sys.executable, "-m", "finops.runtime.janitor", os.fspath(self._roster_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=places.CHECKOUT,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._interrupts.only_note()
        self._stop_everything()

    def serve(self, name: str, server: Server) -> None:
        """Starts an embedded server and watches it from now on."""
        self._servers[name] = server
        self._server_crashes[name] = deque()
        server.start()
        self._note_children()

    def run_to_end(self, program: Program, *, on_line: Callable[[str], None] | None) -> int:
        """Runs a program that ends by itself and gives its exit status.

        Its lines go to `on_line`; with None it writes to our own terminal, where it may draw.
        """
        child = _Child(program)
        self._children.append(child)
        self._spawn(child, own_output=on_line is None)
        assert child.process is not None  # noqa: S101 - spawned above
        try:
            if child.process.stdout is not None and on_line is not None:
                for line in child.process.stdout:
                    on_line(line.decode("utf-8", "replace").rstrip())
            return child.process.wait()
        finally:
            if child.process.poll() is not None:
                self._forget(child)

    def launch(self, program: Program) -> None:
        """Starts a program that is to run until we stop; `watch` restarts it when it crashes."""
        child = _Child(program)
        self._children.append(child)
        self._spawn(child, own_output=False)

    def wait_until(self, ready: Callable[[], bool], *, patience_s: float) -> bool:
        """Tends the children until `ready`, or patience ends. Raises ServerFailed when one keeps crashing."""
        began = time.monotonic()
        while not ready():
            if time.monotonic() - began > patience_s:
                return False
            self._tend(0.1)
        return True

    def watch(self, look: Callable[[], None] = nothing) -> None:
        """Tends the children until a signal asks to stop, and looks after what else there is in between. Raises
        ServerFailed when one keeps crashing.
        """
        self._kept = None
        self._interrupts.only_note()
        while self._interrupts.count == 0:
            self._tend(0.2)
            look()

    def replace(self, program: Program) -> None:
        """Stops the program of this name, and starts it anew as it is given here."""
        for child in self._children:
            if child.program.name != program.name:
                continue
            if child.identity is not None:
                self._finish([child.identity])
            if child.process is not None:
                self._read_rest(child)
                child.process.wait()
            child.program, child.process, child.identity, child.start_at = program, None, None, 0.0

    def show_kept_lines(self) -> None:
        """What the children said while they started; shown when the start failed."""
        for program, text in self._kept or ():
            self._screen.line(program, text)
        self._kept = None

    # --- starting ---

    def _spawn(self, child: _Child, *, own_output: bool) -> None:
        pipe = None if own_output else subprocess.PIPE
        child.process = subprocess.Popen(
            list(child.program.command),
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=None if own_output else subprocess.STDOUT,
            cwd=places.CHECKOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **child.program.environment},
            start_new_session=True,
        )
        child.started_at = time.monotonic()
        child.identity = processes.identify(
            child.program.name, child.process.pid, soft=child.program.soft, patience_s=child.program.patience_s
        )
        self._note_children()

    def _note_children(self) -> None:
        servers = [server.identity() for server in self._servers.values()]
        programs = [child.identity for child in self._children]
        self._roster.write(identity for identity in [*servers, *programs] if identity is not None)

    def _forget(self, child: _Child) -> None:
        self._close(child)
        self._children.remove(child)
        self._note_children()

    # --- tending ---

    def _tend(self, wait_s: float) -> None:
        self._listen()
        for key, _ in self._selector.select(wait_s):
            self._read(key.data)
        if self._interrupts.count:
            return
        for name, server in self._servers.items():
            if server.poll() is not None:
                self._server_crashed(name, server)
        for child in self._children:
            self._tend_child(child)

    def _listen(self) -> None:
        for child in self._children:
            stream = child.process.stdout if child.process is not None else None
            if stream is None or stream.closed or stream.fileno() in self._selector.get_map():
                continue
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, child)

    def _read(self, child: _Child) -> bool:
        """Shows what is there to read; whether there was something."""
        stream = child.process.stdout if child.process is not None else None
        if stream is None or stream.closed:
            return False
        try:
            piece = os.read(stream.fileno(), LINE_BYTES_MAX)
        except BlockingIOError:
            return False
        if not piece:
            self._close(child)
        *lines, rest = (child.unfinished + piece).split(b"\n")
        if rest and (not piece or len(rest) > LINE_BYTES_MAX):
            lines, rest = [*lines, rest], b""
        child.unfinished = rest
        for line in lines:
            self._show(child.program.name, line.decode("utf-8", "replace").rstrip())
        return bool(piece)

    def _show(self, name: str, text: str) -> None:
        if not text:
            return
        if self._kept is None:
            self._screen.line(name, text)
        else:
            self._kept.append((name, text))

    def _tend_child(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._spawn(child, own_output=False)
            return
        status = child.process.poll()
        if status is None:
            if now - child.started_at > CRASH_WINDOW_S:
                child.backoff_s = BACKOFF_FIRST_S
            return
        self._read_rest(child)
        name = child.program.name
        self._count_crash(name, child.crashes, status)
        if child.identity is not None:
            # What the crashed one left behind would fight with its successor over the port or the queue.
            processes.stop([child.identity])
        self._screen.trouble(f"{name} {_ending(status)}; starting it again in {child.backoff_s:g} s")
        child.process, child.identity = None, None
        child.start_at = now + child.backoff_s
        child.backoff_s = min(BACKOFF_MAX_S, child.backoff_s * 2)

    def _server_crashed(self, name: str, server: Server) -> None:
        status = server.poll() or 0
        self._count_crash(name, self._server_crashes[name], status)
        self._screen.trouble(f"{name} {_ending(status)}; starting it again")
        server.start()
        self._note_children()

    def _count_crash(self, name: str, crashes: deque[float], status: int) -> None:
        now = time.monotonic()
        crashes.append(now)
        while crashes and now - crashes[0] > CRASH_WINDOW_S:
            crashes.popleft()
        if len(crashes) >= CRASHES_MAX:
            self.show_kept_lines()
            raise ServerFailed(
                f"{name} {_ending(status)}, {CRASHES_MAX} times within a minute; giving up. Its last lines are above"
            )

    # --- stopping ---

    def _stop_everything(self) -> None:
        """The programs first, then the servers they talk to. A failure of one keeps none of the others running."""
        with ExitStack() as last_to_first:
            last_to_first.callback(self._dismiss_janitor)
            last_to_first.callback(self._selector.close)
            for server in self._servers.values():
                last_to_first.callback(server.stop)
            last_to_first.callback(self._stop_programs)

    def _dismiss_janitor(self) -> None:
        if self._janitor is not None and self._janitor.stdin is not None:
            # It stops whatever the roster still names, which is nobody, and clears it.
            self._janitor.stdin.close()
            self._janitor.wait()

    def _stop_programs(self) -> None:
        self._finish([child.identity for child in self._children if child.identity is not None])
        for child in self._children:
            if child.process is not None:
                self._read_rest(child)
                child.process.wait()
        self._children.clear()

    def _finish(self, identities: list[processes.Identity]) -> None:
        asked = self._interrupts.count
        for name in processes.stop(identities, hurry=lambda: self._interrupts.count > max(asked, 1)):
            self._screen.say(f"{name} did not stop in time and was killed")

    def _read_rest(self, child: _Child) -> None:
        """What a child that ended still had in its pipe."""
        stream = child.process.stdout if child.process is not None else None
        while stream is not None and not stream.closed:
            os.set_blocking(stream.fileno(), False)
            if not self._read(child):
                self._close(child)

    def _close(self, child: _Child) -> None:
        stream = child.process.stdout if child.process is not None else None
        if stream is not None and not stream.closed:
            with suppress(KeyError, ValueError):
                self._selector.unregister(stream)
            stream.close()


def _ending(status: int) -> str:
    """`ended with status 1`, `was killed by SIGKILL`."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
