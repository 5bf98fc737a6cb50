"""Reads Codex' session files: ~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<id>.jsonl.

No page documents them; this is as it was observed until October 2026. A line is `{timestamp, type, payload}`. The first
is `session_meta`; `turn_context` says the model; what was used stands in `token_usage_record`, a response each, and in
older files only in `event_msg` / `token_count`, which holds totals of the session and is told again whenever its limits
are. Totals are turned into differences. A file of a fork or a sub-agent may begin with a copy of its parent's, whose
counts are the parent's. Nothing of what was written is kept. See README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.bare import usage_of
from finops.connectors.counting import count, meters
from finops.connectors.foreign import LONGEST, UNDECODABLE, Part, Wrong, counts_of, encode, key_of, received, tags_of
from finops.connectors.sessions.lineage import Lineage, lineage_of, passed
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

PARSER: Final = "codex_session"
_COUNTS: Final = (
    "input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens", "reasoning_output_tokens",
)  # fmt: skip
_MARKS: Final = (b'"token_count"', b'"token_usage_record"', b'"turn_context"', b'"session_meta"', b'"task_started"')


class _Line(msgspec.Struct):
    type: Any = None
    timestamp: Any = None
    ordinal: Any = None
    payload: dict[str, Any] | None = None


class Position(NamedTuple):
    """How far a file was read, and what the rest of it is read by. `totals` are those last told, in the order of the
    counts; `calls` are the differences told so far.

    `withheld` counts what a fork's file told before it could be known whether it is its own or its parent's.
    """

    offset: int = 0
    line: int = 0
    lineage: Lineage = Lineage()
    model: str = ""
    totals: tuple[int, ...] = (0,) * len(_COUNTS)
    calls: int = 0
    # Whether responses are told one by one, so that totals are not counted besides.
    by_response: bool = False
    withheld: int = 0


class Reading(NamedTuple):
    """Records for `parse`, and where to go on reading."""

    records: tuple[bytes, ...]
    position: Position


_START: Final = Position()
_line: Final = msgspec.json.Decoder(_Line).decode


def read(lines: Iterable[bytes], *, owner: Owner, since: Position = _START) -> Reading:
    """What lines with their ends, from `since.offset` of the file on, say of calls."""
    state = _State(since, owner_of(owner))
    offset, number = since.offset, since.line
    for line, offset, number in whole_lines(lines, since.offset, since.line):  # noqa: B007 (the last ones are told)
        if len(line) > LONGEST_LINE or not any(mark in line for mark in _MARKS):
            continue
        try:
            said = _line(line)
        except UNDECODABLE:
            state.loose.append(broken(number))
            continue
        if said.payload is not None:
            state.take(said, said.payload)
    rows = [encode({name: value for name, value in record.items() if value is not None}) for record in state.found]
    return Reading((*rows, *state.loose), state.at._replace(offset=offset, line=number))


class _State:
    """What was read so far."""

    def __init__(self, since: Position, owner: dict[str, Any]) -> None:
        self.at = since
        self.owner = owner
        self.found: list[dict[str, Any]] = []
        self.loose: list[bytes] = []
        self._places: dict[tuple[str, str], int] = {}

    def take(self, line: _Line, payload: dict[str, Any]) -> None:
        kind = payload.get("type") if line.type == "event_msg" else line.type
        if kind == "session_meta":
            self.at = self.at._replace(lineage=lineage_of(self.at.lineage, payload))
            return
        lineage = passed(self.at.lineage, payload, line.ordinal)
        self.at = self.at._replace(lineage=lineage)
        if kind == "turn_context":
            model = payload.get("model")
            self.at = self.at._replace(model=model[:LONGEST] if isinstance(model, str) else self.at.model)
        elif kind == "token_usage_record":
            self._take_response(line, payload)
        elif kind == "token_count":
            self._take_totals(line, payload)

    def _take_response(self, line: _Line, payload: dict[str, Any]) -> None:
        """A response's own usage, under its own id: a copy of it in another file is the same response."""
        usage, response = usage_of(payload.get("usage")) or {}, payload.get("response_id")
        thread, lineage = payload.get("thread_id"), self.at.lineage
        if not isinstance(response, str) or not response or (lineage.thread and thread not in (None, lineage.thread)):
            return
        if thread is None and not lineage.own:
            self.at = self.at._replace(withheld=self.at.withheld + 1)
            return
        if not self.at.by_response and self.found and _numbers(self.found[-1]["usage"]) == _numbers(usage):
            # The totals of this response came first.
            self.found.pop()
            self.at = self.at._replace(calls=self.at.calls - 1)
        self.at = self.at._replace(by_response=True)
        record = self._record(line, usage) | {"response": response[:LONGEST]}
        place = self._places.setdefault((record["session"], response), len(self.found))
        if place < len(self.found):
            self.found[place] = record
        else:
            self.found.append(record)

    def _take_totals(self, line: _Line, payload: dict[str, Any]) -> None:
        info = payload.get("info")
        told = usage_of(info) if isinstance(info, dict) else None
        if not told:
            # Limits alone, without counts.
            return
        last, total = told.get("last_token_usage"), told.get("total_token_usage")
        before, totals = self.at.totals, _numbers(total if isinstance(total, dict) else {})
        if isinstance(total, dict):
            self.at = self.at._replace(totals=totals)
        if self.at.by_response:
            return
        if not self.at.lineage.own:
            self.at = self.at._replace(withheld=self.at.withheld + 1)
            return
        usage = _difference(before, totals, total, last, first=not self.at.calls)
        if usage is not None:
            self.found.append(self._record(line, usage) | {"nth": self.at.calls + 1})
            self.at = self.at._replace(calls=self.at.calls + 1)

    def _record(self, line: _Line, usage: dict[str, Any]) -> dict[str, Any]:
        lineage = self.at.lineage
        return {
            "timestamp": line.timestamp if isinstance(line.timestamp, str) else None,
            "session": lineage.thread,
            "root": lineage.root,
            "parent": lineage.parent,
            "model": self.at.model,
            "provider": lineage.provider,
            "cwd": lineage.cwd,
            "branch": lineage.branch,
            "version": lineage.version,
            "usage": usage,
            "owner": self.owner,
        }


