"""Gemini's answers as Google's SDK has them."""

from __future__ import annotations

from typing import Any

from finops.connectors.google.answers import cut, parse
from finops.connectors.google.usage import tier_of
from tests.clients.typed.holding import names_of, written
from tests.clients.typed.table import GEMINI, TRAFFIC
from tests.factories.metered import body, event, meters

# Every count there is: 1 200 of the prompt, of which 1 000 were cached, and 40 that a tool put into it.
USAGE: dict[str, Any] = {
    "promptTokenCount": 1_200,
    "cachedContentTokenCount": 1_000,
    "candidatesTokenCount": 300,
    "thoughtsTokenCount": 128,
    "toolUsePromptTokenCount": 40,
    "totalTokenCount": 1_668,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 500}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 600}, {"modality": "AUDIO", "tokenCount": 400}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 250}, {"modality": "IMAGE", "tokenCount": 50}],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 40}],
    "trafficType": "ON_DEMAND_PRIORITY",
}
ANSWER: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": "a secret"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "createTime": "2026-11-20T10:15:00.250Z",
    "modelVersion": "gemini-3.1-pro-preview",
    "responseId": "resp-1",
    "usageMetadata": USAGE,
}


def test_every_count_of_an_answer_is_read() -> None:
    for said in written(GEMINI, ANSWER):
        assert set(said["usageMetadata"]) == set(USAGE)
        (row,) = cut(body(said)).rows
        found = event(parse(row))
        assert meters(found) == {
            "input_uncached": 700 - 600 + 40,
            "cache_read": 600,
            "input_audio": 500 - 400,
            "cache_read_audio": 400,
            "output_text": 250,
            "output_image": 50,
            "output_reasoning": 128,
            "requests": 1,
        }
        assert sum(meters(found).values()) - 1 == said["usageMetadata"]["totalTokenCount"]
        assert (found.model, found.service_tier, found.external_id) == ("gemini-3.1-pro-preview", "priority", "resp-1")
        assert b"secret" not in row


def test_every_kind_of_traffic_is_a_tier_of_the_price_book() -> None:
    assert {name: tier_of(name) for name in names_of(TRAFFIC)} == {
        "ON_DEMAND": "standard",
        "ON_DEMAND_FLEX": "flex",
        "ON_DEMAND_OFFPEAK": "offpeak",
        "ON_DEMAND_PRIORITY": "priority",
        "PROVISIONED_THROUGHPUT": "provisioned_throughput",
        "TRAFFIC_TYPE_UNSPECIFIED": "",
    }
