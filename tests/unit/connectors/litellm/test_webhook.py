"""LiteLLM's `generic_api` callback: bodies written out after its StandardLoggingPayload."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.litellm.webhook import PARSER, cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import reparse
from finops.connectors.types import GivenCost, UsageEvent, content_hash
from tests.factories.litellm import CALL, HASH, PLAIN, payload
from tests.factories.metered import body, event, meters, wrong


def read(said: Any) -> UsageEvent:
    (row,) = cut(body([said])).rows
    return event(parse(row))


def held(said: Any) -> Any:
    (row,) = cut(body([said])).rows
    return wrong(parse(row))


def test_a_call_of_claude_with_cache_written_and_read() -> None:
    found = read(payload())
    assert meters(found) == {
        "input_uncached": 10,
        "cache_read": 66360,
        "cache_write_5m": 30000,
        "cache_write_1h": 2435,
        "output_text": 383,
        "output_reasoning": 120,
        "requests": 1,
        "web_searches": 2,
    }
    assert found.external_id == f"{CALL}|msg_01Example"
    assert found.provider_request_id == "msg_01Example"
    assert found.occurred_at == datetime(2026, 11, 20, 10, 15, 0, 123000, tzinfo=UTC)
    assert (found.provider, found.model, found.service_tier) == ("anthropic", "claude-opus-5-5", "")
    assert found.session == "session-1"
    assert found.evidence == "metered"


def test_its_price_is_ours_and_what_litellm_reckons_is_a_tag() -> None:
    found = read(payload())
    assert found.cost is None
    assert dict(found.tags)["litellm_cost_usd"] == "0.187654321"


def test_people_and_keys_are_identities_and_the_rest_tags() -> None:
    found = read(payload())
    assert found.identities == (
        ("email", "dev@acme.example"),
        ("provider_user", "u-7"),
        ("key_alias", "ci-key"),
    )
    assert dict(found.tags) == {
        "litellm_call_type": "acompletion",
        "litellm_cost_usd": "0.187654321",
        "litellm_deployment": "deployment-1",
        "litellm_end_user": "customer-9",
        "litellm_key": HASH,
        "litellm_model_group": "smart",
        "litellm_organization_id": "org-1",
        "litellm_team": "search",
        "litellm_team_id": "team-1",
        "project": "indexer",
        "ticket": "FIN-1",
        "urgent": "true",
    }


def test_tags_that_litellm_makes_of_the_user_agent_are_left_out() -> None:
    found = read(payload(request_tags=["User-Agent: claude-cli", "user-agent: x", "team:search"]))
    assert not any("agent" in key for key, _ in found.tags)
    assert ("team", "search") in found.tags


def test_claude_codes_user_id_names_no_customer() -> None:
    for said in ('{"device_id":"ab","session_id":"s"}', "user_ab_account_1_session_2"):
        assert "litellm_end_user" not in dict(read(payload(metadata={"user_api_key_end_user_id": said})).tags)


def test_a_key_without_a_name_is_known_by_its_hash() -> None:
    found = read(payload(metadata={"user_api_key_alias": None, "user_api_key_user_email": None}))
    assert found.identities == (("provider_user", "u-7"), ("key_alias", HASH))
    assert read(payload(metadata={"user_api_key_user_id": "default_user_id"})).identities[1][0] == "key_alias"


def test_prompts_answers_headers_and_secrets_are_not_kept() -> None:
    (row,) = cut(body([payload()])).rows
    assert b"secret" not in row
    assert b"10.1.2.3" not in row
    assert len(row) < 3_000
    assert parse(row).event == parse(body(payload())).event


@pytest.mark.parametrize("separator", [None, "\n", "\n\n"])
def test_an_array_and_ndjson_are_the_same_calls(separator: str | None) -> None:
    calls = [payload(litellm_call_id=f"call-{n}") for n in range(3)]
    made = body(calls) if separator is None else separator.join(json.dumps(one) for one in calls).encode()
    assert [parse(row).external_id for row in cut(made).rows] == [f"call-{n}|msg_01Example" for n in range(3)]


def test_one_object_is_one_call() -> None:
    assert len(cut(body(payload())).rows) == 1
    assert cut(body(payload())).next == ""


def test_an_empty_batch_has_no_calls() -> None:
    assert cut(b"[]").rows == ()


@pytest.mark.parametrize("text", [b"", b"<html>bad gateway</html>", b'[{"id": "a"', b"17", b'"text"', b"\xff\xfe"])
def test_what_is_no_body_of_litellms_is_refused_as_a_whole(text: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(text)


def test_one_bad_entry_costs_its_neighbours_nothing() -> None:
    rows = cut(body([payload(), None, 17, "text", payload(startTime="yesterday"), payload(litellm_call_id="b")])).rows
    problems = [parse(row).problem for row in rows]
    assert [problem is None for problem in problems] == [True, False, False, False, False, True]
    assert problems[4] is not None
    assert problems[4].field == "startTime"


def test_a_line_that_is_no_json_is_told_of_and_not_kept() -> None:
    text = json.dumps(payload()).encode() + b'\n{"id": "a", "messages": "a secret\n' + json.dumps(payload()).encode()
    good, bad, other = cut(text).rows
    assert (parse(good).problem, parse(other).problem) == (None, None)
    assert wrong(parse(bad)).code == "connectors.malformed"
    assert b"secret" not in bad


def test_what_pythons_own_json_writes_is_read() -> None:
    """LiteLLM writes NaN and Infinity for budgets without an end, and halves of characters out of prompts."""
    said = payload(
        messages="\ud83d", metadata={"user_api_key_max_budget": float("inf"), "user_api_key_alias": "a\ud83db"}
    )
    text = json.dumps([said]).encode()
    assert b"Infinity" in text
    (row,) = cut(text).rows
    assert event(parse(row)).identities[2] == ("key_alias", "a?b")


def test_an_answer_from_litellms_own_cache_cost_nothing_langfuse_2112() -> None:
    """No provider was asked: no meter runs, and the id of the call that filled the cache is not its own."""
    found = read(
        payload(cache_hit=True, id="msg_01Example_cache_hit1795169700.1", response_cost=0.0, cost_breakdown=None)
    )
    assert meters(found) == {}
    assert found.cost == GivenCost(0, "USD")
    assert found.provider_request_id == ""
    assert found.evidence == "reported"
    assert dict(found.tags)["litellm_cache"] == "hit"
    assert "litellm_cost_usd" not in dict(found.tags)


def test_cached_twice_is_two_calls() -> None:
    one = read(payload(cache_hit=True, litellm_call_id="one"))
    other = read(payload(cache_hit=True, litellm_call_id="other"))
    assert one.external_id != other.external_id


def test_the_providers_cache_is_not_litellms_litellm_11364() -> None:
    """`cache_hit` says nothing of it: only the counts do."""
    for said in (False, None, "False"):
        assert meters(read(payload(cache_hit=said)))["cache_read"] == 66360


def test_a_failed_call_that_used_nothing_is_no_usage() -> None:
    failed = payload({}, status="failure", id=CALL, response_cost=0.0, cost_breakdown=None, response=None)
    assert cut(body([failed])).rows == ()
    assert wrong(parse(body(failed))).code == "connectors.not_usage"


def test_a_call_that_failed_in_the_middle_of_its_answer_is_usage() -> None:
    failed = payload(PLAIN, status="failure", id=CALL)
    found = read(failed)
    assert meters(found) == {"input_uncached": 100, "output_text": 10, "requests": 1}
    assert (found.external_id, found.provider_request_id) == (CALL, "")
    assert dict(found.tags)["litellm_status"] == "failure"


def test_tries_of_one_request_are_charges_of_their_own() -> None:
    """A stream that broke off, the fallback's answer, and what a tool's result was answered with share LiteLLM's id."""
    tries = [payload(PLAIN, status="failure", id=CALL), payload(PLAIN, id="msg_1"), payload(PLAIN, id="msg_2")]
    assert len({read(one).external_id for one in tries}) == 3


