"""What runs on a laptop by one file, from its start to Ctrl-C."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from finops.runtime import places, programs, starting
from finops.runtime.console import Screen
from finops.runtime.errors import CannotRun
from finops.runtime.programs import Door
from finops.runtime.supervisor import Program, Supervisor
from routing.laptop.errors import FileInvalid
from routing.laptop.reading import read
from routing.laptop.types import Wanted
from routing.laptop.watching import Watched

# Where the key's secret is kept, in the data folder.
KEY: Final = "laptop.key"
# One after the other, in one process: on a laptop nothing is long, and memory is short.
_QUEUES: Final = "ingest,routing,control,alerts,experiments,polling"
_INTERNAL: Final = "CAPSTAN_INTERNAL_HOSTS"
_MOST_LINES: Final = 40


class Laptop:
    """One file, and what runs by it."""

    def __init__(self, path: Path, options: dict[str, Any], screen: Screen) -> None:
        """Raises FileInvalid."""
        self._path = path
        self._screen = screen
        self._gateway = Door(options["host"], options["port"])
        self._web = Door(options["host"], options["web_port"]) if options["web"] else None
        self._told = programs.level(options["verbosity"])
        self._began = time.monotonic()
        # Hosts inside that are meant, and those of them that the running gateway was told at its start.
        self._near: frozenset[str] = frozenset()
        self._known_near: frozenset[str] = frozenset()
        self._mean(self._read().near)

    def run(self, watched: Watched) -> None:
        """Until it is asked to stop. Raises CommandError."""
        listens = [starting.Listens(self._gateway, "stop it, or choose another with --port")]
        if self._web is not None:
            listens.append(starting.Listens(self._web, "stop it, or choose another with --web-port"))
        with starting.supervised(self._screen, f"{self._gateway.url}/", listens) as supervisor:
            starting.start_servers(supervisor, self._screen)
            starting.migrate(self._screen)
            if self._web is not None:
                starting.collect_static(supervisor, self._screen)
            starting.seed_prices(supervisor, self._screen)
            with self._screen.step(f"Reading {self._path.name}"):
                status, said = self._apply(supervisor, self._web.url if self._web is not None else "")
            if status != 0:
                raise CannotRun("\n".join([f"{self._path.name} is refused:", *said]))
            title = "Starting the gateway" if self._web is None else "Starting web and gateway"
            self._known_near = self._near
            starting.launch(supervisor, self._screen, title, self._programs(), self._answers)
            self._welcome(said[-1] if said else "")
            supervisor.watch(lambda: self._follow(supervisor, watched))

    def _read(self) -> Wanted:
        return read(self._path, environment=os.environ, internal=settings.INTERNAL_HOSTS)

    def _mean(self, near: frozenset[str]) -> None:
        """Hosts inside that the file names are meant, beside those that were named elsewhere. What is started from now
        on reads it there.
        """
        self._near = near
        os.environ[_INTERNAL] = ",".join(sorted(settings.INTERNAL_HOSTS | near))

    def _apply(self, supervisor: Supervisor, login: str = "") -> tuple[int, Sequence[str]]:
        """How `apply_config` ended, and what it said last."""
        said: deque[str] = deque(maxlen=_MOST_LINES)
        command = programs.manage("apply_config", os.fspath(self._path), *(["--login", login] if login else []))

        def heard(line: str) -> None:
            said.append(line.removeprefix("CommandError: "))

        return supervisor.run_to_end(Program("config", command), on_line=heard), said

    def _programs(self) -> list[Program]:
        told = self._told
        pages = [] if self._web is None else [programs.web(self._web, self._gateway, workers=1, told=told)]
        return [
            *pages,
            programs.publish(),
            programs.gateway(self._gateway, told=told),
            programs.worker("worker", _QUEUES, "--pool", "solo", told=told, gateway=self._gateway),
            programs.beat(told=told),
        ]

    def _answers(self) -> bool:
        return self._gateway.answers("/readyz") and (self._web is None or self._web.answers("/healthz"))

    def _follow(self, supervisor: Supervisor, watched: Watched) -> None:
        """Takes the file again when it was saved. One that cannot be is refused whole."""
        if not watched.saved():
            return
        before = self._near
        try:
            self._mean(self._read().near)
        except FileInvalid as error:
            self._refuse(error.mistakes)
            return
        status, said = self._apply(supervisor)
        if status != 0:
            self._mean(before)
            self._refuse(said)
            return
        if not self._near <= self._known_near:
            self._known_near = self._near
            for program in self._programs():
                if program.name in {"gateway", "web"}:
                    supervisor.replace(program)
        self._screen.say(f"{self._path.name} was saved: {', '.join(said) or 'nothing changed'}")

    def _refuse(self, mistakes: Sequence[str]) -> None:
        self._screen.trouble(f"{self._path.name} is refused, and what it said before stays in force:")
        for mistake in mistakes:
            self._screen.trouble(f"  {mistake}")

    def _welcome(self, way_in: str) -> None:
        url, data = self._gateway.url, places.data_dir()
        key = (data / KEY).read_text(encoding="ascii").strip()
        # Outside the box, so that they can be marked and pasted.
        for title, lines in _lines(url, key):
            self._screen.say("")
            self._screen.say(title)
            for line in lines:
                self._screen.say(f"  {line}")
        facts = [f"Gateway  {url}/", f"File     {self._path} (taken again when it is saved)"]
        if self._web is not None:
            facts += [f"Open     {self._web.url}/", f"         {way_in}"]
        facts += [f"Data     {data} (the key is in {KEY})", f"Started  in {time.monotonic() - self._began:.0f} s"]
        self._screen.box("Capstan's gateway is running", [*facts, "Stop     Ctrl-C"])


def _lines(url: str, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What is pasted into a shell, for each kind of client."""
    openai = (
        f"export OPENAI_BASE_URL={url}/v1",
        f"export OPENAI_API_KEY={key}",
        'python -c "from openai import OpenAI; print(OpenAI().models.list())"',
    )
    anthropic = (f"export ANTHROPIC_BASE_URL={url}", f"export ANTHROPIC_AUTH_TOKEN={key}", "claude")
    return ("OpenAI's SDKs and what reads their variables", openai), (
        "Claude Code; Anthropic's SDKs read ANTHROPIC_API_KEY",
        anthropic,
    )
