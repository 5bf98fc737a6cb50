"""Langfuse's observations, of its newer and its older endpoint."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.langfuse.observations import PARSER, cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import reparse
from finops.connectors.types import UsageEvent
from tests.factories.metered import body, event, meters, wrong


def observation(details: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": "obs-1",
        "traceId": "trace-1",
        "startTime": "2026-11-20T10:15:00.123Z",
        "endTime": "2026-11-20T10:15:02.000Z",
        "projectId": "project-1",
        "parentObservationId": None,
        "type": "GENERATION",
        "name": "answer",
        "level": "DEFAULT",
        "environment": "production",
        "userId": "dev@acme.example",
        "sessionId": "session-1",
        "input": "a secret question",
        "output": "a secret answer",
        "metadata": {"attributes": {}, "note": "a secret note"},
        "providedModelName": "claude-opus-5-5",
        "usageDetails": details,
        "costDetails": {"total": 0.1},
        "totalCost": 0.1,
        "traceName": "checkout",
        "tags": ["team:search", "beta"],
        "release": None,
    } | changes


def page(*rows: Any, **meta: Any) -> bytes:
    return body({"data": list(rows), "meta": meta})


def read(said: Any, **given: Any) -> UsageEvent:
    (row,) = cut(page(said), **given).rows
    return event(parse(row))


def held(said: Any, **given: Any) -> Any:
    (row,) = cut(page(said), **given).rows
    return wrong(parse(row))


def test_a_generation() -> None:
    found = read(observation({"input": 2, "input_cached_tokens": 47105, "output": 714, "total": 47821}))
    assert meters(found) == {"input_uncached": 2, "cache_read": 47105, "output_text": 714, "requests": 1}
    assert found.external_id == "obs-1"
    assert found.occurred_at == datetime(2026, 11, 20, 10, 15, 0, 123000, tzinfo=UTC)
    assert (found.model, found.session, found.evidence) == ("claude-opus-5-5", "session-1", "reported")
    assert found.identities[0] == ("email", "dev@acme.example")
    assert found.cost is None
    assert dict(found.tags) == {
        "beta": "true", "langfuse_cost_usd": "0.1", "langfuse_environment": "production", "langfuse_name": "answer",
        "langfuse_project": "project-1", "langfuse_trace": "checkout", "team": "search",
    }  # fmt: skip


def test_cache_writes_by_their_lifetime() -> None:
    usage = {"input": 2, "input_cached_tokens": 47105, "input_cache_creation": 0, "input_cache_creation_5m": 0,
             "input_cache_creation_1h": 1076, "output": 714, "total": 48897}  # fmt: skip
    assert meters(read(observation(usage))) == {
        "input_uncached": 2, "cache_read": 47105, "cache_write_1h": 1076, "output_text": 714, "requests": 1,
    }  # fmt: skip
    usage = {"input": 2, "cache_creation_input_tokens": 500, "ephemeral_5m_input_tokens": 500, "output": 1}
    assert meters(read(observation(usage)))["cache_write_5m"] == 500


def test_audio_and_pictures_stand_beside() -> None:
    usage = {"input": 10, "input_audio_tokens": 5, "input_image_tokens": 7, "output": 3, "output_audio_tokens": 2,
             "output_reasoning_tokens": 4, "output_accepted_prediction_tokens": 6}  # fmt: skip
    assert meters(read(observation(usage))) == {
        "input_uncached": 10, "input_audio": 5, "input_image": 7, "output_text": 9, "output_audio": 2,
        "output_reasoning": 4, "requests": 1,
    }  # fmt: skip


def test_a_kind_of_usage_nobody_knows_here_is_held() -> None:
    assert held(observation({"input": 1, "output": 1, "images": 4})).field == "usageDetails.images"
    assert meters(read(observation({"input": 1, "output": 1, "images": 0})))


def test_sums_that_do_not_come_out_are_held() -> None:
    assert held(observation({"input": 10, "input_cached_tokens": 5, "output": 1, "total": 99})).code


@pytest.mark.parametrize("kind", ["SPAN", "AGENT", "TOOL", "CHAIN", "EVENT", "RETRIEVER", "EVALUATOR"])
def test_what_stands_around_a_call_may_repeat_its_sums_and_is_no_usage(kind: str) -> None:
    assert cut(page(observation({"input": 1, "output": 1}, type=kind))).rows == ()


def test_an_embedding_is_a_call() -> None:
    assert meters(read(observation({"input": 7}, type="EMBEDDING"))) == {"input_uncached": 7, "requests": 1}


def test_a_generation_that_failed_is_no_usage_and_one_without_counts_is_held() -> None:
    assert cut(page(observation({}, level="ERROR"))).rows == ()
    assert cut(page(observation(None, providedModelName=None))).rows == ()
    assert held(observation({})).code == "connectors.usage_missing"


def test_the_older_endpoint() -> None:
    said = observation({"input": 1, "output": 2}, usage={"unit": "TOKENS"}, model="gpt-4o", providedModelName=None)
    assert read(said).model == "gpt-4o"
    assert held(said | {"usage": {"unit": "CHARACTERS"}}).field == "observation.usage.unit"


def test_prompts_and_answers_are_not_kept() -> None:
    (row,) = cut(page(observation({"input": 1}))).rows
    assert b"secret" not in row


def test_what_opentelemetry_said_of_the_provider_and_the_request_is_found_in_the_metadata() -> None:
    attributes = {"gen_ai.provider.name": "anthropic", "gen_ai.response.id": "msg_1"}
    for metadata in (
        {"attributes": attributes},
        {"attributes": json.dumps(attributes)},
        json.dumps({"attributes": attributes}),
    ):
        found = read(observation({"input": 1}, metadata=metadata))
        assert (found.provider, found.provider_request_id) == ("anthropic", "msg_1")


@pytest.mark.parametrize(
    ("meta", "following"),
    [
        ({"cursor": "abc"}, "abc"),
        ({}, ""),
        ({"cursor": None}, ""),
        ({"page": 1, "limit": 50, "totalItems": 80, "totalPages": 2}, "2"),
        ({"page": 2, "limit": 50, "totalItems": 80, "totalPages": 2}, ""),
    ],
)
def test_pages_by_cursor_or_by_number(meta: dict[str, Any], following: str) -> None:
    assert cut(page(observation({"input": 1}), **meta)).next == following


def test_what_is_no_page_is_refused() -> None:
    for text in (b"", b"<html>", b"[]", b'{"message": "unauthorized"}', b'{"data": [{'):
        with pytest.raises(BodyUnreadable):
            cut(text)


def test_one_bad_row_costs_its_neighbours_nothing_and_each_is_read_again_alone() -> None:
    rows = cut(page(observation({"input": 1}), None, observation({"input": -1}), observation({"output": 1}))).rows
    assert [parse(row).problem is None for row in rows] == [True, False, False, True]
    for row in rows:
        assert reparse(PARSER, row) == parse(row)