def test_without_litellms_id_the_providers_is_the_id() -> None:
    assert read(payload(litellm_call_id=None)).external_id == "msg_01Example"
    assert held(payload(litellm_call_id=None, id="None")).field == "litellm_call_id"


def test_a_responses_id_is_taken_out_of_litellms_wrapping() -> None:
    inside = b"litellm:custom_llm_provider:openai;model_id:abc;response_id:resp_68abc"
    wrapped = "resp_" + base64.b64encode(inside).decode()
    assert read(payload(PLAIN, id=wrapped)).provider_request_id == "resp_68abc"
    assert read(payload(PLAIN, id="resp_68abc")).provider_request_id == "resp_68abc"


def test_a_batch_is_one_charge_however_often_it_is_asked_for() -> None:
    said = {"call_type": "aretrieve_batch", "id": "batch_1", "hidden_params": {"batch_successful_requests": 40}}
    one, again = read(payload(PLAIN, litellm_call_id="a", **said)), read(payload(PLAIN, litellm_call_id="b", **said))
    assert one.external_id == again.external_id == "batch|batch_1"
    assert one.service_tier == "batch"
    assert meters(one)["requests"] == 40
    assert one.provider_request_id == ""


@pytest.mark.parametrize(
    ("usage", "answered", "billed", "tier"),
    [
        ({}, "default", None, ""),
        ({}, "default", "priority", ""),
        ({}, "flex", None, "flex"),
        ({}, None, "priority", "priority"),
        ({"service_tier": "priority"}, None, None, "priority"),
        ({"service_tier": "standard", "inference_geo": "us", "speed": "fast"}, None, None, "inference_geo:us+fast"),
    ],
)
def test_the_tier_is_the_one_that_served_litellm_37046(
    usage: dict[str, Any], answered: Any, billed: Any, tier: str
) -> None:
    """litellm#31837, #37046: not the one that was asked for."""
    said = payload({**PLAIN, **usage}, response={"service_tier": answered}, cost_breakdown={"service_tier": billed})
    assert read(said).service_tier == tier


