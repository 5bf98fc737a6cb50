"""Claude Code's analytics: one record for each model of an actor's day."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.anthropic.claude_code import cut, parse
from finops.connectors.types import GivenCost
from tests.factories.examples import example
from tests.factories.reports import changed, meters, read, wrong

DAY: dict[str, Any] = {
    "date": "2026-11-20T00:00:00Z",
    "actor": {"type": "user_actor", "email_address": "dev@example.com"},
    "organization_id": "00000000-0000-4000-8000-000000000000",
    "customer_type": "api",
    "subscription_type": None,
    "terminal_type": "vscode",
}
MODEL: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "tokens": {"input": 100_000, "output": 35_000, "cache_read": 10_000, "cache_creation": 5_000},
    "estimated_cost": {"currency": "USD", "amount": 1025},
}
RECORD: dict[str, Any] = {"day": DAY, "row": MODEL}


def body(*models: Any, **day: Any) -> bytes:
    more = {"core_metrics": {"num_sessions": 5}, "tool_actions": {}, "model_breakdown": list(models)}
    return json.dumps({"data": [DAY | more | day], "has_more": False, "next_page": None}).encode()


def record(**changes: Any) -> bytes:
    return json.dumps({"day": DAY | changes, "row": MODEL}).encode()


def test_the_example() -> None:
    (row,) = cut(example("anthropic_claude_code")).rows
    found = read(parse, row)
    assert meters(found) == {
        "input_uncached": 100_000, "cache_read": 10_000, "cache_write_5m": 5_000, "output_text": 35_000, "requests": 1,
    }  # fmt: skip
    assert found.identities == (("email", "dev@example.com"),)
    assert (found.evidence, found.cost) == ("reported", GivenCost(10_250_000_000_000, "USD"))
    assert dict(found.tags)["terminal_type"] == "vscode"
    assert found == read(parse, json.dumps(RECORD).encode())


def test_each_model_of_a_day_is_a_record_of_its_own() -> None:
    page = cut(body(MODEL, MODEL | {"model": "claude-haiku-5-5"}))
    assert [read(parse, row).model for row in page.rows] == ["claude-opus-5-5", "claude-haiku-5-5"]
    assert len({read(parse, row).external_id for row in page.rows}) == 2
    assert b"num_sessions" not in page.rows[0], "sessions are of the day, not of each of its models"
    assert cut(body()).rows == ()


def test_a_subscription_is_not_shown_as_dollars_openusage_213() -> None:
    found = read(parse, record(customer_type="subscription", subscription_type="max"))
    assert found.cost == GivenCost(0, "USD")
    assert (dict(found.tags)["estimated_cost"], dict(found.tags)["billing"]) == ("10.25 USD", "subscription")
    assert "billing" not in dict(read(parse, record()).tags)
    unsaid = json.dumps({"day": DAY | {"customer_type": "subscription"}, "row": MODEL | {"estimated_cost": None}})
    assert read(parse, unsaid.encode()).cost == GivenCost(0, "USD")


def test_an_estimate_that_is_missing_leaves_the_cost_to_the_price_book_claude_code_56098() -> None:
    found = read(parse, json.dumps({"day": DAY, "row": MODEL | {"estimated_cost": None}}).encode())
    assert found.cost is None


def test_a_key_is_no_person() -> None:
    found = read(parse, record(actor={"type": "api_actor", "api_key_name": "ci"}))
    assert found.identities == (("key_alias", "ci"),)


def test_actors_terminals_and_days_do_not_share_an_id() -> None:
    others: list[dict[str, Any]] = [
        {},
        {"actor": {"type": "user_actor", "email_address": "other@example.com"}},
        {"terminal_type": "tmux"},
        {"date": "2026-11-21"},
        {"customer_type": "subscription"},
    ]
    assert len({read(parse, record(**one)).external_id for one in others}) == len(others)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("day",), None, "day"),
        (("day", "date"), None, "day.date"),
        (("day", "date"), "2026-11-20T10:00:00Z", "day.date"),
        (("day", "actor"), "dev", "day.actor"),
        (("row", "tokens"), None, "row.tokens"),
        (("row", "tokens"), {}, "row.tokens"),
        (("row", "tokens", "input"), -5, "row.tokens.input"),
        (("row", "estimated_cost", "amount"), "much", "row.estimated_cost.amount"),
        (("row", "estimated_cost", "currency"), None, "row.estimated_cost.amount"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, changed(RECORD, path, value)).field == field


def test_a_day_without_a_list_of_models_is_held_and_not_lost() -> None:
    page = cut(b'{"data": [7, {"date": "2026-11-20", "model_breakdown": 5}, {"date": "2026-11-20"}]}')
    assert len(page.rows) == 3
    assert all(parse(row).problem is not None for row in page.rows)
