"""OpenAI's report of costs: a JSON number in dollars, for what free text says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.openai.cost_report import LineItem, cut, line_item, parse
from finops.connectors.types import NO_COUNTS, GivenCost
from tests.factories.examples import example
from tests.factories.reports import changed, read, wrong

TIMES = {"start_time": 1_763_596_800, "end_time": 1_763_683_200}
ROW: dict[str, Any] = {
    "object": "organization.costs.result",
    "amount": {"value": 0.06, "currency": "usd"},
    "line_item": "gpt-5.2, input_tokens",
    "project_id": "proj_example",
    "api_key_id": None,
    "quantity": 50000,
    "quantity_unit": "tokens",
}
RECORD: dict[str, Any] = {"bucket": TIMES, "row": ROW}


def record(**changes: Any) -> bytes:
    return json.dumps({"bucket": TIMES, "row": ROW | changes}).encode()


def test_the_example() -> None:
    (row,) = cut(example("openai_costs")).rows
    found = read(parse, row)
    assert (found.evidence, found.counts, found.cost) == ("billed", NO_COUNTS, GivenCost(60_000_000_000, "USD"))
    assert (found.model, found.provider_account, found.category) == ("gpt-5.2", "proj_example", "Usage")
    assert dict(found.tags) == {
        "bucket": "1d",
        "meter": "input_uncached",
        "line_item": "gpt-5.2, input_tokens",
        "quantity": "50000",
        "quantity_unit": "tokens",
        "token_type": "input",
    }
    assert found == read(parse, record())


def test_an_amount_is_the_decimal_it_is_written_as_and_no_float() -> None:
    raw = record().replace(b"0.06", b"0.123456789012345678")
    assert read(parse, raw).cost == GivenCost(123_456_789_012, "USD")
    assert read(parse, record().replace(b"0.06", b"0.1")).cost == GivenCost(100_000_000_000, "USD")


def test_a_body_keeps_its_decimals_to_the_ledger() -> None:
    body = b'{"data":[{"start_time":1763596800,"end_time":1763683200,"results":[%s]}]}'
    row = b'{"amount":{"value":1.000000000000000000001e-2,"currency":"usd"}}'
    (cutted,) = cut(body % row).rows
    assert b"1.000000000000000000001e-2" in cutted
    assert read(parse, cutted).cost == GivenCost(10_000_000_000, "USD")


def test_an_amount_as_text_is_one_too() -> None:
    assert read(parse, record(amount={"value": "1.2345", "currency": "USD"})).cost == GivenCost(
        1_234_500_000_000, "USD"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gpt-5.2, input_tokens", LineItem("gpt-5.2", "input")),
        ("gpt-4o-mini-2024-07-18, cached input", LineItem("gpt-4o-mini-2024-07-18", "cached_input")),
        ("gpt-5.6, cache writes", LineItem("gpt-5.6", "cache_write")),
        ("gpt-audio-mini-2025-12-15 audio, input", LineItem("gpt-audio-mini-2025-12-15", "input", "audio")),
        (
            "priority | gpt-5.6-sol, output, long context",
            LineItem("gpt-5.6-sol", "output", "", "priority", "long context"),
        ),
        ("ft:gpt-4o:acme::abc, output", LineItem("ft:gpt-4o:acme::abc", "output")),
        ("web search tool calls", LineItem()),
        ("Code interpreter, sessions", LineItem()),
        ("Storage, renamed", LineItem()),
        ("gpt-4o", LineItem()),
        ("gpt-4o, something new", LineItem()),
        ("GPT 4, input", LineItem()),
        (", input", LineItem()),
        ("", LineItem()),
    ],
)
def test_a_line_item_is_read_where_it_can_be_and_no_model_is_guessed(text: str, parts: LineItem) -> None:
    assert line_item(text) == parts
    found = read(parse, record(line_item=text or None))
    assert dict(found.tags).get("line_item", "") == text
    assert found.model == parts.model


def test_a_line_item_in_two_units_is_two_charges() -> None:
    rows: list[dict[str, Any]] = [
        {},
        {"quantity_unit": "1000_tokens"},
        {"project_id": None},
        {"api_key_id": "key_1"},
        {"line_item": None},
    ]
    assert len({read(parse, record(**row)).external_id for row in rows}) == len(rows)


def test_a_day_told_again_keeps_its_id() -> None:
    later = record(amount={"value": 0.07, "currency": "usd"}, quantity=60000)
    assert read(parse, later).external_id == read(parse, record()).external_id


def test_a_number_written_another_way_is_the_same_number() -> None:
    raw = record().replace(b"0.06", b"6.0e-2").replace(b"50000", b"50000.0")
    assert read(parse, raw) == read(parse, record())


def test_a_credit_is_no_usage_below_nothing() -> None:
    assert read(parse, record(amount={"value": -5.0, "currency": "usd"})).category == "Credit"


def test_who_it_is_of() -> None:
    found = read(parse, record(user_id="user-1", api_key_id="key_1", user_email="dev@example.com"))
    assert found.identities == (("email", "dev@example.com"), ("provider_user", "user-1"), ("key_alias", "key_1"))


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("row", "amount"), None, "row.amount"),
        (("row", "amount"), 0.06, "row.amount"),
        (("row", "amount", "value"), None, "row.amount.value"),
        (("row", "amount", "value"), "much", "row.amount.value"),
        (("row", "amount", "currency"), None, "row.amount.value"),
        (("row", "object"), "organization.usage.completions.result", "row.object"),
        (("row", "line_item"), ["gpt"], "row.line_item"),
        (("bucket", "end_time"), 1_763_769_600, "bucket.end_time"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, changed(RECORD, path, value)).field == field
