"""What `up` shows while it works: one line a step, a moving one on a terminal, and plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

_COLOURS = {"web": "cyan", "worker": "magenta", "beat": "yellow"}
_WIDTH = 8


class Step(Protocol):
    """A running step: how far it is, and what it is at."""

    def advance(self, done: int, total: int) -> None: ...

    def note(self, words: str) -> None: ...


class _LiveStep:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._task = progress.add_task(title, total=None)

    def advance(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total, description=f"{self._title}: {done} of {total}")

    def note(self, words: str) -> None:
        self._progress.update(self._task, description=f"{self._title}: {words}")


class _PlainStep:
    # A log file wants to know that it goes on, not every step of it.
    _EVERY_S = 5.0

    def __init__(self, title: str) -> None:
        self._title = title
        self._told = time.monotonic()

    def advance(self, done: int, total: int) -> None:
        self._tell(f"{done} of {total}")

    def note(self, words: str) -> None:
        self._tell(words)

    def _tell(self, words: str) -> None:
        if time.monotonic() - self._told >= self._EVERY_S:
            self._told = time.monotonic()
            print(f"  {self._title}: {words}", flush=True)


class Screen:
    """The terminal, or whatever standard output is."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)

    @property
    def live(self) -> bool:
        return self._console.is_terminal

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Shows a step while it runs, and how long it took. A failed one leaves its title standing."""
        began = time.monotonic()
        if self.live:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24))
            with Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True) as progress:
                yield _LiveStep(progress, title)
        else:
            print(f"  {title}", flush=True)
            yield _PlainStep(title)
        seconds = time.monotonic() - began
        if self.live:
            self._console.print(f"[green]✓[/green] {title} [dim]{seconds:.1f} s[/dim]")
        elif seconds >= 2:
            print(f"  {title}: done in {seconds:.1f} s", flush=True)

    def say(self, words: str) -> None:
        self._console.print(Text(f"  {words}"))

    def trouble(self, words: str) -> None:
        self._console.print(Text(f"! {words}", style="bold red"))

    def line(self, program: str, text: str) -> None:
        """One line of a child's output, with its name before it."""
        prefix = f"{program:<{_WIDTH}}|"
        if self.live:
            self._console.print(Text.assemble((prefix, _COLOURS.get(program, "white")), " ", Text.from_ansi(text)))
        else:
            print(f"{prefix} {text}", flush=True)

    def box(self, title: str, lines: list[str]) -> None:
        if self.live:
            self._console.print(Panel(Text("\n".join(lines)), title=title, expand=False, border_style="green"))
            return
        rule = "-" * max(len(line) for line in [*lines, title])
        print("\n".join(["", rule, title, rule, *lines, rule, ""]), flush=True)
