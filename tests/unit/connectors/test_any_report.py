"""What every reader of a report promises, whatever stands in any place of a record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.registry import PARSERS, reparse
from tests.factories.reports import JSON, changed, kept, places, read

DAY = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"}
SECONDS = {"start_time": 1_763_596_800, "end_time": 1_763_683_200}
TOKENS = {
    "uncached_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
    "cache_read_input_tokens": 3,
    "output_tokens": 4,
    "server_tool_use": {"web_search_requests": 1},
}
COST = {"amount": "12.5", "currency": "USD", "list_amount": "13"}
ACTOR = {"type": "federated_actor", "provider": {"type": "aws", "account_id": "1"}, "subject": "arn"}
RECORDS: dict[str, list[Any]] = {
    "anthropic_analytics": [
        {
            "row": {
                **DAY,
                "group": {"actor": ACTOR, "model": "m"},
                "usage": TOKENS | {"requests": 1, "total_tokens": 15},
            }
        },
        {"row": {**DAY, "group": {"session_id": "s"}, "cost": COST | {"requests": 5}}, "ordinal": 2},
    ],
    "anthropic_claude_code": [
        {
            "day": {
                "date": "2026-11-20",
                "actor": {"type": "user_actor", "email_address": "a@b.c"},
                "terminal_type": "t",
            },
            "row": {
                "model": "m",
                "tokens": {"input": 1, "output": 2},
                "estimated_cost": {"currency": "USD", "amount": 5},
            },
        },
    ],
    "anthropic_cost_report": [{"bucket": DAY, "row": COST | {"model": "m", "token_type": "output_tokens"}}],
    "anthropic_usage_report": [{"bucket": DAY, "row": TOKENS | {"model": "m", "context_window": "0-200k"}}],
    "azure_cost_export": [
        {
            "row": {
                "BilledCost": "1",
                "BillingCurrency": "EUR",
                "ChargeCategory": "Usage",
                "ChargePeriodStart": "2026-11-20T00:00:00Z",
                "Tags": '{"a": "b"}',
            },
        },
    ],
    "google_billing": [
        {
            "row": {
                "usage_start_time": "2026-11-20 08:00:00 UTC",
                "cost": 0.06,
                "currency": "EUR",
                "credits": [{"amount": -0.01}],
                "labels": [{"key": "team", "value": "x"}],
                "project": {"id": "p", "labels": [{"key": "a", "value": "b"}]},
                "usage": {"amount": 5.0},
            },
            "ordinal": 1,
        },
    ],
    "openai_cost_report": [
        {"bucket": SECONDS, "row": {"amount": {"value": 0.06, "currency": "usd"}, "line_item": "gpt, input"}},
    ],
    "openai_usage_report": [
        {
            "bucket": SECONDS,
            "row": {"object": "organization.usage.completions.result", "input_tokens": 5, "input_cached_tokens": 2},
        },
        {"bucket": SECONDS, "row": {"object": "organization.usage.web_searches.result", "num_requests": 5}},
        {"bucket": SECONDS, "row": {"object": "organization.usage.images.result", "images": 0, "batch": False}},
    ],
    "openrouter_activity": [
        {
            "row": {"date": "2026-11-20", "model": "m", "usage": 0.01, "prompt_tokens": 5, "cached_tokens": 2},
            "asked": {"api_key_hash": "h"},
        },
    ],
    "openrouter_generation": [
        {
            "id": "gen-1",
            "created_at": "2026-11-20T08:00:00Z",
            "model": "m",
            "total_cost": 0.1,
            "native_tokens_prompt": 5,
        },
    ],
}
EACH = [(name, record) for name, records in RECORDS.items() for record in records]


@pytest.mark.parametrize(("name", "record"), EACH)
def test_what_is_bent_below_is_whole_here(name: str, record: Any) -> None:
    read(PARSERS[name], json.dumps(record).encode())


@given(st.sampled_from(EACH), st.data())
def test_anything_in_any_place_is_answered(each: tuple[str, Any], data: st.DataObject) -> None:
    name, record = each
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(sorted(places(record), key=str)))
        record = changed(record, path, data.draw(JSON))
    kept(PARSERS[name], json.dumps(record).encode())


@given(st.sampled_from(sorted(RECORDS)), st.binary(max_size=60))
def test_any_bytes_are_answered(name: str, raw: bytes) -> None:
    kept(PARSERS[name], raw)
    assert PARSERS[name](raw).problem is not None


@pytest.mark.parametrize("name", sorted(RECORDS))
@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"row":' * 50_000, b'{"row": {"model": "\xff"}}', b'{"row": {"model": "\\ud800"}}']
)
def test_hostile_bytes_are_answered(name: str, raw: bytes) -> None:
    kept(PARSERS[name], raw)


@pytest.mark.parametrize(("name", "record"), EACH)
def test_a_held_record_is_read_again_by_the_parser_it_was_read_by(name: str, record: Any) -> None:
    raw = json.dumps(record).encode()
    assert reparse(name, raw) == PARSERS[name](raw)
