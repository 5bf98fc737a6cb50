"""Session files of coding agents on this machine, read into a source: what was written since the last look."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from finops.connectors.sessions import claude_code, codex
from finops.connectors.sessions.shared import Owner
from finops.connectors.types import Received, dated
from finops.ingest.services import take
from finops.sources.models import Source


class Agent(NamedTuple):
    """A coding agent: where its files are unless somebody says so, and how they are read."""

    title: str
    slug: str
    parser: str
    parse: Callable[[bytes], Received]
    read: Callable[..., Any]
    start: Any
    folders: tuple[str, ...]
    pattern: str
    variable: str


AGENTS: Final[Mapping[str, Agent]] = {
    "claude": Agent(
        "Claude Code", "claude-code-sessions", claude_code.PARSER, claude_code.parse, claude_code.read,
        claude_code.Position(), ("~/.claude/projects",), "*.jsonl", "CLAUDE_CONFIG_DIR",
    ),
    "codex": Agent(
        "Codex", "codex-sessions", codex.PARSER, codex.parse, codex.read, codex.Position(),
        ("~/.codex/sessions", "~/.codex/archived_sessions"), "rollout-*.jsonl", "CODEX_HOME",
    ),
}  # fmt: skip


class Look(NamedTuple):
    """What a look at the files came to: files read, and records by what became of them."""

    files: int
    outcomes: Counter[str]


class Follower:
    """The files of one agent, each from where it was read to. One that became shorter is read anew."""

    def __init__(self, agent: Agent, folders: Iterable[Path], *, source: Source, owner: Owner) -> None:
        self._agent, self._source, self._owner = agent, source, owner
        self._folders = tuple(folders)
        self._at: dict[Path, Any] = {}

    def look(self, at: datetime) -> Look:
        """Book what was written since. A file that is gone or cannot be opened is passed over: it may come back."""
        files, outcomes = 0, Counter[str]()
        for path in sorted(path for folder in self._folders for path in folder.rglob(self._agent.pattern)):
            since = self._at.get(path, self._agent.start)
            try:
                size = path.stat().st_size
                if size == since.offset:
                    continue
                since = since if size > since.offset else self._agent.start
                with path.open("rb") as lines:
                    lines.seek(since.offset)
                    reading = self._agent.read(lines, owner=self._owner, since=since)
            except OSError:
                continue
            files += 1
            received = [dated(self._agent.parse(raw), at) for raw in reading.records]
            # A message that was being written is told again when it is whole.
            booked = take(
                organization_id=self._source.organization_id, source_id=self._source.id, parser=self._agent.parser,
                received=received, at=at, revises=True,
            )  # fmt: skip
            outcomes.update(one.status.value for one in booked)
            self._at[path] = reading.position
        return Look(files, outcomes)


def folders_of(agent: Agent) -> list[Path]:
    """Where the agent keeps its files on this machine: below the folder that its own variable names, or as usual."""
    home = os.environ.get(agent.variable, "")
    found = [Path(home) / Path(folder).name if home else Path(folder).expanduser() for folder in agent.folders]
    return [folder for folder in found if folder.is_dir()]