def test_at_azure_the_model_is_what_the_deployment_serves() -> None:
    said = {
        "custom_llm_provider": "azure",
        "model": "our-gpt",
        "model_map_information": {"model_map_key": "azure/gpt-4o"},
    }
    assert read(payload(PLAIN, **said)).model == "azure/gpt-4o"
    assert read(payload(PLAIN, **said | {"model_map_information": None})).model == "our-gpt"


def test_another_litellm_behind_it_is_no_provider() -> None:
    assert read(payload(PLAIN, custom_llm_provider="litellm_proxy")).provider == "litellm"


def test_a_model_of_ones_own_says_where_it_runs() -> None:
    said = payload(PLAIN, custom_llm_provider="hosted_vllm", api_base="http://vllm.internal:8000/v1")
    assert read(said).host == "vllm.internal"
    assert read(payload(PLAIN, custom_llm_provider="hosted_vllm", api_base="http://[")).host == ""
    (row,) = cut(body([payload(api_base="https://user:secret@host.example/v1?key=secret")])).rows
    assert b"secret" not in row
    assert read(payload()).host == ""


def test_usage_is_found_where_it_stands() -> None:
    nowhere = {"usage_object": None}
    answered = payload(PLAIN, metadata=nowhere, response={"usage": PLAIN | {"cached_tokens": 64}})
    assert meters(read(answered)) == {"input_uncached": 36, "cache_read": 64, "output_text": 10, "requests": 1}


def test_totals_without_their_parts_are_an_estimate() -> None:
    found = read(payload(PLAIN, metadata={"usage_object": None}))
    assert meters(found) == {"input_uncached": 100, "output_text": 10, "requests": 1}
    assert found.evidence == "estimated"


