"""OpenRouter's activity and its generations as its SDK has them."""

from __future__ import annotations

from typing import Any

from finops.connectors.openrouter import activity, generation
from tests.clients.typed.holding import answers, written, wrong_of
from tests.clients.typed.table import ACTIVITY, GENERATION
from tests.factories.metered import body, event, meters
from tests.factories.polling import AT
from tests.fakes.reports.openrouter import OpenRouterReports

ITEM: dict[str, Any] = {
    "date": "2026-11-20",
    "model": "openai/gpt-5.2",
    "model_permaslug": "openai/gpt-5.2-20260101",
    "endpoint_id": "550e8400-e29b-41d4-a716-446655440000",
    "provider_name": "OpenAI",
    "usage": 0.015,
    "byok_usage_inference": 0.012,
    "requests": 5,
    "prompt_tokens": 50,
    "completion_tokens": 125,
    "reasoning_tokens": 25,
    "cached_tokens": 20,
    "workspace_id": "ws_example",
}
CALL: dict[str, Any] = {
    "api_type": "completions",
    "app_id": 7,
    "cache_discount": 0.001,
    "cancelled": False,
    "created_at": "2026-11-20T10:15:00Z",
    "data_region": "europe",
    "external_user": "u-7",
    "finish_reason": "stop",
    "generation_time": 1_200.5,
    "http_referer": "https://acme.example",
    "id": "gen-1",
    "is_byok": True,
    "latency": 300.0,
    "model": "openai/gpt-5.2",
    "moderation_latency": 10.0,
    "native_finish_reason": "stop",
    "native_tokens_cached": 400,
    "native_tokens_completion": 300,
    "native_tokens_completion_images": 60,
    "native_tokens_prompt": 1_000,
    "native_tokens_reasoning": 40,
    "num_fetches": 1,
    "num_input_audio_prompt": 0,
    "num_media_completion": 1,
    "num_media_prompt": 0,
    "num_search_results": 5,
    "origin": "https://acme.example",
    "preset_id": None,
    "provider_name": "OpenAI",
    "provider_responses": None,
    "router": "openrouter/auto",
    "service_tier": "flex",
    "streamed": True,
    "tokens_completion": 290,
    "tokens_prompt": 980,
    "total_cost": 0.0125,
    "upstream_id": "chatcmpl-1",
    "upstream_inference_cost": 0.01,
    "usage": 0.0125,
    "user_agent": "python",
    "web_search_engine": "exa",
    "workspace_id": "ws_example",
    "request_id": "req-1",
    "session_id": "session-1",
}


def test_the_fake_answers_what_the_sdk_reads() -> None:
    fake = OpenRouterReports(until=AT)
    try:
        said = answers(fake, "openrouter-activity")
    finally:
        fake.close()
    assert {one.path for one in said} == {"/api/v1/activity"}
    assert wrong_of((ACTIVITY, one.body) for one in said) == set()


def test_every_count_of_a_days_activity_is_read() -> None:
    for said in written(ACTIVITY, {"data": [ITEM]}):
        assert set(said["data"][0]) == set(ITEM)
        (row,) = activity.cut(body(said)).rows
        found = event(activity.parse(row))
        assert meters(found) == {
            "input_uncached": 30, "cache_read": 20, "output_text": 100, "output_reasoning": 25, "requests": 5,
        }  # fmt: skip
        assert found.cost is not None
        assert (found.cost.pico, found.cost.currency) == (15 * 10**9, "USD")
        assert (found.model, found.provider_account) == ("openai/gpt-5.2", "ws_example")


def test_every_count_of_a_generation_is_read() -> None:
    for said in written(GENERATION, {"data": CALL}):
        (row,) = generation.cut(body(said)).rows
        found = event(generation.parse(row))
        # By its model's own tokens: the others are those of one tokenizer for all.
        assert meters(found) == {
            "input_uncached": 600, "cache_read": 400, "output_text": 200, "output_image": 60, "output_reasoning": 40,
            "requests": 1,
        }  # fmt: skip
        assert found.cost is not None
        assert (found.cost.pico, found.service_tier, found.region) == (12_500_000_000, "flex", "europe")
        assert (found.external_id, found.session, found.provider_account) == ("gen-1", "session-1", "ws_example")
