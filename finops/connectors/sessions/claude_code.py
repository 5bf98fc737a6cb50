"""Reads Claude Code's session files: ~/.claude/projects/<folder>/<session>.jsonl, and those of its sub-agents below.

Anthropic documents where they are and not what is in them; this is as it was observed until September 2026. A line of
type `assistant` holds a message with its usage as the API told it. The same message stands there several times, a line
for each part of its content and with few output tokens while it streams: the last line of a message counts. Nothing of
what was written is kept. See README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.anthropic.usage import messages_usage, tier_of
from finops.connectors.bare import usage_of
from finops.connectors.foreign import LONGEST, UNDECODABLE, Part, counts_of, encode, key_of, received, tags_of
from finops.connectors.sessions.shared import (
    LONGEST_LINE,
    Owner,
    broken,
    identities_of,
    owned,
    owner_of,
    refuse_broken,
    whole_lines,
)
from finops.connectors.types import Received, UsageEvent

PARSER: Final = "claude_code_session"
# Lines of Claude Code's own making that no model answered, such as its errors.
_SYNTHETIC: Final = "<synthetic>"
_MARK: Final = b'"assistant"'
# As a line and a record write them, and as `_Line` does.
_FIELDS: Final = {
    "timestamp": "timestamp",
    "sessionId": "session_id",
    "requestId": "request_id",
    "agentId": "agent_id",
    "cwd": "cwd",
    "gitBranch": "git_branch",
    "version": "version",
}
# Whose API made a message, by how its id begins; other hosts that speak the dialect use ids of their own.
_HOSTS: Final = (("msg_bdrk_", "aws"), ("msg_vrtx_", "google"), ("msg_", "anthropic"))


class _Message(msgspec.Struct):
    id: Any = None
    model: Any = None
    usage: Any = None


class _Line(msgspec.Struct, rename="camel"):
    type: Any = None
    timestamp: Any = None
    session_id: Any = None
    request_id: Any = None
    agent_id: Any = None
    is_sidechain: Any = None
    cwd: Any = None
    git_branch: Any = None
    version: Any = None
    message: _Message | None = None


class Position(NamedTuple):
    """How far a file was read: bytes and lines."""

    offset: int = 0
    line: int = 0


class Reading(NamedTuple):
    """Records for `parse`, and where to go on reading."""

    records: tuple[bytes, ...]
    position: Position


_START: Final = Position()
_line: Final = msgspec.json.Decoder(_Line).decode


def read(lines: Iterable[bytes], *, owner: Owner, since: Position = _START) -> Reading:
    """What lines with their ends, from `since.offset` of the file on, say of calls; one record for each message.

    A message that is still being written when a reading ends is told again by the next one, as a revision with the same
    id. The time of a message is that of its first line.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    loose: list[bytes] = []
    offset, number = since
    said_of = owner_of(owner)
    for line, offset, number in whole_lines(lines, since.offset, since.line):  # noqa: B007 (the last ones are told)
        if _MARK not in line or len(line) > LONGEST_LINE:
            continue
        try:
            said = _line(line)
        except UNDECODABLE:
            loose.append(broken(number))
            continue
        record = _bare(said)
        if record is None:
            continue
        record["owner"] = said_of
        key = (record["message"]["id"], record.get("requestId") or "")
        before = found.get(key)
        if before is not None:
            record["timestamp"] = before.get("timestamp")
        found[key] = record
    rows = [encode({name: value for name, value in record.items() if value is not None}) for record in found.values()]
    return Reading((*rows, *loose), Position(offset, number))


def _bare(said: _Line) -> dict[str, Any] | None:
    """A line's ids and counts; None for what is no call's."""
    message = said.message
    if said.type != "assistant" or message is None or message.model == _SYNTHETIC or message.usage is None:
        return None
    told = {name: _short(getattr(said, field)) for name, field in _FIELDS.items()}
    return {
        **told,
        "sidechain": said.is_sidechain is True,
        "message": {
            "id": _short(message.id) or "",
            "model": _short(message.model) or "",
            # What is no usage at all is named as such, without being kept.
            "usage": usage_of(message.usage) or {},
        },
    }


def _short(value: Any) -> str | None:
    return value[:LONGEST] if isinstance(value, str) else None


def parse(raw: bytes) -> Received:
    """One record of `read`."""
    return received(raw, _event, _name)


def _name(record: Part) -> str:
    """By the message and its request, wherever it stands: a session that is resumed repeats what it goes on from."""
    return key_of([record.part("message").needed("id"), record.text("requestId")])


def _event(record: Part) -> UsageEvent:
    refuse_broken(record)
    message = record.part("message")
    usage = message.part("usage")
    name = message.needed("id")
    tags = {
        "client": "claude-code",
        "agent_id": record.text("agentId"),
        "sidechain": "true" if record.flag("sidechain") else "",
        "cwd": record.text("cwd"),
        "git_branch": record.text("gitBranch"),
        "version": record.text("version"),
    }
    event = UsageEvent(
        external_id=_name(record),
        occurred_at=record.moment("timestamp"),
        provider=next((provider for prefix, provider in _HOSTS if name.startswith(prefix)), ""),
        model=message.needed("model"),
        counts=counts_of(messages_usage(usage.values)),
        service_tier=tier_of(
            service_tier=usage.get("service_tier"), speed=usage.get("speed"), geo=usage.get("inference_geo")
        ),
        provider_request_id=record.text("requestId"),
        session=record.text("sessionId"),
        evidence="reported",
        identities=identities_of(record),
        tags=tags_of(tags),
    )
    return owned(record, event)
