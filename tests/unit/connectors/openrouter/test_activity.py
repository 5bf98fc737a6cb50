"""OpenRouter's activity: what each model used and cost on a day."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.openrouter.activity import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import GivenCost
from tests.factories.examples import example
from tests.factories.reports import changed, meters, read, wrong

ROW: dict[str, Any] = {
    "date": "2026-11-20",
    "model": "openai/gpt-5.2",
    "model_permaslug": "openai/gpt-5.2-20260101",
    "endpoint_id": "550e8400-e29b-41d4-a716-446655440000",
    "provider_name": "OpenAI",
    "usage": 0.015,
    "byok_usage_inference": 0.0,
    "requests": 5,
    "prompt_tokens": 50,
    "completion_tokens": 125,
    "reasoning_tokens": 25,
    "cached_tokens": 10,
    "workspace_id": "ws_example",
}


def record(**changes: Any) -> bytes:
    return json.dumps({"row": ROW | changes}).encode()


def test_the_example_in_which_parts_are_in_their_totals_langfuse_10592() -> None:
    page = cut(example("openrouter_activity"))
    assert page.next == ""
    found = read(parse, page.rows[0])
    assert meters(found) == {
        "input_uncached": 40, "cache_read": 10, "output_text": 100, "output_reasoning": 25, "requests": 5,
    }  # fmt: skip
    assert (found.evidence, found.cost) == ("billed", GivenCost(15_000_000_000, "USD"))
    assert (found.provider, found.model, found.provider_account) == ("openrouter", "openai/gpt-5.2", "ws_example")
    assert dict(found.tags)["upstream_provider"] == "OpenAI"
    assert found == read(parse, record())


def test_what_the_provider_bills_for_a_key_of_ones_own_is_no_cost_here() -> None:
    found = read(parse, record(usage=0.001, byok_usage_inference=0.9))
    assert found.cost == GivenCost(1_000_000_000, "USD")
    assert dict(found.tags)["byok_usage_inference"] == "0.9"


def test_no_row_says_whose_it_is_but_who_asked_for_one_key_knows() -> None:
    body = json.dumps({"data": [ROW]}).encode()
    (all_keys,), (one_key,) = cut(body).rows, cut(body, asked={"api_key_hash": "9f2c", "user_id": "", "x": "y"}).rows
    assert read(parse, one_key).identities == (("key_alias", "9f2c"),)
    assert read(parse, all_keys).identities == ()
    assert read(parse, one_key).external_id != read(parse, all_keys).external_id
    (one_user,) = cut(body, asked={"user_id": "user_1"}).rows
    assert read(parse, one_user).identities == (("provider_user", "user_1"),)


def test_endpoints_of_one_model_are_charges_of_their_own() -> None:
    others: list[dict[str, Any]] = [{}, {"endpoint_id": "other"}, {"workspace_id": None}, {"date": "2026-11-21"}]
    assert len({read(parse, record(**one)).external_id for one in others}) == len(others)
    assert read(parse, record(date="2026-11-20 00:00:00")).external_id == read(parse, record()).external_id


def test_more_cached_than_prompted_is_told_apart_as_the_sdk_says_it_may_be() -> None:
    """Calls answered again from OpenRouter's cache; the row's money is not lost for it."""
    found = read(parse, record(cached_tokens=51))
    assert (meters(found)["input_uncached"], meters(found)["cache_read"]) == (50, 51)
    assert found.cost == read(parse, record()).cost


def test_a_day_that_says_no_cached_tokens() -> None:
    assert meters(read(parse, record(cached_tokens=None)))["input_uncached"] == 50


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("row", "reasoning_tokens"), 126, "row.output_tokens"),
        (("row", "prompt_tokens"), -1, "row.prompt_tokens"),
        (("row", "usage"), None, "row.usage"),
        (("row", "usage"), "free", "row.usage"),
        (("row", "date"), None, "row.date"),
        (("row", "date"), "yesterday", "row.date"),
        (("asked",), "all", "asked"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, changed({"row": ROW}, path, value)).field == field


def test_tokens_that_are_missing_are_no_zero() -> None:
    row = {name: value for name, value in ROW.items() if name not in {"prompt_tokens", "completion_tokens"}}
    assert wrong(parse, {"row": row}).code == "connectors.usage_unreadable"


def test_a_page_of_a_login_is_no_empty_report() -> None:
    with pytest.raises(BodyUnreadable):
        cut(b"<html>Sign in</html>")
