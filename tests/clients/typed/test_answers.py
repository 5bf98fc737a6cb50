"""What OpenAI and Anthropic say a call used, as their SDKs have it: each count there is, in its meter; the same in a
Claude Code session's file, whose lines hold Anthropic's messages; and how long a managed agent's session ran.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from finops.connectors.anthropic.usage import messages_usage
from finops.connectors.managed_agents import parse as managed_agents
from finops.connectors.openai.usage import chat_usage, responses_usage
from finops.connectors.sessions.claude_code import parse, read
from finops.connectors.sessions.shared import Owner
from tests.clients.typed.holding import Held, held
from tests.clients.typed.table import CHAT_USAGE, MESSAGE, RESPONSES_USAGE, SESSION_USAGE
from tests.factories.metered import event, meters

CHAT: dict[str, Any] = {
    "prompt_tokens": 1_200,
    "completion_tokens": 300,
    "total_tokens": 1_500,
    "prompt_tokens_details": {
        "cached_tokens": 600, "cache_write_tokens": 100, "audio_tokens": 50, "image_tokens": 70, "text_tokens": 1_080,
    },
    "completion_tokens_details": {
        "reasoning_tokens": 128, "audio_tokens": 40, "accepted_prediction_tokens": 10,
        "rejected_prediction_tokens": 5, "text_tokens": 132,
    },
}  # fmt: skip
RESPONSES: dict[str, Any] = {
    "input_tokens": 1_200,
    "input_tokens_details": {
        "cached_tokens": 600, "cache_write_tokens": 100,
        "cache_write_tokens_details": {"ttl_30m_tokens": 60, "ttl_12h_tokens": 40},
    },
    "output_tokens": 300,
    "output_tokens_details": {"reasoning_tokens": 128},
    "total_tokens": 1_500,
}  # fmt: skip
# What is not "message" stands beside the totals, but for the part that is the answer of a model that took over.
PART = {
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "cache_creation_input_tokens": 30, "cache_read_input_tokens": 40, "input_tokens": 5, "output_tokens": 7,
}  # fmt: skip
SAID: dict[str, Any] = {
    "id": "msg_01Example",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [{"type": "text", "text": "a secret", "citations": None}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 3_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
        "cache_read_input_tokens": 9_000,
        "output_tokens": 503,
        "output_tokens_details": {"thinking_tokens": 120},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 2},
        "service_tier": "standard",
        "speed": "fast",
        "inference_geo": "us",
        "iterations": [
            PART | {"type": "message", "model": "claude-opus-5-5"},
            PART | {"type": "compaction"},
            PART | {"type": "fallback_message", "model": "claude-opus-5-5"},
        ],
        "fallback_credit": {"status": {"type": "redeemed"}},
    },
}
# An hour and a half; the tokens are in the provider's answers and reports.
SESSION: dict[str, Any] = {
    "active_seconds": 5_400.0,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "cache_read_input_tokens": 40,
    "input_tokens": 5,
    "list_cost": {"amount": "31", "currency": "USD"},
    "output_tokens": 7,
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
}
COUNTED = {
    "input_uncached": 12 + 5, "cache_read": 9_000 + 40, "cache_write_5m": 1_000 + 10, "cache_write_1h": 2_000 + 20,
    "output_text": 383 + 7, "output_reasoning": 120, "web_searches": 1, "requests": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def told() -> dict[str, Held]:
    kinds = {
        "chat": (CHAT_USAGE, CHAT),
        "responses": (RESPONSES_USAGE, RESPONSES),
        "message": (MESSAGE, SAID),
        "session": (SESSION_USAGE, SESSION),
    }
    return dict(zip(kinds, held(*kinds.values()), strict=True))


def test_the_bodies_are_whole_by_their_types(told: dict[str, Held]) -> None:
    assert {name: one.wrong for name, one in told.items() if one.wrong} == {}
    assert (set(CHAT), set(RESPONSES)) == (set(told["chat"].names), set(told["responses"].names))
    # Nothing is null: there is no count that is not said here.
    assert (told["chat"].made, told["responses"].made) == (CHAT, RESPONSES)
    usage = told["message"].made["usage"]
    assert {name for name, value in usage.items() if value is None} == set()
    assert set(usage) == set(SAID["usage"])


def test_every_count_of_a_chat_is_read(told: dict[str, Held]) -> None:
    assert chat_usage(told["chat"].made) == {
        "input_uncached": 380, "cache_read": 600, "cache_write_5m": 100, "input_audio": 50, "input_image": 70,
        "output_text": 132, "output_reasoning": 128, "output_audio": 40, "requests": 1,
    }  # fmt: skip


def test_every_count_of_a_response_is_read(told: dict[str, Held]) -> None:
    assert responses_usage(told["responses"].made) == {
        "input_uncached": 500, "cache_read": 600, "cache_write_5m": 100, "output_text": 172, "output_reasoning": 128,
        "requests": 1,
    }  # fmt: skip


def test_every_count_of_a_message_is_read(told: dict[str, Held]) -> None:
    for message in (told["message"].made, told["message"].bare):
        assert messages_usage(message["usage"]) == COUNTED
        line = {
            "type": "assistant", "sessionId": "s-1", "requestId": "req_01", "uuid": "u",
            "timestamp": "2026-11-20T10:15:00.123Z", "message": message,
        }  # fmt: skip
        (raw,) = read([json.dumps(line).encode() + b"\n"], owner=Owner("api", ())).records
        found = event(parse(raw))
        assert meters(found) == COUNTED
        assert (found.service_tier, found.provider_request_id) == ("inference_geo:us+fast", "req_01")
        assert b"secret" not in raw


def test_a_sessions_hours_are_what_its_runtime_is_priced_on(told: dict[str, Held]) -> None:
    seconds = Decimal(str(told["session"].made["active_seconds"]))
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    raw = managed_agents.record_of(
        kind="claude-session", session="sesn_01", started_at=at, quantity=seconds, rate=Decimal("0.08")
    )
    found = event(managed_agents.parse(raw))
    assert found.cost is not None
    assert (found.cost.pico, found.cost.currency, meters(found)) == (120_000_000_000, "USD", {})
