"""One call at OpenRouter, by its own tokens and not by normalised ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.openrouter.generation import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import GivenCost
from tests.factories.reports import meters, read, wrong

# Composed with the fields of OpenRouter's SDK, which is not installed here.
CALL: dict[str, Any] = {
    "id": "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG",
    "upstream_id": "chatcmpl-791bcf62-080e-4568-87d0-94c72e3b4946",
    "request_id": "req-1",
    "total_cost": 0.0015,
    "usage": 0.0015,
    "upstream_inference_cost": 0,
    "cache_discount": 0.0002,
    "created_at": "2026-11-20T23:33:19.433273+00:00",
    "model": "anthropic/claude-opus-5.5",
    "provider_name": "Anthropic",
    "is_byok": False,
    "cancelled": False,
    "tokens_prompt": 900,
    "tokens_completion": 700,
    "native_tokens_prompt": 1000,
    "native_tokens_completion": 500,
    "native_tokens_reasoning": 120,
    "native_tokens_cached": 600,
    "native_tokens_completion_images": 0,
    "external_user": "user-123",
    "session_id": "session-1",
    "workspace_id": "ws_example",
    "service_tier": "priority",
    "data_region": "global",
}


def record(**changes: Any) -> bytes:
    return json.dumps(CALL | changes).encode()


def test_a_call() -> None:
    (row,) = cut(json.dumps({"data": CALL}).encode()).rows
    found = read(parse, row)
    assert meters(found) == {
        "input_uncached": 400, "cache_read": 600, "output_text": 380, "output_reasoning": 120, "requests": 1,
    }  # fmt: skip
    assert (found.external_id, found.provider_request_id) == (CALL["id"], CALL["id"])
    assert (found.evidence, found.cost) == ("metered", GivenCost(1_500_000_000, "USD"))
    assert (found.session, found.service_tier, found.region) == ("session-1", "priority", "")
    assert found.identities == (("provider_user", "user-123"),)
    assert dict(found.tags)["upstream_id"] == CALL["upstream_id"]


def test_normalised_tokens_are_not_what_is_billed() -> None:
    found = meters(read(parse, record(tokens_prompt=10**6, tokens_completion=None)))
    assert (found["input_uncached"], found["output_text"]) == (400, 380)


def test_what_the_provider_bills_for_a_key_of_ones_own_is_no_cost_here() -> None:
    found = read(parse, record(is_byok=True, total_cost=0.0001, upstream_inference_cost=0.0019))
    assert found.cost == GivenCost(100_000_000, "USD")
    assert dict(found.tags)["upstream_inference_cost"] == "0.0019"
    assert dict(found.tags)["byok"] == "true"


def test_a_call_without_tokens_of_its_own_may_say_what_it_cost() -> None:
    none = {"native_tokens_prompt": None, "native_tokens_completion": None, "native_tokens_cached": None}
    spoken = read(parse, record(**none, native_tokens_reasoning=None))
    assert (meters(spoken), spoken.cost) == ({"requests": 1}, GivenCost(1_500_000_000, "USD"))
    neither = CALL | none | {"native_tokens_reasoning": None, "total_cost": None}
    assert wrong(parse, neither).code == "connectors.usage_unreadable"


def test_where_it_was_served() -> None:
    assert read(parse, record(data_region="europe")).region == "europe"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"created_at": None}, "created_at"),
        ({"native_tokens_cached": 1001}, "input_tokens"),
        ({"native_tokens_reasoning": 501}, "output_tokens"),
        ({"native_tokens_prompt": -1}, "native_tokens_prompt"),
        ({"total_cost": "free"}, "total_cost"),
        ({"is_byok": 1}, "is_byok"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    assert wrong(parse, CALL | changes).field == field


@pytest.mark.parametrize("body", [b'{"error": {"code": 404}}', b"", b"<html>", b'{"data": {', b"[" * 100_000])
def test_an_answer_without_a_call_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body)
