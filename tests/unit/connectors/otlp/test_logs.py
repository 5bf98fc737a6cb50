"""Events of coding agents: one answered call each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.otlp import logs
from finops.connectors.types import NO_TIME, Dimensions, Problem, UsageEvent, content_hash
from tests.factories import otlp
from tests.factories.examples import example

CLAUDE: dict[str, Any] = {
    "event.name": "api_request", "event.sequence": 7, "session.id": "s-1", "model": "claude-opus-5-5",
    "cost_usd": 0.0421, "input_tokens": 12, "output_tokens": 503, "cache_read_tokens": 9000,
    "cache_creation_tokens": 3000, "request_id": "req_1", "user.email": "dev@example.com",
    "organization.id": "org-1", "user.account_uuid": "account-1", "query_source": "subagent", "speed": "normal",
    "prompt": "a secret",
}  # fmt: skip
CODEX: dict[str, Any] = {
    "event.name": "codex.sse_event", "event.kind": "response.completed", "event.timestamp": "2026-11-20T10:15:00.123Z",
    "conversation.id": "c-1", "model": "gpt-5.2-codex", "slug": "gpt-5.2-codex", "auth_mode": "ApiKey",
    "user.email": "dev@example.com", "user.account_id": "acct-1", "input_token_count": "1200",
    "output_token_count": "300", "cached_token_count": 1024, "reasoning_token_count": 128, "tool_token_count": "1500",
}  # fmt: skip
GEMINI: dict[str, Any] = {
    "event.name": "gemini_cli.api_response", "event.timestamp": "2026-11-20T10:15:00.123Z", "session.id": "g-1",
    "prompt_id": "p-1", "model": "gemini-2.5-pro", "status_code": 200, "auth_type": "oauth-personal",
    "input_token_count": 12000, "output_token_count": 350, "cached_content_token_count": 8000,
    "thoughts_token_count": 420, "tool_token_count": 0, "total_token_count": 12770,
}  # fmt: skip


def body_of(said: dict[str, Any]) -> str:
    return "claude_code.api_request" if said.get("event.name") == "api_request" else "anything"


def event(said: dict[str, Any], resource: dict[str, Any] | None = None, **changes: Any) -> UsageEvent:
    (row,) = logs.cut(otlp.logs(otlp.log(said, body_of(said), **changes), **resource or {})).rows
    return otlp.read(logs.parse(row))


def wrong(said: dict[str, Any], **changes: Any) -> Problem:
    (row,) = logs.cut(otlp.logs(otlp.log(said, body_of(said), **changes))).rows
    return otlp.wrong(logs.parse(row))


def without(said: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in names}


def test_claude_codes_example() -> None:
    (row,) = logs.cut(example("otlp_logs_claude_code")).rows
    found = otlp.read(logs.parse(row))
    assert (found.external_id, found.provider_request_id) == ("req_01Example", "req_01Example")
    assert otlp.counted(found) == {
        "input_uncached": 12, "cache_read": 9000, "cache_write_5m": 3000, "output_text": 503, "requests": 1,
    }  # fmt: skip


def test_claude_code_counts_apart() -> None:
    found = event(CLAUDE, {"service.name": "claude-code", "team.id": "search", "department": "rnd"})
    assert otlp.counted(found) == {
        "input_uncached": 12, "cache_read": 9000, "cache_write_5m": 3000, "output_text": 503, "requests": 1,
    }  # fmt: skip
    assert found.identities == (("email", "dev@example.com"), ("provider_user", "account-1"))
    assert (found.provider, found.session, found.provider_account) == ("anthropic", "s-1", "org-1")
    assert found.dimensions == Dimensions(team="search")
    tags = dict(found.tags)
    assert (tags["query_source"], tags["department"]) == ("subagent", "rnd")


def test_what_claude_code_costs_is_a_tag_and_priced_here() -> None:
    found = event(CLAUDE)
    assert found.cost is None
    assert dict(found.tags)["cost_usd"] == "0.0421"


def test_a_missing_cost_loses_nothing_claude_code_56098() -> None:
    found = event(without(CLAUDE, "cost_usd"))
    assert found.counts == event(CLAUDE).counts
    assert "cost_usd" not in dict(found.tags)


@pytest.mark.parametrize("cost", ["free", True, "1e999999", float("inf"), {"usd": 1}])
def test_a_cost_that_is_none_is_left(cost: Any) -> None:
    body = otlp.logs(otlp.log(CLAUDE | {"cost_usd": cost}, body_of(CLAUDE))).replace(b"Infinity", b'"Infinity"')
    (row,) = logs.cut(body).rows
    assert "cost_usd" not in dict(otlp.read(logs.parse(row)).tags)


def test_only_a_part_may_be_captured_so_it_is_never_billed_claude_code_92776() -> None:
    assert {event(said).evidence for said in (CLAUDE, CODEX, GEMINI)} == {"reported"}


def test_counts_as_text_are_counts_claude_code_68771() -> None:
    assert event(CLAUDE | {"input_tokens": "12", "output_tokens": 503.0}).counts == event(CLAUDE).counts


def test_a_dropped_query_source_is_no_reason_claude_code_59942() -> None:
    assert event(without(CLAUDE, "query_source")).counts == event(CLAUDE).counts


def test_another_cloud_is_said_by_the_resource_claude_code_84483() -> None:
    assert event(CLAUDE, {"capstan.provider": "aws.bedrock"}).provider == "aws.bedrock"


def test_fast_is_a_tier() -> None:
    assert event(CLAUDE).service_tier == ""
    assert event(CLAUDE | {"speed": "fast"}).service_tier == "fast"


def test_without_a_request_the_place_in_the_session_is_its_id() -> None:
    assert event(without(CLAUDE, "request_id")).external_id == "claude_code:s-1:7"
    assert wrong(without(CLAUDE, "request_id", "event.sequence")).field == "request_id"
    assert wrong(without(CLAUDE, "request_id", "session.id")).field == "request_id"


def test_claude_code_under_another_service_name_is_known_by_its_body_or_scope() -> None:
    assert event(CLAUDE, {"service.name": "laptops"}).counts[0] == 12
    (row,) = logs.cut(otlp.logs(otlp.log(CLAUDE), scope="com.anthropic.claude_code.events")).rows
    assert otlp.read(logs.parse(row)).counts[0] == 12
    assert logs.cut(otlp.logs(otlp.log(CLAUDE, "text"), **{"service.name": "other"})).ignored == {
        "event api_request": 1
    }


def test_codex_includes_the_cache_and_thoughts() -> None:
    found = event(CODEX)
    assert otlp.counted(found) == {
        "input_uncached": 176, "cache_read": 1024, "output_text": 172, "output_reasoning": 128, "requests": 1,
    }  # fmt: skip
    assert found.external_id == "codex:c-1:2026-11-20T10:15:00.123Z"
    assert (found.provider, found.session, found.provider_account) == ("openai", "c-1", "acct-1")
    assert found.identities == (("email", "dev@example.com"),)


def test_codex_calls_the_total_tool_tokens() -> None:
    assert sum(otlp.counted(event(CODEX)).values()) == 1500 + 1


def test_codex_says_thrice_that_an_answer_was_completed_and_counts_once() -> None:
    streamed = without(CODEX, *[name for name in CODEX if name.endswith("_count")])
    found = logs.cut(
        otlp.logs(
            otlp.log(streamed | {"duration_ms": "12"}),
            otlp.log(streamed | {"error.message": "closed"}),
            otlp.log(CODEX | {"event.kind": "response.output_text.delta"}),
            otlp.log(CODEX),
        )
    )
    assert len(found.rows) == 1
    assert found.ignored == {
        "event codex.sse_event response.completed without counts": 2,
        "event codex.sse_event response.output_text.delta": 1,
    }


def test_codex_writes_to_a_cache() -> None:
    found = otlp.counted(event(CODEX | {"cache_write_token_count": 100}))
    assert (found["input_uncached"], found["cache_write_5m"]) == (76, 100)


def test_the_tier_codex_asked_for_is_a_tag_litellm_37046() -> None:
    found = event(CODEX | {"service_tier": "priority"})
    assert (found.service_tier, dict(found.tags)["service_tier"]) == ("", "priority")


def test_a_subscription_is_told_by_a_tag_openusage_213() -> None:
    assert dict(event(CODEX | {"auth_mode": "Chatgpt"}).tags)["auth_mode"] == "Chatgpt"
    assert dict(event(GEMINI).tags)["auth_type"] == "oauth-personal"


@pytest.mark.parametrize("name", ["conversation.id", "event.timestamp"])
def test_codex_without_a_part_of_its_id_is_held(name: str) -> None:
    assert wrong(without(CODEX, name)).field == name


def test_gemini_leaves_thoughts_out_of_its_output() -> None:
    found = event(GEMINI)
    assert otlp.counted(found) == {
        "input_uncached": 4000, "cache_read": 8000, "output_text": 350, "output_reasoning": 420, "requests": 1,
    }  # fmt: skip
    assert found.external_id == "gemini_cli:g-1:p-1:2026-11-20T10:15:00.123Z:gemini-2.5-pro"
    assert found.provider == "gcp.gemini"


def test_prompts_of_tools_stand_beside_the_input_unless_the_total_says_otherwise() -> None:
    beside = otlp.counted(event(GEMINI | {"tool_token_count": 40, "total_token_count": 12_810}))
    assert beside["input_uncached"] == 4040
    within = otlp.counted(event(GEMINI | {"tool_token_count": 40}))
    assert within["input_uncached"] == 4000
    unsaid = otlp.counted(event(without(GEMINI, "total_token_count") | {"tool_token_count": 40}))
    assert unsaid["input_uncached"] == 4040


def test_gemini_restates_a_call_and_is_counted_once() -> None:
    again = {
        "event.name": "gen_ai.client.inference.operation.details", "gen_ai.operation.name": "generate_content",
        "gen_ai.usage.input_tokens": 12000, "gen_ai.usage.output_tokens": 350,
    }  # fmt: skip
    found = logs.cut(otlp.logs(otlp.log(GEMINI), otlp.log(again)))
    assert len(found.rows) == 1
    assert found.ignored == {"event gen_ai.client.inference.operation.details": 1}


def test_other_events_are_counted_and_left() -> None:
    found = logs.cut(
        otlp.logs(
            otlp.log({"event.name": "user_prompt", "prompt": "a secret"}, "claude_code.user_prompt"),
            otlp.log({}, "codex.tool_result"),
            otlp.log({}, "somebody wrote a secret here"),
            otlp.log({}),
            otlp.log({"event.name": 4}),
        )
    )
    assert found.rows == ()
    assert found.ignored == {"event user_prompt": 1, "event codex.tool_result": 1, "no event with a name": 3}


def test_nothing_but_what_is_read_is_kept() -> None:
    (row,) = logs.cut(otlp.logs(otlp.log(CLAUDE, "claude_code.api_request"))).rows
    assert b"secret" not in row


def test_a_time_is_taken_from_where_it_is_said() -> None:
    told = datetime(2026, 11, 20, 10, 15, 0, 123_000, tzinfo=UTC)
    assert event(CODEX).occurred_at == datetime(2025, 11, 20, 8, tzinfo=UTC)
    assert event(CODEX, timeUnixNano="0", observedTimeUnixNano=str(otlp.NANO)).occurred_at == told
    seen = event(CLAUDE, timeUnixNano=0, observedTimeUnixNano=str(otlp.NANO))
    assert seen.occurred_at == datetime(2025, 11, 20, 8, tzinfo=UTC)
    assert (event(CLAUDE, timeUnixNano=0).undated, event(CLAUDE, timeUnixNano=0).occurred_at) == (True, NO_TIME)
    assert wrong(CODEX | {"event.timestamp": "today"}, timeUnixNano=0).field == "event.timestamp"
    assert event(CODEX | {"event.timestamp": "2026-11-20T10:15:00.123"}, timeUnixNano=0).occurred_at == told


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (without(CLAUDE, "input_tokens", "output_tokens"), "usage.input_tokens"),
        (CLAUDE | {"cache_read_tokens": -1}, "cache_read_tokens"),
        (CLAUDE | {"model": ""}, "model"),
        (CLAUDE | {"request_id": "r" * 301}, "request_id"),
        (CODEX | {"cached_token_count": 1201}, "usage.input_tokens"),
        (CODEX | {"reasoning_token_count": 301}, "usage.output_tokens"),
        (CODEX | {"input_token_count": "lots"}, "input_token_count"),
        (without(CODEX, "input_token_count", "output_token_count"), "usage.input_tokens"),
        (GEMINI | {"cached_content_token_count": 12_001}, "usage.input_tokens"),
        (without(GEMINI, "input_token_count", "output_token_count"), "input_token_count"),
        (without(GEMINI, "session.id"), "session.id"),
        (without(GEMINI, "event.timestamp"), "event.timestamp"),
        (GEMINI | {"prompt_id": "p" * 300}, "id"),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, Any], field: str) -> None:
    assert wrong(said).field == field


def test_the_same_event_again_is_the_same() -> None:
    for said in (CLAUDE, CODEX, GEMINI):
        first, again = event(said), event(dict(reversed(said.items())))
        assert (first.external_id, content_hash(first)) == (again.external_id, content_hash(again))


def test_a_record_that_is_none_of_ours_is_a_problem() -> None:
    assert otlp.wrong(logs.parse(b"{}")).field == "event"
    assert otlp.wrong(logs.parse(b'{"event": 4}')).field == "event"
    assert otlp.wrong(logs.parse(b"{oops")).field == "$"
