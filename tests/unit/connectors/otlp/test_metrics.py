"""Metrics of tokens: intervals of usage, of deltas and of sums that only grow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.otlp import metrics
from finops.connectors.otlp.cumulative import NOTHING_SEEN, State, increments, streams
from finops.connectors.otlp.types import Encoding
from finops.connectors.types import UsageEvent, content_hash
from tests.factories import otlp
from tests.factories.examples import example

MINUTE = 60 * otlp.SECOND
CLAUDE: dict[str, Any] = {
    "model": "claude-opus-5-5", "session.id": "s-1", "user.email": "dev@example.com", "query_source": "main",
}  # fmt: skip


def events(body: bytes, state: State = NOTHING_SEEN) -> tuple[list[UsageEvent], State]:
    found = metrics.cut(body, state=state)
    return [otlp.read(metrics.parse(row)) for row in found.rows], found.state


def tokens(numbers: Mapping[str, Any], said: Mapping[str, Any], **times: int) -> list[Any]:
    return [otlp.point(number, {**said, "type": kind}, **times) for kind, number in numbers.items()]


def claude(numbers: Mapping[str, Any], temporality: int = 1, cost: float | None = None, **times: int) -> bytes:
    told = [otlp.metric("claude_code.token.usage", *tokens(numbers, CLAUDE, **times), temporality=temporality)]
    if cost is not None:
        told.append(otlp.metric("claude_code.cost.usage", otlp.point(cost, CLAUDE, **times), temporality=temporality))
    return otlp.metrics(*told, **{"service.name": "claude-code", "team.id": "search"})


def test_the_example() -> None:
    (found,), state = events(example("otlp_metrics_claude_code"))
    assert otlp.counted(found) == {"cache_read": 1234}
    assert dict(found.tags)["department"] == "search"
    assert state == {}, "deltas need no memory"


def test_kinds_of_one_interval_are_one_event() -> None:
    (found,), _ = events(claude({"input": 12, "output": 503, "cacheRead": 9000, "cacheCreation": 3000}, cost=0.0421))
    assert otlp.counted(found) == {
        "input_uncached": 12, "cache_read": 9000, "cache_write_5m": 3000, "output_text": 503,
    }  # fmt: skip
    assert (found.evidence, found.cost, found.session) == ("reported", None, "s-1")
    assert dict(found.tags)["cost_usd"] == "0.0421"
    assert found.dimensions.team == "search"
    assert found.external_id.startswith("claude_code:2025-11-20T08:01:00.000000Z:")


def test_other_attributes_are_other_events() -> None:
    aside = CLAUDE | {"query_source": "subagent"}
    told = [*tokens({"input": 1, "output": 2}, CLAUDE), *tokens({"input": 4}, aside | {"user.groups": ["a"]})]
    found, _ = events(otlp.metrics(otlp.metric("claude_code.token.usage", *told, *tokens({"input": 8}, aside))))
    assert [one.counts[0] for one in found] == [1, 4, 8]
    assert len({one.external_id for one in found}) == 3


def test_deltas_are_taken_as_they_are_and_told_again_are_the_same() -> None:
    body = claude({"input": 12, "output": 3})
    (first,), _ = events(body)
    (again,), _ = events(body)
    assert (first.external_id, content_hash(first)) == (again.external_id, content_hash(again))
    (later,), _ = events(claude({"input": 12, "output": 3}, time=otlp.NANO + 2 * MINUTE))
    assert later.external_id != first.external_id


def test_points_of_one_interval_in_two_requests_are_two_events() -> None:
    """A collector cuts by number; neither part may be taken for the other told again."""
    (one,), _ = events(claude({"input": 12}))
    (other,), _ = events(claude({"output": 3}))
    assert one.external_id != other.external_id


def test_a_point_told_twice_counts_once() -> None:
    told = tokens({"input": 5}, CLAUDE)
    found = metrics.cut(otlp.metrics(otlp.metric("claude_code.token.usage", *told, *told)))
    assert otlp.read(metrics.parse(found.rows[0])).counts[0] == 5
    assert found.ignored == {"a data point told twice": 1}


def test_of_sums_that_grow_what_was_told_before_is_subtracted() -> None:
    (first,), state = events(claude({"input": 100, "output": 10}, 2))
    (second,), state = events(claude({"input": 150, "output": 30}, 2, time=otlp.NANO + 2 * MINUTE), state)
    assert [one.counts[0] for one in (first, second)] == [100, 50]
    assert otlp.counted(second) == {"input_uncached": 50, "output_text": 20}
    nothing, state = events(claude({"input": 150, "output": 30}, 2, time=otlp.NANO + 3 * MINUTE), state)
    assert nothing == []


def test_a_sum_told_again_adds_nothing() -> None:
    body = claude({"input": 100}, 2)
    _, state = events(body)
    again = metrics.cut(body, state=state)
    assert (again.rows, again.state) == ((), state)
    assert again.ignored == {"a cumulative data point told before": 1}


def test_a_new_beginning_counts_from_nothing() -> None:
    _, state = events(claude({"input": 100}, 2))
    times = {"start": otlp.NANO + 5 * MINUTE, "time": otlp.NANO + 6 * MINUTE}
    (found,), _ = events(claude({"input": 30}, 2, **times), state)
    assert found.counts[0] == 30


def test_two_processes_of_one_name_are_kept_apart_by_when_they_began() -> None:
    total, state = 0, NOTHING_SEEN
    for number in range(1, 5):
        for start in (otlp.NANO, otlp.NANO + 1):
            times = {"start": start, "time": otlp.NANO + number * MINUTE}
            found, state = events(claude({"input": 10 * number}, 2, **times), state)
            total += sum(one.counts[0] for one in found)
    assert total == 2 * 40


def test_a_sum_that_falls_is_held_and_counting_goes_on() -> None:
    _, state = events(claude({"input": 100}, 2))
    fell = metrics.cut(claude({"input": 40}, 2, time=otlp.NANO + 2 * MINUTE), state=state)
    assert otlp.wrong(metrics.parse(fell.rows[0])).code == "connectors.usage_unreadable"
    (found,), _ = events(claude({"input": 60}, 2, time=otlp.NANO + 3 * MINUTE), fell.state)
    assert found.counts[0] == 20


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8), st.booleans())
def test_however_it_is_told_the_total_is_the_same(grown: list[int], twice: bool) -> None:
    """Deltas, sums that grow, and sums that grow told twice."""
    state, total = NOTHING_SEEN, 0
    for number, _ in enumerate(grown, start=1):
        body = claude({"input": sum(grown[:number])}, 2, time=otlp.NANO + number * MINUTE)
        for _ in range(1 + twice):
            before = dict(state)
            found, after = events(body, state)
            assert dict(state) == before, "the given memory is not changed"
            state = after
            total += sum(one.counts[0] for one in found)
    assert total == sum(grown)


@pytest.mark.parametrize("times", [{"start": 0}, {"start": otlp.NANO + MINUTE}, {"start": otlp.NANO + 2 * MINUTE}])
def test_a_sum_that_began_nobody_knows_when_counts_from_where_it_is_first_heard(times: dict[str, int]) -> None:
    first = metrics.cut(claude({"input": 100}, 2, **times))
    assert first.rows == ()
    assert list(first.ignored.values()) == [1]
    (found,), _ = events(claude({"input": 130}, 2, **times, time=otlp.NANO + 5 * MINUTE), first.state)
    assert found.counts[0] == 30


def test_one_that_never_said_when_it_began_began_anew_where_it_falls() -> None:
    _, state = events(claude({"input": 100}, 2, start=0))
    (found,), _ = events(claude({"input": 30}, 2, start=0, time=otlp.NANO + 5 * MINUTE), state)
    assert found.counts[0] == 30


def test_what_may_have_been_forgotten_is_not_counted_whole() -> None:
    told = metrics.told(claude({"input": 100}, 2), Encoding.JSON)
    for since, rows in ((otlp.NANO - 1, 1), (otlp.NANO, 0)):
        found = metrics.counted(told, NOTHING_SEEN, since=since)
        assert (len(found.rows), len(found.state)) == (rows, 1)


def test_a_time_to_come_is_not_remembered() -> None:
    told = metrics.told(claude({"input": 100}, 2), Encoding.JSON)
    found = metrics.counted(told, NOTHING_SEEN, until=otlp.NANO)
    assert (found.rows, found.state) == ((), {})
    assert list(found.ignored) == ["a cumulative data point of a time that is still to come"]


def test_only_sums_that_grow_need_a_memory() -> None:
    deltas = metrics.told(claude({"input": 1, "output": 2}), Encoding.JSON).points
    sums = metrics.told(claude({"input": 1, "output": 2}, 2), Encoding.JSON).points
    assert (streams(deltas), len(streams(sums))) == (set(), 2)
    assert increments(sums, NOTHING_SEEN).state.keys() == streams(sums)


def test_what_is_told_one_by_one_is_put_aside() -> None:
    """A tool by its name, an application by its service's."""
    tool = metrics.told(claude({"input": 5}), Encoding.JSON)
    assert set(tool.tellers) == {"claude_code"}
    assert metrics.counted(tool, NOTHING_SEEN, aside={"codex"}).rows != ()
    found = metrics.counted(tool, NOTHING_SEEN, aside={"claude_code"})
    assert (found.rows, sum(found.ignored.values())) == ((), 1)
    said = {"gen_ai.token.type": "input", "gen_ai.request.model": "gpt", "gen_ai.provider.name": "openai"}
    point = {"sum": 10, "count": 1, **{name: v for name, v in otlp.point(1, said).items() if name != "asInt"}}
    of_search = otlp.metrics(
        otlp.metric("gen_ai.client.token.usage", point, kind="histogram"), **{"service.name": "search"}
    )
    assert metrics.told(of_search, Encoding.JSON).tellers == ("gen_ai:search",)


