"""Codex' session files: responses one by one, totals as differences, and a parent's history that is not the child's."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.sessions.codex import Position, Reading, parse, read
from finops.connectors.sessions.shared import Owner
from finops.connectors.types import GivenCost, UsageEvent
from tests.factories.agents import bent, checked, meters, said

API = Owner("api", (("email", "bob@acme.example"),))
SECRET = "the merger is on Friday"
# UUIDs of version 7 begin with their time: the parent's before the child's.
PARENT = "019fa000-0000-7000-8000-000000000001"
OLD_TURN = "019fa000-1000-7000-8000-000000000002"
CHILD = "019fb000-0000-7000-8000-000000000003"
NEW_TURN = "019fb000-1000-7000-8000-000000000004"


def usage(given: int, cached: int, out: int, thought: int = 0, written: int = 0) -> dict[str, int]:
    return {
        "input_tokens": given, "cached_input_tokens": cached, "cache_write_input_tokens": written,
        "output_tokens": out, "reasoning_output_tokens": thought, "total_tokens": given + out,
    }  # fmt: skip


def said_line(kind: str, payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"timestamp": "2026-11-20T10:15:00.000Z", "type": kind, "payload": payload} | changes


def meta(thread: str = PARENT, **changes: Any) -> dict[str, Any]:
    told = {
        "id": thread, "timestamp": "2026-11-20T10:00:00Z", "cwd": "/src/indexer", "cli_version": "0.150.0",
        "model_provider": "openai", "git": {"branch": "main"}, "instructions": SECRET,
    }  # fmt: skip
    return said_line("session_meta", told | changes)


def turn(model: str = "gpt-5.2-codex", turn_id: str = OLD_TURN) -> dict[str, Any]:
    return said_line("turn_context", {"turn_id": turn_id, "model": model, "cwd": "/src/indexer"})


def totals(total: Any, last: Any = None, **changes: Any) -> dict[str, Any]:
    info = {"total_token_usage": total, "last_token_usage": last, "model_context_window": 272000}
    return said_line("event_msg", {"type": "token_count", "info": info, "rate_limits": {"primary": {}}}, **changes)


def response(name: str, used: Any, thread: str = PARENT, **changes: Any) -> dict[str, Any]:
    told = {"thread_id": thread, "session_id": PARENT, "turn_id": OLD_TURN, "response_id": name, "usage": used}
    return said_line("token_usage_record", told | {"turn_token_usage": usage(9**9, 0, 0)} | changes)


def lines(*told: Any) -> list[bytes]:
    return [(one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in told]


def read_all(*told: Any, owner: Owner = API) -> Reading:
    return read(lines(*told), owner=owner)


def events(reading: Reading) -> list[UsageEvent]:
    return [said(parse(raw)) for raw in reading.records]


def spent(*told: Any) -> list[tuple[int, int]]:
    """(input with what was cached, output) of each call."""
    found = [meters(one) for one in events(read_all(*told))]
    return [(sum(one.get(name, 0) for name in ("input_uncached", "cache_read", "cache_write_5m")),
             one.get("output_text", 0) + one.get("output_reasoning", 0)) for one in found]  # fmt: skip


def test_a_response_is_a_call_with_its_counts_and_places() -> None:
    (made,) = events(read_all(meta(), turn(), response("resp_1", usage(100, 40, 30, 10, 5))))
    assert (made.provider, made.model, made.session, made.evidence) == ("openai", "gpt-5.2-codex", PARENT, "reported")
    assert made.provider_request_id == "resp_1"
    assert meters(made) == {
        "input_uncached": 55, "cache_read": 40, "cache_write_5m": 5, "output_text": 20, "output_reasoning": 10,
        "requests": 1,
    }  # fmt: skip
    assert dict(made.tags) == {"client": "codex", "cwd": "/src/indexer", "git_branch": "main", "version": "0.150.0"}
    assert made.identities == (("email", "bob@acme.example"),)


def test_totals_are_turned_into_what_came_to_them() -> None:
    one, two = usage(20149, 9984, 5), usage(43884, 20480, 11)
    assert spent(meta(), turn(), totals(one, one), totals(two, usage(23735, 10496, 6))) == [(20149, 5), (23735, 6)]
    made = events(read_all(meta(), turn(), totals(one, one), totals(two)))
    assert meters(made[1])["cache_read"] == 10496


def test_totals_told_again_are_no_call_ccusage_1288() -> None:
    one, two = usage(100, 20, 30, 5), usage(250, 60, 50, 9)
    told = [totals(one, one), totals(one, one), totals(one, one), totals(two, usage(150, 40, 20, 4)), totals(two)]
    assert spent(meta(), turn(), *told) == [(100, 30), (150, 20)]


def test_limits_without_counts_are_no_call() -> None:
    limits = said_line("event_msg", {"type": "token_count", "info": None, "rate_limits": {"primary": {}}})
    assert spent(meta(), turn(), limits) == []


def test_totals_that_began_anew_are_counted_from_there() -> None:
    one, anew = usage(1000, 0, 100), usage(80, 0, 8)
    assert spent(meta(), turn(), totals(one, one), totals(anew, anew)) == [(1000, 100), (80, 8)]
    assert spent(meta(), turn(), totals(one, one), totals(anew)) == [(1000, 100), (80, 8)]


def test_a_file_that_goes_on_from_an_earlier_one_counts_its_own_first_call() -> None:
    assert spent(meta(), turn(), totals(usage(9000, 0, 900), usage(500, 0, 50))) == [(500, 50)]


def test_each_call_has_the_model_of_its_turn() -> None:
    told = [turn("gpt-5.2"), totals(usage(1, 0, 1)), turn("gpt-5.2-mini"), totals(usage(3, 0, 2))]
    assert [one.model for one in events(read_all(meta(), *told))] == ["gpt-5.2", "gpt-5.2-mini"]


@pytest.mark.parametrize("totals_first", [True, False])
def test_responses_and_totals_of_the_same_calls_are_counted_once(totals_first: bool) -> None:
    one, two = usage(100, 40, 10), usage(50, 0, 5)
    pairs = [[response("resp_1", one), totals(one, one)], [response("resp_2", two), totals(usage(150, 40, 15), two)]]
    told = [line for pair in pairs for line in (reversed(pair) if totals_first else pair)]
    assert spent(meta(), turn(), *told) == [(100, 10), (50, 5)]


def test_a_response_told_again_is_the_same_and_the_last_counts() -> None:
    told = [response("resp_1", usage(100, 0, 1)), response("resp_1", usage(100, 0, 40))]
    assert spent(meta(), turn(), *told) == [(100, 40)]


# --- A parent's history -----------------------------------------------------------------------------------------------
HISTORY = [turn(), totals(usage(1000, 0, 100), usage(1000, 0, 100)), totals(usage(9000, 0, 900), usage(8000, 0, 800))]
OWN = [turn(turn_id=NEW_TURN), totals(usage(9300, 0, 930), usage(300, 0, 30))]


def test_a_forks_copy_of_its_parents_history_is_the_parents_ccusage_950() -> None:
    assert spent(meta(CHILD, forked_from_id=PARENT), meta(PARENT), *HISTORY, *OWN) == [(300, 30)]


def test_a_sub_agents_copy_is_the_parents_and_its_own_is_below_it() -> None:
    spawn = {"source": {"subagent": {"thread_spawn": {"parent_thread_id": PARENT}}}}
    (made,) = events(read_all(meta(CHILD, **spawn), meta(PARENT), *HISTORY, *OWN))
    assert (made.session, dict(made.tags)["agent_id"]) == (PARENT, CHILD)
    assert "parent_agent_id" not in dict(made.tags)


def test_a_sub_agent_of_a_sub_agent_says_whose_it_is() -> None:
    told = meta(CHILD, session_id="root", parent_thread_id=PARENT)
    (made,) = events(read_all(told, *OWN))
    tags = dict(made.tags)
    assert (made.session, tags["agent_id"], tags["parent_agent_id"]) == ("root", CHILD, PARENT)


def test_a_sub_agent_without_a_copy_counts_from_its_first_turn() -> None:
    spawn = {"source": {"subagent": {"thread_spawn": {"parent_thread_id": PARENT}}}}
    one = usage(500, 0, 50)
    assert spent(meta(CHILD, **spawn), turn(turn_id=NEW_TURN), totals(one, one)) == [(500, 50)]


def test_an_ordinal_says_where_its_own_begins() -> None:
    first = meta(CHILD, parent_thread_id=PARENT, subagent_history_start_ordinal=3)
    copied = [line | {"ordinal": number} for number, line in enumerate(HISTORY[:2], 1)]
    own = totals(usage(1200, 0, 120), usage(200, 0, 20)) | {"ordinal": 3}
    assert spent(first, *copied, own) == [(200, 20)]


def test_its_own_header_told_again_is_where_its_own_begins() -> None:
    own = totals(usage(9300, 0, 930), usage(300, 0, 30))
    assert spent(meta(CHILD, forked_from_id=PARENT), meta(PARENT), *HISTORY, meta(CHILD), own) == [(300, 30)]


def test_copied_responses_are_the_parents() -> None:
    told = [response("resp_1", usage(100, 0, 1)), turn(turn_id=NEW_TURN), response("resp_2", usage(7, 0, 2), CHILD)]
    assert spent(meta(CHILD, forked_from_id=PARENT), meta(PARENT), *told) == [(7, 2)]


def test_what_cannot_be_told_apart_is_withheld_and_said_so() -> None:
    reading = read_all(meta(CHILD, forked_from_id=PARENT), meta(PARENT), *HISTORY)
    assert (reading.records, reading.position.withheld) == ((), 2)


def test_a_family_of_files_counts_each_token_once() -> None:
    parent = [meta(PARENT), *HISTORY]
    child = [meta(CHILD, forked_from_id=PARENT), meta(PARENT), *HISTORY, *OWN]
    assert sum(given for given, _ in spent(*parent)) + sum(given for given, _ in spent(*child)) == 9300


# --- Files that grow, and odd ones ------------------------------------------------------------------------------------
def test_a_file_that_grows_is_read_on_from_where_it_was() -> None:
    whole = lines(meta(CHILD, forked_from_id=PARENT), meta(PARENT), *HISTORY, *OWN, totals(usage(9400, 0, 940)))
    at_once = read(whole, owner=API)
    for where in range(len(whole) + 1):
        first = read(whole[:where], owner=API)
        second = read(whole[where:], owner=API, since=first.position)
        assert first.records + second.records == at_once.records
        assert second.position == at_once.position


def test_a_position_can_be_kept_as_json() -> None:
    position = read_all(meta(), turn(), totals(usage(5, 1, 2))).position
    assert msgspec.json.decode(msgspec.json.encode(position), type=Position) == position


def test_half_a_line_is_read_the_next_time() -> None:
    whole = lines(meta(), turn(), totals(usage(5, 0, 2)))
    reading = read([*whole[:2], whole[2][:50]], owner=API)
    assert (reading.records, reading.position.line) == ((), 2)


def test_what_a_seat_pays_for_is_no_dollars_openusage_213() -> None:
    (made,) = events(read_all(meta(), turn(), totals(usage(5, 0, 2)), owner=Owner("subscription")))
    assert (made.cost, dict(made.tags)["billing"]) == (GivenCost(0, "USD"), "subscription")


def test_nothing_of_what_was_written_is_kept() -> None:
    told = [
        said_line("response_item", {"type": "message", "content": '"token_count" ' + SECRET}),
        totals(usage(5, 0, 2) | {"note": SECRET, "input_tokens": SECRET}),
        b'{"type": "event_msg", "payload": {"type": "token_count", "x": "' + SECRET.encode(),
    ]
    rows = read_all(meta(), turn(), *told).records
    assert len(rows) == 2
    for raw in rows:
        received = parse(raw)
        assert received.problem is not None
        assert SECRET.encode() not in raw
        assert SECRET not in repr(received.problem)


def test_more_cached_than_there_was_is_a_problem() -> None:
    received = parse(read_all(meta(), turn(), totals(usage(5, 9, 2))).records[0])
    assert received.problem is not None
    assert received.problem.code == "connectors.subset_exceeds_total"


def test_a_call_of_no_known_model_is_a_problem_and_not_a_guess() -> None:
    received = parse(read_all(meta(), totals(usage(5, 0, 2))).records[0])
    assert received.problem is not None
    assert (received.problem.field, bool(received.external_id)) == ("model", True)


COUNT = st.integers(0, 1000)


@given(st.lists(st.tuples(COUNT, COUNT), max_size=10), st.lists(st.integers(0, 20), max_size=5))
def test_differences_sum_to_the_last_total(steps: list[tuple[int, int]], repeats: list[int]) -> None:
    told: list[dict[str, Any]] = []
    given = out = 0
    for more_in, more_out in steps:
        given, out = given + more_in, out + more_out
        told.append(totals(usage(given, 0, out), usage(more_in, 0, more_out)))
    for place in sorted(repeats, reverse=True):
        if place < len(told):
            told.insert(place, told[place])
    found = spent(meta(), turn(), *told)
    assert (sum(one for one, _ in found), sum(one for _, one in found)) == (given, out)


@given(bent([meta(CHILD, forked_from_id=PARENT), turn(turn_id=NEW_TURN), response("r", usage(5, 0, 2), CHILD),
             totals(usage(5, 0, 2), usage(5, 0, 2))]))  # fmt: skip
def test_anything_in_any_place_of_a_file(raw: bytes) -> None:
    told = json.loads(raw)
    for one in read_all(*(told if isinstance(told, list) else [told])).records:
        checked(one, parse)


@given(bent(json.loads(read_all(meta(), turn(), totals(usage(5, 0, 2))).records[0])))
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
