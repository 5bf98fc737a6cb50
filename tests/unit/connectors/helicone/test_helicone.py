"""Helicone's webhook, and the rows of its query API."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.helicone import requests, webhook
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import reparse
from finops.connectors.types import GivenCost, UsageEvent, content_hash, dated
from tests.factories.metered import body, event, meters, wrong

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MESSAGE: dict[str, Any] = {
    "id": "msg_01Example",
    "type": "message",
    "model": "claude-opus-5-5",
    "content": [{"type": "text", "text": "a secret answer"}],
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 3000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
        "cache_read_input_tokens": 9000,
        "output_tokens": 503,
        "service_tier": "standard",
    },
}
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1795169700,
    "model": "gpt-5.2-2026-01-01",
    "choices": [{"message": {"content": "a secret answer"}}],
    "usage": {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
              "prompt_tokens_details": {"cached_tokens": 1024}, "completion_tokens_details": {"reasoning_tokens": 128}},
    "service_tier": "flex",
}  # fmt: skip


def hook(answer: Any = MESSAGE, **changes: Any) -> dict[str, Any]:
    """The enhanced payload of Helicone's documentation."""
    return {
        "request_id": "550e8400-e29b-41d4-a716-446655440000",
        "user_id": "dev@acme.example",
        "request_body": '{"messages": ["a secret question"]}',
        "response_body": json.dumps(answer),
        "request_response_url": "https://store.example/signed?secret=1",
        "model": "claude-opus-5-5",
        "provider": "ANTHROPIC",
        "metadata": {
            "cost": 0.0125,
            "promptTokens": 12,
            "completionTokens": 503,
            "totalTokens": 515,
            "latencyMs": 1200,
        },
    } | changes


def row(answer: Any = MESSAGE, **changes: Any) -> dict[str, Any]:
    return {
        "response_id": "r-1",
        "response_created_at": "2026-11-20T10:15:02.000Z",
        "response_body": answer,
        "response_status": 200,
        "request_id": "550e8400-e29b-41d4-a716-446655440000",
        "request_body": {"messages": ["a secret question"]},
        "request_created_at": "2026-11-20T10:15:00.000Z",
        "request_user_id": "u-7",
        "request_properties": {"Helicone-Session-Id": "session-1", "Environment": "prod"},
        "provider": "ANTHROPIC",
        "request_model": "claude-opus",
        "prompt_tokens": 12,
        "prompt_cache_read_tokens": 9000,
        "prompt_cache_write_tokens": 3000,
        "completion_tokens": 503,
        "cache_reference_id": "00000000-0000-0000-0000-000000000000",
        "cache_enabled": False,
        "cost": 0.0125,
        "signed_body_url": "https://store.example/signed?secret=1",
    } | changes


def page(*rows: Any) -> bytes:
    return body({"data": list(rows), "error": None})


def hooked(said: Any, **given: Any) -> UsageEvent:
    (found,) = webhook.cut(body(said), **given).rows
    return event(webhook.parse(found))


def listed(said: Any, **given: Any) -> UsageEvent:
    (found,) = requests.cut(page(said), **given).rows
    return event(requests.parse(found))


def test_claudes_answer_is_counted_as_claude_says_it() -> None:
    for found in (hooked(hook()), listed(row())):
        assert meters(found) == {
            "input_uncached": 12, "cache_read": 9000, "cache_write_5m": 1000, "cache_write_1h": 2000,
            "output_text": 503, "requests": 1,
        }  # fmt: skip
        assert (found.provider, found.model) == ("anthropic", "claude-opus-5-5")
        assert found.provider_request_id == "msg_01Example"
        assert found.cost is None
        assert ("helicone_cost_usd", "0.0125") in found.tags


def test_openais_answer_is_counted_as_openai_says_it() -> None:
    found = hooked(hook(CHAT, provider="OPENAI"))
    assert meters(found) == {
        "input_uncached": 176, "cache_read": 1024, "output_text": 172, "output_reasoning": 128, "requests": 1,
    }  # fmt: skip
    assert (found.model, found.service_tier) == ("gpt-5.2-2026-01-01", "flex")
    assert found.occurred_at == datetime(2026, 11, 20, 10, 15, tzinfo=UTC)


def test_geminis_thoughts_are_added_to_its_candidates() -> None:
    answer = {"responseId": "g-1", "modelVersion": "gemini-3-pro", "usageMetadata": {
        "promptTokenCount": 1200, "cachedContentTokenCount": 1000, "candidatesTokenCount": 300,
        "thoughtsTokenCount": 128, "toolUsePromptTokenCount": 40, "totalTokenCount": 1668}}  # fmt: skip
    found = hooked(hook(answer, provider="GOOGLE", model=""))
    assert meters(found) == {
        "input_uncached": 240, "cache_read": 1000, "output_text": 300, "output_reasoning": 128, "requests": 1,
    }  # fmt: skip
    assert (found.model, found.provider_request_id) == ("gemini-3-pro", "g-1")


