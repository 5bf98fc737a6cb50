"""Anthropic's report of usage: disjoint counts, by whatever it is grouped by."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.anthropic.usage_report import cut, parse
from tests.factories.examples import example
from tests.factories.reports import changed, meters, read, wrong

ROW: dict[str, Any] = {
    "uncached_input_tokens": 120_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 8_000, "ephemeral_1h_input_tokens": 2_000},
    "cache_read_input_tokens": 900_000,
    "output_tokens": 41_000,
    "server_tool_use": {"web_search_requests": 4},
    "account_id": None,
    "service_account_id": None,
    "api_key_id": "apikey_01Example",
    "workspace_id": "wrkspc_01Example",
    "model": "claude-opus-5-5",
    "service_tier": "standard",
    "context_window": "0-200k",
    "inference_geo": "global",
}
RECORD: dict[str, Any] = {
    "bucket": {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"},
    "row": ROW,
}


def record(**changes: Any) -> bytes:
    return json.dumps(RECORD | {"row": ROW | changes}).encode()


def test_the_example() -> None:
    page = cut(example("anthropic_usage_messages"))
    (row,) = page.rows
    found = read(parse, row)
    assert page.next == ""
    assert found.external_id == (
        "usage/2026-11-20T00:00:00Z/workspace_id=wrkspc_01Example/api_key_id=apikey_01Example/model=claude-opus-5-5"
        "/service_tier=standard/context_window=0-200k/inference_geo=global"
    )
    assert (found.evidence, found.cost, found.provider_account) == ("metered", None, "wrkspc_01Example")
    assert found.identities == (("key_alias", "apikey_01Example"),)
    assert found == read(parse, json.dumps(RECORD).encode())


def test_cache_tokens_are_not_counted_twice_langfuse_12306() -> None:
    found = meters(read(parse, record()))
    assert found == {
        "input_uncached": 120_000,
        "cache_read": 900_000,
        "cache_write_5m": 8_000,
        "cache_write_1h": 2_000,
        "output_text": 41_000,
        "requests": 6,
        "web_searches": 4,
    }


def test_the_base_input_is_not_lost_langsmith_2519() -> None:
    found = meters(read(parse, record(cache_read_input_tokens=10**9)))
    assert (found["input_uncached"], found["cache_read"]) == (120_000, 10**9)


@pytest.mark.parametrize(
    ("window", "tokens", "requests"),
    [("0-200k", 200_000, 1), ("0-200k", 200_001, 2), ("200k-1M", 5_000_000, 1), (None, 5_000_000, 1), ("new", 1, 1)],
)
def test_many_short_prompts_are_not_priced_as_a_long_one(window: str | None, tokens: int, requests: int) -> None:
    """The report tells no requests; the fewest that fit keep the average within the window it names."""
    used = {"cache_creation": None, "cache_read_input_tokens": 0, "uncached_input_tokens": tokens}
    found = read(parse, record(**used, context_window=window))
    assert meters(found)["requests"] == requests
    assert dict(found.tags)["requests"] == "at least"


def test_a_row_of_nothing_has_no_requests() -> None:
    nothing = {"uncached_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
    assert meters(read(parse, record(**nothing, cache_creation=None, server_tool_use=None))) == {}


def test_the_tier_that_served_is_kept_posthog_94200() -> None:
    assert read(parse, record(service_tier="batch")).service_tier == "batch"
    assert (
        read(parse, record(service_tier="priority_on_demand", speed="fast")).service_tier == "priority_on_demand+fast"
    )
    assert read(parse, record(inference_geo="us")).service_tier == "inference_geo:us"
    assert read(parse, record(service_tier=None)).service_tier == ""


def test_the_default_workspace_has_no_name_and_ids_differ_by_it() -> None:
    default, named = read(parse, record(workspace_id=None)), read(parse, record())
    assert default.provider_account == ""
    assert default.external_id != named.external_id


def test_who_it_is_of() -> None:
    assert read(parse, record(account_id="user_01", api_key_id=None)).identities == (("provider_user", "user_01"),)
    assert read(parse, record(service_account_id="svac_01")).identities == (
        ("provider_user", "svac_01"), ("key_alias", "apikey_01Example"),
    )  # fmt: skip


def test_a_bucket_told_again_keeps_its_id() -> None:
    first, later = read(parse, record()), read(parse, record(output_tokens=50_000))
    assert first.external_id == later.external_id
    assert first != later


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("row",), None, "row"),
        (("row",), 5, "row"),
        (("bucket",), None, "bucket"),
        (("bucket", "starting_at"), None, "bucket.starting_at"),
        (("bucket", "starting_at"), "2026-11-20", "bucket.starting_at"),
        (("bucket", "starting_at"), "2026-11-20T10:00:00Z", "bucket.ending_at"),
        (("bucket", "ending_at"), "2026-12-20T00:00:00Z", "bucket.ending_at"),
        (("row", "uncached_input_tokens"), -1, "row.uncached_input_tokens"),
        (("row", "uncached_input_tokens"), "12", "row.uncached_input_tokens"),
        (("row", "uncached_input_tokens"), 10**13, "row.uncached_input_tokens"),
        (("row", "cache_creation"), 5, "row.cache_creation"),
        (("row", "cache_creation", "ephemeral_1h_input_tokens"), 1.5, "row.cache_creation.ephemeral_1h_input_tokens"),
        (("row", "server_tool_use", "web_search_requests"), True, "row.server_tool_use.web_search_requests"),
        (("row", "model"), {"name": "x"}, "row.model"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, changed(RECORD, path, value)).field == field


def test_a_row_that_says_no_usage_is_no_zero() -> None:
    found = wrong(parse, RECORD | {"row": {"model": "claude-opus-5-5"}})
    assert found.code == "connectors.usage_unreadable"


def test_a_row_that_is_refused_says_which_it_is() -> None:
    received = parse(json.dumps(changed(RECORD, ("row", "output_tokens"), -1)).encode())
    assert received.external_id == read(parse, record()).external_id