def test_a_temporality_that_is_not_said_is_held() -> None:
    not_said: tuple[Any, ...] = (0, None, "x", [])
    for temporality in not_said:
        told = otlp.metric("claude_code.token.usage", *tokens({"input": 1}, CLAUDE), temporality=temporality)
        (row,) = metrics.cut(otlp.metrics(told)).rows
        assert otlp.wrong(metrics.parse(row)).field == "aggregationTemporality"


def histogram(number: float, calls: int, said: dict[str, Any], **more: Any) -> dict[str, Any]:
    times = {"startTimeUnixNano": str(otlp.NANO), "timeUnixNano": str(otlp.NANO + MINUTE)}
    return {"sum": number, "count": str(calls), "bucketCounts": ["1"], "attributes": otlp.pairs(said), **times, **more}


GEN_AI = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5.2", "gen_ai.operation.name": "chat"}


def gen_ai(temporality: int = 1, kind: str = "histogram", **numbers: float) -> dict[str, Any]:
    told = [histogram(number, 4, {**GEN_AI, "gen_ai.token.type": name}) for name, number in numbers.items()]
    return otlp.metric("gen_ai.client.token.usage", *told, temporality=temporality, kind=kind)


@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram"])
def test_a_histogram_of_the_conventions(kind: str) -> None:
    (found,), _ = events(otlp.metrics(gen_ai(kind=kind, input=1200.0, output=300.0)))
    assert otlp.counted(found) == {"input_uncached": 1200, "output_text": 300, "requests": 4}
    assert (found.provider, found.model) == ("openai", "gpt-5.2")


