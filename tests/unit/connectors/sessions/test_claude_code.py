"""Claude Code's session files: each message once, by its last line, and nothing of what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.sessions.claude_code import Position, Reading, parse, read
from finops.connectors.sessions.shared import Owner
from finops.connectors.types import GivenCost, UsageEvent, content_hash
from tests.factories.agents import bent, checked, meters, said

API = Owner("api", (("email", "bob@acme.example"),))
SEAT = Owner("subscription", (("email", "bob@acme.example"),))
SECRET = "the merger is on Friday"
USAGE = {
    "input_tokens": 2, "cache_creation_input_tokens": 400, "cache_read_input_tokens": 61608, "output_tokens": 211,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300},
    "service_tier": "standard",
}  # fmt: skip


def line(message: str = "msg_01", request: str | None = "req_01", **changes: Any) -> dict[str, Any]:
    """An assistant's line; `usage` and `model` are its message's."""
    told = {
        "parentUuid": "p", "isSidechain": False, "userType": "external", "cwd": "/src/indexer", "sessionId": "s-1",
        "version": "2.1.220", "gitBranch": "main", "type": "assistant", "uuid": "u", "requestId": request,
        "timestamp": "2026-11-20T10:15:00.123Z",
        "message": {
            "id": message, "type": "message", "role": "assistant", "model": changes.pop("model", "claude-opus-5-5"),
            "content": [{"type": "text", "text": SECRET}], "usage": USAGE | changes.pop("usage", {}),
        },
    } | changes  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def user(text: str = SECRET) -> dict[str, Any]:
    return {"type": "user", "timestamp": "2026-11-20T10:14:00Z", "message": {"role": "user", "content": text}}


def lines(*told: Any) -> list[bytes]:
    return [(one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in told]


def events(reading: Reading) -> list[UsageEvent]:
    return [said(parse(raw)) for raw in reading.records]


def test_a_message_is_a_call_with_its_counts_and_places() -> None:
    (made,) = events(read(lines(user(), line()), owner=API))
    assert (made.provider, made.model, made.session, made.evidence) == (
        "anthropic", "claude-opus-5-5", "s-1", "reported",
    )  # fmt: skip
    assert (made.provider_request_id, made.service_tier) == ("req_01", "standard")
    assert meters(made) == {
        "input_uncached": 2, "cache_read": 61608, "cache_write_5m": 100, "cache_write_1h": 300, "output_text": 211,
        "requests": 1,
    }  # fmt: skip
    assert dict(made.tags) == {
        "client": "claude-code", "cwd": "/src/indexer", "git_branch": "main", "version": "2.1.220",
    }  # fmt: skip
    assert made.identities == (("email", "bob@acme.example"),)


def test_a_message_is_counted_once_however_many_lines_it_has() -> None:
    """One line for each part of its content, all with the same usage."""
    assert len(read(lines(line(uuid="a"), line(uuid="b"), user(), line(uuid="c")), owner=API).records) == 1


def test_the_last_line_of_a_message_counts_and_the_first_says_when() -> None:
    partial = line(usage={"output_tokens": 1}, timestamp="2026-11-20T23:59:59Z")
    (made,) = events(
        read(lines(partial, line(usage={"output_tokens": 503}, timestamp="2026-11-21T00:00:09Z")), owner=API)
    )
    assert meters(made)["output_text"] == 503
    assert made.occurred_at.isoformat() == "2026-11-20T23:59:59+00:00"


def test_a_message_without_a_request_is_known_by_its_own_id() -> None:
    told = [line("chatcmpl-1", None, model="kimi-k2.5"), line("chatcmpl-1", None, model="kimi-k2.5")]
    (made,) = events(read(lines(*told), owner=API))
    assert (made.provider, made.provider_request_id, made.model) == ("", "", "kimi-k2.5")


def test_a_session_that_is_resumed_repeats_no_charge() -> None:
    (first,) = events(read(lines(line()), owner=API))
    (copied,) = events(read(lines(line(sessionId="s-2")), owner=API))
    assert first.external_id == copied.external_id


def test_whose_servers_made_a_message_is_told_by_its_id() -> None:
    told = events(read(lines(line("msg_bdrk_1", None), line("msg_vrtx_1", None), line("msg_2", None)), owner=API))
    assert [one.provider for one in told] == ["aws", "google", "anthropic"]


def test_a_sub_agents_calls_are_told_apart() -> None:
    (made,) = events(read(lines(line(isSidechain=True, agentId="a1b2")), owner=API))
    assert dict(made.tags) | {"agent_id": "a1b2", "sidechain": "true"} == dict(made.tags)
    assert made.session == "s-1"


def test_what_a_seat_pays_for_is_no_dollars_openusage_213() -> None:
    (paid,), (held,) = (events(read(lines(line()), owner=owner)) for owner in (API, SEAT))
    assert (paid.cost, held.cost) == (None, GivenCost(0, "USD"))
    assert dict(held.tags)["billing"] == "subscription"
    assert held.counts == paid.counts


def test_a_long_session_is_told_whole_claude_code_92776() -> None:
    """Telemetry told 3 to 25 % of one; the file has a line of every message, and each is read."""
    told = [line(f"msg_{number}", f"req_{number}") for number in range(5000)]
    made = read(lines(*told), owner=API)
    assert len(made.records) == 5000
    assert sum(meters(said(parse(raw)))["output_text"] for raw in made.records) == 5000 * 211


def test_lines_that_are_no_calls_are_none() -> None:
    odd = [
        user(), user('"assistant"'), line(model="<synthetic>"), {"type": "summary", "summary": SECRET},
        line(type="progress"), line(message="x") | {"message": {"role": "assistant", "content": SECRET}},
    ]  # fmt: skip
    assert read(lines(*odd), owner=API).records == ()


def test_nothing_of_what_was_written_is_kept() -> None:
    told = [
        line(usage={"note": SECRET, "deep": {"text": SECRET}, "input_tokens": SECRET}),
        line("msg_2", usage={"output_tokens": "many", SECRET: 1}),
        b'{"type": "assistant", "message": "' + SECRET.encode(),
    ]
    rows = read(lines(*told), owner=API).records
    assert len(rows) == 3
    for raw in rows:
        received = parse(raw)
        assert received.problem is not None
        assert SECRET.encode() not in raw
        assert SECRET not in repr(received.problem)


def test_a_file_that_grows_is_read_on_from_where_it_was() -> None:
    whole = lines(user(), line("msg_1"), user(), line("msg_2"), line("msg_3"))
    half = b"".join(whole[:3]) + whole[3][:40]
    first = read(half.splitlines(keepends=True), owner=API)
    assert first.position == Position(sum(map(len, whole[:3])), 3)
    rest = b"".join(whole)[first.position.offset :]
    second = read(rest.splitlines(keepends=True), owner=API, since=first.position)
    names = [one.external_id for reading in (first, second) for one in events(reading)]
    assert names == [one.external_id for one in events(read(whole, owner=API))]
    assert second.position == Position(sum(map(len, whole)), 5)


def test_a_message_that_was_still_written_is_a_revision() -> None:
    (first,) = events(read(lines(line(usage={"output_tokens": 1})), owner=API))
    (later,) = events(read(lines(line()), owner=API))
    assert first.external_id == later.external_id
    assert content_hash(first) != content_hash(later)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 900)), max_size=12), st.integers(0, 12))
def test_cutting_a_file_anywhere_loses_and_adds_nothing(told: list[tuple[int, int]], where: int) -> None:
    whole = lines(*[line(f"msg_{name}", usage={"output_tokens": tokens}) for name, tokens in told])
    at_once = {one.external_id: one.counts for one in events(read(whole, owner=API))}
    first = read(whole[:where], owner=API)
    second = read(whole[where:], owner=API, since=first.position)
    by_parts = {one.external_id: one.counts for reading in (first, second) for one in events(reading)}
    assert by_parts == at_once
    assert second.position.offset == sum(map(len, whole))


def test_how_it_is_billed_is_always_said() -> None:
    (raw,) = read(lines(line()), owner=API).records
    received = parse(raw.replace(b'"api"', b'"free"'))
    assert received.problem is not None
    assert received.problem.field == "owner.billing"


@pytest.mark.parametrize("body", [[b"\n"], [b"[]\n"], [b"\xff\xfe\n"], [b"no newline"], []])
def test_odd_lines_are_no_error(body: list[bytes]) -> None:
    assert read(body, owner=API).records == ()


@given(bent(line()))
def test_anything_in_any_place_of_a_line(raw: bytes) -> None:
    for one in read([raw + b"\n"], owner=SEAT).records:
        checked(one, parse)


@given(bent(json.loads(read(lines(line(agentId="a")), owner=SEAT).records[0])))
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
