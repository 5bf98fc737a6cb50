"""Whose a Codex file is, and from where on what it tells is its own. Pure.

A fork's file begins with its own `session_meta` and goes on with a copy of its parent's lines, the parent's
`session_meta` and counts among them, mostly with the time of the copy. Added up as they stand, such files came to many
times what was used (ccusage#950, CodexBar#3524). What is the child's own begins where the file says (an ordinal), at
its own `session_meta` told again, or at the first turn that began after the session did: ids of turns and sessions are
UUIDs that hold their time (version 7).
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from finops.connectors.foreign import LONGEST

_UUID7: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class Lineage(NamedTuple):
    """`thread` is the session of the file, `root` the one a person began, `parent` the one that asked for it; '' is not
    said. `own`: what follows is this session's. `begins` is the ordinal its own lines begin at, 0 where none is told.
    """

    thread: str = ""
    root: str = ""
    parent: str = ""
    provider: str = ""
    cwd: str = ""
    branch: str = ""
    version: str = ""
    own: bool = True
    begins: int = 0


def lineage_of(known: Lineage, payload: dict[str, Any]) -> Lineage:
    """After a `session_meta`. The first says whose the file is; a later one is the parent's, copied, or its own."""
    thread = _text(payload, "id") or _text(payload, "session_id")
    if known.thread:
        if not thread or known.begins:
            return known
        return known._replace(own=thread == known.thread)
    spawned = _inside(_inside(_inside(payload, "source"), "subagent"), "thread_spawn")
    forked = _text(payload, "forked_from_id")
    parent = _text(payload, "parent_thread_id") or _text(spawned, "parent_thread_id")
    begins = payload.get("subagent_history_start_ordinal") or _inside(payload, "history_base").get(
        "end_ordinal_exclusive"
    )
    return Lineage(
        thread=thread,
        # A fork of a person's is a session of its own; a sub-agent's belongs to the one above it.
        root=_text(payload, "session_id") or parent or thread,
        parent=parent,
        provider=_text(payload, "model_provider"),
        cwd=_text(payload, "cwd"),
        branch=_text(_inside(payload, "git"), "branch"),
        version=_text(payload, "cli_version"),
        own=not (forked or parent),
        begins=begins if type(begins) is int and begins > 0 else 0,
    )


def passed(known: Lineage, payload: dict[str, Any], ordinal: Any) -> Lineage:
    """After any other line: whether it shows that the session's own lines have begun."""
    if known.own:
        return known
    if known.begins and type(ordinal) is int:
        return known._replace(own=True) if ordinal >= known.begins else known
    turn, began = _milliseconds(_text(payload, "turn_id")), _milliseconds(known.thread)
    return known._replace(own=True) if turn and began and turn >= began else known


def _milliseconds(name: str) -> int:
    """When a UUID of version 7 was made; 0 for other ids."""
    found = _UUID7.fullmatch(name)
    return int(found[1] + found[2], 16) if found else 0


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value[:LONGEST] if isinstance(value, str) else ""


def _inside(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}