def test_a_histogram_that_grows() -> None:
    _, state = events(otlp.metrics(gen_ai(2, input=1200.0)))
    later = histogram(1500.0, 6, {**GEN_AI, "gen_ai.token.type": "input"}, timeUnixNano=str(otlp.NANO + 2 * MINUTE))
    told = otlp.metric("gen_ai.client.token.usage", later, temporality=2, kind="histogram")
    (found,), _ = events(otlp.metrics(told), state)
    assert otlp.counted(found) == {"input_uncached": 300, "requests": 2}


def test_agents_totals_and_what_tools_tell_themselves_are_left() -> None:
    agent = histogram(9.0, 1, {**GEN_AI, "gen_ai.operation.name": "invoke_agent", "gen_ai.token.type": "input"})
    told = otlp.metric("gen_ai.client.token.usage", agent, kind="histogram")
    assert metrics.cut(otlp.metrics(told)).ignored == {"operation invoke_agent": 1}
    gemini = metrics.cut(otlp.metrics(gen_ai(input=9.0), **{"service.name": "gemini-cli"}))
    assert (gemini.rows, gemini.ignored) == ((), {"tokens that the tool tells by its own metric": 1})


def test_codex_skips_the_total() -> None:
    numbers = {
        "total": 1500, "input": 1200, "cached_input": 1024, "cache_write_input": 50, "output": 300,
        "reasoning_output": 128,
    }  # fmt: skip
    told = [histogram(float(number), 1, {"token_type": kind, "model": "gpt"}) for kind, number in numbers.items()]
    body = otlp.metrics(otlp.metric("codex.turn.token_usage", *told, kind="histogram"))
    (found,), _ = events(body)
    assert otlp.counted(found) == {
        "input_uncached": 126, "cache_read": 1024, "cache_write_5m": 50, "output_text": 172, "output_reasoning": 128,
    }  # fmt: skip
    assert metrics.cut(body).ignored == {"the total of codex.turn.token_usage": 1}