def _numbers(usage: dict[str, Any]) -> tuple[int, ...]:
    """Counts in their order; what is no count is 0 here, and named where it is read."""
    return tuple([value if type(value := usage.get(name)) is int else 0 for name in _COUNTS])


def _difference(
    before: tuple[int, ...], totals: tuple[int, ...], total: Any, last: Any, *, first: bool
) -> dict[str, Any] | None:
    """What came to the totals since they were told before; None where nothing did, because they were only told again.

    Totals that went down began anew, and the first of a file may hold what an earlier file counted: then it is what the
    line says of its last call. Bent counts pass as they are, for their problem to be named.
    """
    bent = next((one for one in (total, last) if isinstance(one, dict) and _is_bent(one)), None)
    if bent is not None:
        return bent
    if not isinstance(total, dict):
        return last if isinstance(last, dict) and any(_numbers(last)) else None
    if totals == before:
        return None
    went_down = any(now < then for now, then in zip(totals, before, strict=True))
    if (went_down or (first and not any(before))) and isinstance(last, dict):
        return last if any(_numbers(last)) else None
    base = (0,) * len(_COUNTS) if went_down else before
    return {name: now - then for name, now, then in zip(_COUNTS, totals, base, strict=True)}


def _is_bent(usage: dict[str, Any]) -> bool:
    return any(type(usage.get(name, 0)) is not int or usage.get(name, 0) < 0 for name in _COUNTS)


def parse(raw: bytes) -> Received:
    """One record of `read`."""
    return received(raw, _event, _name)


def _name(record: Part) -> str:
    """By its response, or by its place among the differences of its session's file."""
    response, nth = record.text("response"), record.count("nth")
    if not response and not nth:
        raise record.missing("response")
    return key_of(["codex", record.needed("session"), response or str(nth)])


def _event(record: Part) -> UsageEvent:
    refuse_broken(record)
    used = record.part("usage").values
    if used.get("input_tokens") is None and used.get("output_tokens") is None:
        raise Wrong("usage_missing", "usage.input_tokens", "the line says no count")
    thread, root, parent = record.needed("session"), record.text("root"), record.text("parent")
    apart = bool(root) and root != thread
    tags = {
        "client": "codex",
        "agent_id": thread if apart else "",
        "parent_agent_id": parent if apart and parent != root else "",
        "cwd": record.text("cwd"),
        "git_branch": record.text("branch"),
        "version": record.text("version"),
    }
    made = meters(
        input_tokens=count(used, "input_tokens"),
        cache_read_tokens=count(used, "cached_input_tokens"),
        cache_write_tokens=count(used, "cache_write_input_tokens"),
        output_tokens=count(used, "output_tokens"),
        reasoning_tokens=count(used, "reasoning_output_tokens"),
    )
    event = UsageEvent(
        external_id=_name(record),
        occurred_at=record.moment("timestamp"),
        provider=record.text("provider"),
        model=record.needed("model"),
        counts=counts_of(made),
        provider_request_id=record.text("response"),
        session=root or thread,
        evidence="reported",
        identities=identities_of(record),
        tags=tags_of(tags),
    )
    return owned(record, event)