@pytest.mark.parametrize("stated", [0.0, 0.000001, 12.5, None])
def test_a_spend_that_is_zero_or_wrong_is_no_cost_of_ours_litellm_10598_and_12605(stated: float | None) -> None:
    """Counts are priced by our own book. What LiteLLM makes of them is told beside, to be compared with."""
    found = read(payload(PLAIN, response_cost=stated, cost_breakdown=None))
    assert meters(found) == {"input_uncached": 100, "output_text": 10, "requests": 1}
    assert found.cost is None


def test_a_call_of_a_model_without_any_usage_is_held() -> None:
    for usage in ({}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}):
        assert held(payload(usage, response_cost=0.0, cost_breakdown=None)).code == "connectors.usage_missing"


def test_pictures_cost_what_litellm_reckons_because_no_meter_counts_them() -> None:
    found = read(payload({}, call_type="aimage_generation", response_cost=0.04, cost_breakdown=None))
    assert meters(found) == {"requests": 1}
    assert found.cost == GivenCost(40_000_000_000, "USD")
    assert found.evidence == "reported"


@pytest.mark.parametrize(
    "kind", ["aget_responses", "afile_list", "acreate_batch", "pass_through_endpoint", "", "call_mcp_tool"]
)
def test_calls_that_use_no_model_are_no_usage(kind: str) -> None:
    assert cut(body([payload({}, call_type=kind, response_cost=0.0, cost_breakdown=None, model="")])).rows == ()


def test_a_response_that_has_not_begun_does_not_take_the_place_of_its_usage() -> None:
    """It would claim the provider's id with nothing, and the answer's tokens would be a second sight of it."""
    waits = payload({}, call_type="aresponses", response={"status": "queued"}, response_cost=0.0, cost_breakdown=None)
    assert cut(body([waits])).rows == ()


def test_asking_for_a_response_again_is_the_same_request_litellm_17814() -> None:
    made = read(payload(PLAIN, id="resp_1", call_type="aresponses", litellm_call_id="made"))
    asked = read(payload(PLAIN, id="resp_1", call_type="aget_responses", litellm_call_id="asked"))
    assert made.provider_request_id == asked.provider_request_id == "resp_1"


def test_parts_larger_than_their_total_are_held() -> None:
    usage = PLAIN | {"prompt_tokens_details": {"cached_tokens": 101}}
    assert held(payload(usage)).code == "connectors.subset_exceeds_total"
    assert held(payload(PLAIN | {"prompt_tokens": -1})).code == "connectors.usage_unreadable"
    assert held(payload(PLAIN | {"prompt_tokens": 1.5})).code == "connectors.usage_unreadable"


def test_an_odd_tag_is_no_reason_to_hold_a_charge() -> None:
    bent = {"user_api_key_end_user_id": ["x"], "spend_logs_metadata": "text"}
    found = read(payload(request_tags={"a": 1}, metadata=bent))
    assert meters(found)["cache_read"] == 66360
    assert len(read(payload(request_tags=[f"k{n}:v" for n in range(90)])).tags) == 50


def test_money_is_read_from_the_text_and_never_a_float() -> None:
    said = json.dumps(payload({}, call_type="aspeech", cost_breakdown=None)).replace("0.187654321", "0.1000000000015")
    (row,) = cut(said.encode()).rows
    assert event(parse(row)).cost == GivenCost(100_000_000_002, "USD")


def test_a_row_is_read_again_alone_and_says_the_same() -> None:
    (row,) = cut(body([payload()])).rows
    again = event(reparse(PARSER, row))
    assert content_hash(again) == content_hash(event(parse(row)))
    assert cut(body([payload()])).rows == (row,)


def test_the_older_payload_is_held_with_its_reason() -> None:
    """`litellm.generic_api_use_v1` writes its usage as Python's text."""
    said = {"id": "chatcmpl-1", "model": "gpt-4o", "usage": "Usage(prompt_tokens=1)", "metadata": "{}",
            "startTime": "2026-11-20 10:15:00", "call_type": "litellm.completion", "cost": "0.1"}  # fmt: skip
    assert held(said).code == "connectors.usage_missing"