def test_gemini_cli() -> None:
    numbers = {"input": 12000, "output": 350, "thought": 420, "cache": 8000, "tool": 40}
    told = tokens(numbers, {"model": "gemini-2.5-pro", "session.id": "g-1"})
    (found,), _ = events(otlp.metrics(otlp.metric("gemini_cli.token.usage", *told, temporality=2)))
    assert otlp.counted(found) == {
        "input_uncached": 4040, "cache_read": 8000, "output_text": 350, "output_reasoning": 420,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "said", "field"),
    [
        ({"input": 1.5}, CLAUDE, "input"),
        ({"input": -4}, CLAUDE, "input"),
        ({"input": "many"}, CLAUDE, "input"),
        ({"thoughts": 4}, CLAUDE, "type"),
        ({"input": 4}, {}, "model"),
    ],
)
def test_what_is_wrong_is_named(numbers: dict[str, Any], said: dict[str, Any], field: str) -> None:
    (row,) = metrics.cut(otlp.metrics(otlp.metric("claude_code.token.usage", *tokens(numbers, said)))).rows
    assert otlp.wrong(metrics.parse(row)).field == field


def test_one_bad_interval_costs_its_neighbours_nothing() -> None:
    told = [*tokens({"input": -4}, CLAUDE), *tokens({"input": 5}, CLAUDE | {"model": "haiku"})]
    rows = metrics.cut(otlp.metrics(otlp.metric("claude_code.token.usage", *told))).rows
    assert [metrics.parse(row).event is None for row in rows] == [True, False]


def test_a_part_larger_than_its_total_is_held() -> None:
    told = tokens({"input": 5, "cache": 6}, {"model": "gemini"})
    (row,) = metrics.cut(otlp.metrics(otlp.metric("gemini_cli.token.usage", *told))).rows
    assert otlp.wrong(metrics.parse(row)).code == "connectors.subset_exceeds_total"


def test_other_metrics_and_costs_alone_are_left() -> None:
    body = otlp.metrics(
        otlp.metric("claude_code.session.count", otlp.point(1, {})),
        otlp.metric("claude_code.cost.usage", otlp.point(0.5, CLAUDE)),
        otlp.metric("claude_code.token.usage", *tokens({"input": 0}, CLAUDE)),
    )
    found = metrics.cut(body)
    assert found.rows == ()
    assert found.ignored == {"metric claude_code.session.count": 1, "no tokens in the interval": 1}


def test_points_that_are_no_objects_are_rejected() -> None:
    told = otlp.metric("claude_code.token.usage", None, 4, *tokens({"input": 1}, CLAUDE))
    found = metrics.cut(otlp.metrics(told, None))
    assert (len(found.rows), found.rejected) == (1, 3)


def test_a_record_that_is_none_of_ours_is_a_problem() -> None:
    assert otlp.wrong(metrics.parse(b'{"family": "fax", "key": "k", "time": 1}')).field == "family"
    assert otlp.wrong(metrics.parse(b"{}")).field == "family"
    assert otlp.wrong(metrics.parse(b'{"family": "gen_ai", "key": "k", "time": 1, "counts": 4}')).field == "counts"
    row = json.loads(metrics.cut(claude({"input": 1})).rows[0])
    for bent in (row | {"time": -1}, row | {"time": 10**22}, row | {"counts": {"input": "1e9"}}, row | {"key": 4}):
        assert otlp.wrong(metrics.parse(json.dumps(bent).encode())).field