def test_searches_of_a_response_are_counted_and_what_was_searched_is_not_kept() -> None:
    searched = {"type": "web_search_call", "action": {"type": "search", "query": "a secret question"}}
    opened = {"type": "web_search_call", "action": {"type": "open_page"}}
    usage = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
    answer = {"id": "resp_1", "model": "gpt-5.2", "usage": usage, "output": [searched, opened, {"type": "message"}]}
    (found,) = webhook.cut(body(hook(answer))).rows
    assert meters(event(webhook.parse(found)))["web_searches"] == 1
    assert b"secret" not in found


def test_helicones_own_counts_are_not_read_because_they_lose_the_cached_ones() -> None:
    """Its `promptTokens` is 12 here, of 12,012."""
    without = hook("Body too large for webhook, please fetch the full request and response from Helicone")
    (found,) = webhook.cut(body(without)).rows
    assert wrong(webhook.parse(found)).code == "connectors.usage_missing"


def test_a_long_answer_is_fetched_from_where_helicone_keeps_it() -> None:
    said = body(hook("Body too large for webhook, please fetch the full request and response from Helicone"))
    assert webhook.where_stored(said) == "https://store.example/signed?secret=1"
    stored = body({"request": {"messages": ["a secret question"]}, "response": MESSAGE})
    (found,) = webhook.cut(said, stored=stored).rows
    assert event(webhook.parse(found)) == hooked(hook())
    assert b"secret" not in found


def test_an_answer_that_is_not_in_its_row_is_fetched_too() -> None:
    without = row({"helicone_message": "fetching body from signed_url"})
    (found,) = requests.cut(page(without)).rows
    assert wrong(requests.parse(found)).code == "connectors.usage_missing"
    stored = {"550e8400-e29b-41d4-a716-446655440000": body({"response": MESSAGE})}
    assert listed(without, stored=stored) == listed(row())


def test_prompts_answers_and_signed_addresses_are_not_kept() -> None:
    for rows in (webhook.cut(body(hook())).rows, requests.cut(page(row())).rows):
        assert b"secret" not in rows[0]


def test_a_webhook_that_says_no_time_happened_when_it_came() -> None:
    (found,) = webhook.cut(body(hook())).rows
    received = webhook.parse(found)
    assert event(received).undated
    now, later = dated(received, NOON), dated(received, NOON.replace(hour=13))
    assert event(now).occurred_at == NOON
    assert content_hash(event(now)) == content_hash(event(later))


def test_people_sessions_and_properties() -> None:
    assert hooked(hook()).identities == (("email", "dev@acme.example"), ("provider_user", "dev@acme.example"))
    found = listed(row())
    assert found.identities == (("provider_user", "u-7"),)
    assert found.session == "session-1"
    assert ("environment", "prod") in found.tags
    assert found.occurred_at == datetime(2026, 11, 20, 10, 15, tzinfo=UTC)


def test_an_answer_from_helicones_cache_cost_nothing_langfuse_2112() -> None:
    found = listed(row(cache_reference_id="1c6f5b1e-0000-4000-8000-000000000001"))
    assert meters(found) == {}
    assert (found.cost, found.provider_request_id) == (GivenCost(0, "USD"), "")


def test_one_whose_webhook_does_not_say_so_is_known_by_the_providers_id() -> None:
    one, again = hooked(hook()), hooked(hook(request_id="another"))
    assert one.external_id != again.external_id
    assert one.provider_request_id == again.provider_request_id


@pytest.mark.parametrize("status", [400, 429, 500, -1, -3])
def test_a_failed_request_is_no_usage(status: int) -> None:
    assert requests.cut(page(row({"error": {"type": "overloaded_error"}}, response_status=status))).rows == ()


def test_a_failed_webhook_is_no_usage() -> None:
    assert webhook.cut(body(hook({"type": "error", "error": {"type": "overloaded_error"}}))).rows == ()


def test_xai_is_called_x_there() -> None:
    assert hooked(hook(CHAT, provider="X")).provider == "x-ai"


def test_pages_by_offset() -> None:
    assert requests.cut(page(row(), row()), offset=4, limit=2).next == "6"
    assert requests.cut(page(row()), offset=4, limit=2).next == ""
    assert requests.cut(page(row())).next == ""


@pytest.mark.parametrize("text", [b"", b"<html>", b"[17", b"17"])
def test_what_is_none_of_helicones_is_refused(text: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        webhook.cut(text)
    with pytest.raises(BodyUnreadable):
        requests.cut(text)
    assert webhook.where_stored(text) == ""


def test_rows_are_read_again_alone() -> None:
    for module, rows in ((webhook, webhook.cut(body(hook())).rows), (requests, requests.cut(page(row(), None)).rows)):
        for one in rows:
            assert reparse(module.PARSER, one) == module.parse(one)
