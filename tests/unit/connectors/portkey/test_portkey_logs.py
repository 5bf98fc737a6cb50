"""Lines of Portkey's log export."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.pages import BodyUnreadable
from finops.connectors.portkey.logs import PARSER, cut, parse
from finops.connectors.registry import reparse
from finops.connectors.types import GivenCost, UsageEvent
from tests.factories.metered import body, event, meters, wrong

CACHED = {"input_uncached": 12, "cache_read": 9000, "cache_write_5m": 3000, "output_text": 503, "requests": 1}


def line(usage: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": "log-1",
        "trace_id": "trace-1",
        "created_at": "2026-11-20T10:15:00.000Z",
        "request": {"body": {"messages": ["a secret question"]}},
        "response": {"id": "msg_1", "model": "claude-opus-5-5", "choices": ["a secret answer"], "usage": usage},
        "is_success": 1,
        "ai_org": "anthropic",
        "ai_model": "claude-opus-5-5",
        "req_units": 12,
        "res_units": 503,
        "total_units": 515,
        "cost": 12.5,
        "cost_currency": "USD",
        "response_time": 2400,
        "response_status_code": 200,
        "config": "pc-main-1",
        "prompt_slug": None,
        "metadata": {"_user": "u-7", "Team": "search"},
    } | changes


def read(said: Any) -> UsageEvent:
    (row,) = cut(body(said)).rows
    return event(parse(row))


def test_one_version_of_the_gateway_leaves_cached_tokens_out_of_the_prompt() -> None:
    """Only the total tells it: 12 + 503 + 9,000 + 3,000."""
    usage = {"prompt_tokens": 12, "completion_tokens": 503, "total_tokens": 12515,
             "prompt_tokens_details": {"cached_tokens": 9000},
             "cache_read_input_tokens": 9000, "cache_creation_input_tokens": 3000}  # fmt: skip
    assert meters(read(line(usage))) == CACHED


def test_another_holds_them_in_it() -> None:
    usage = {"prompt_tokens": 12012, "completion_tokens": 503, "total_tokens": 12515,
             "prompt_tokens_details": {"cached_tokens": 9000},
             "cache_read_input_tokens": 9000, "cache_creation_input_tokens": 3000}  # fmt: skip
    assert meters(read(line(usage))) == CACHED


def test_a_route_to_the_providers_own_api_hands_on_its_own_words() -> None:
    usage = {"input_tokens": 12, "output_tokens": 503, "cache_read_input_tokens": 9000,
             "cache_creation_input_tokens": 3000}  # fmt: skip
    assert meters(read(line(usage))) == CACHED


def test_what_fits_neither_is_held() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 503, "total_tokens": 515,
             "prompt_tokens_details": {"cached_tokens": 9000}}  # fmt: skip
    (row,) = cut(body(line(usage))).rows
    assert wrong(parse(row)).code == "connectors.subset_exceeds_total"


def test_units_alone_are_held_because_nobody_knows_what_they_hold() -> None:
    for response in (None, {}, {"id": "msg_1"}, "text"):
        (row,) = cut(body(line({}, response=response))).rows
        assert wrong(parse(row)).code == "connectors.usage_missing"


def test_a_line() -> None:
    found = read(line({"prompt_tokens": 1, "completion_tokens": 2}))
    assert found.external_id == "log-1"
    assert found.occurred_at == datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
    assert (found.session, found.provider_request_id, found.evidence) == ("trace-1", "msg_1", "metered")
    assert found.identities == (("provider_user", "u-7"),)
    assert found.tags == (("portkey_config", "pc-main-1"), ("portkey_cost_usd", "0.125"), ("team", "search"))
    assert found.cost is None


def test_columns_of_json_may_come_as_text() -> None:
    said = line({"prompt_tokens": 1, "completion_tokens": 2})
    plain = said | {"response": json.dumps(said["response"]), "metadata": json.dumps(said["metadata"])}
    assert read(plain) == read(said)


def test_a_moment_is_no_request_id() -> None:
    """The gateway puts one where Bedrock gives none; two calls of a moment would be one charge."""
    said = line({}, response={"id": "1795169700123", "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    assert read(said).provider_request_id == ""


@pytest.mark.parametrize("status", ["HIT", "SEMANTIC HIT"])
def test_an_answer_from_portkeys_cache_cost_nothing_langfuse_2112(status: str) -> None:
    found = read(line({"prompt_tokens": 1, "completion_tokens": 2}, cache_status=status))
    assert meters(found) == {}
    assert (found.cost, found.provider_request_id) == (GivenCost(0, "USD"), "")
    assert meters(read(line({"prompt_tokens": 1, "completion_tokens": 2}, cache_status="MISS")))


@pytest.mark.parametrize("said", [{"is_success": 0}, {"is_success": False}, {"response_status_code": 429}])
def test_a_failed_call_is_no_usage(said: dict[str, Any]) -> None:
    assert cut(body(line(None, **said))).rows == ()


def test_an_export_of_lines_keeps_no_prompts() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    text = b"\n".join(body(line(usage, id=f"log-{n}")) for n in range(3)) + b"\n{broken a secret\n"
    page = cut(text)
    assert [parse(row).external_id for row in page.rows] == ["log-0", "log-1", "log-2", ""]
    assert not any(b"secret" in row for row in page.rows)
    assert wrong(parse(page.rows[3])).code == "connectors.malformed"


def test_what_is_no_export_is_refused() -> None:
    for text in (b"", b"<html>", b"17"):
        with pytest.raises(BodyUnreadable):
            cut(text)


def test_a_line_is_read_again_alone() -> None:
    for said in (line({"prompt_tokens": 1, "completion_tokens": 2}), line(None), {"id": "log-1"}, 17):
        for row in cut(body([said])).rows:
            assert reparse(PARSER, row) == parse(row)
