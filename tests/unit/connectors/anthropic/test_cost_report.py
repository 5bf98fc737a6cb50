"""Anthropic's report of costs: cents as decimal text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.anthropic.cost_report import cut, parse
from finops.connectors.types import NO_COUNTS, GivenCost
from tests.factories.examples import example
from tests.factories.reports import changed, read, wrong

ROW: dict[str, Any] = {
    "currency": "USD",
    "amount": "123.4500",
    "workspace_id": "wrkspc_01Example",
    "description": "Claude Opus 5.5 Usage - Input Tokens",
    "cost_type": "tokens",
    "context_window": "0-200k",
    "model": "claude-opus-5-5",
    "service_tier": "standard",
    "token_type": "uncached_input_tokens",
    "inference_geo": "global",
}
RECORD: dict[str, Any] = {
    "bucket": {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"},
    "row": ROW,
}


def record(**changes: Any) -> bytes:
    return json.dumps(RECORD | {"row": ROW | changes}).encode()


def test_the_example() -> None:
    (row,) = cut(example("anthropic_cost_report")).rows
    found = read(parse, row)
    assert (found.counts, found.evidence, found.category) == (NO_COUNTS, "billed", "Usage")
    assert (found.model, found.service_tier, found.provider_account) == (
        "claude-opus-5-5", "standard", "wrkspc_01Example",
    )  # fmt: skip
    assert dict(found.tags) == {
        "bucket": "1d",
        "meter": "input_uncached",
        "context_window": "0-200k",
        "cost_type": "tokens",
        "description": "Claude Opus 5.5 Usage - Input Tokens",
        "inference_geo": "global",
        "token_type": "uncached_input_tokens",
    }
    assert found == read(parse, record())


def test_an_amount_is_cents_and_not_dollars() -> None:
    assert read(parse, record()).cost == GivenCost(1_234_500_000_000, "USD")
    assert read(parse, record(amount="0.000001")).cost == GivenCost(10_000, "USD")


def test_a_credit_is_no_usage_below_nothing() -> None:
    found = read(parse, record(amount="-50"))
    assert (found.category, found.cost) == ("Credit", GivenCost(-500_000_000_000, "USD"))


def test_each_group_of_a_day_is_a_charge_of_its_own() -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"token_type": "output_tokens"},
        {"model": None},
        {"description": None},
        {"currency": "EUR"},
    ]
    assert len({read(parse, record(**kind)).external_id for kind in kinds}) == len(kinds)


def test_a_day_told_again_keeps_its_id() -> None:
    assert read(parse, record(amount="999")).external_id == read(parse, record()).external_id


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("row", "amount"), None, "row.amount"),
        (("row", "amount"), "12,5", "row.amount"),
        (("row", "amount"), "1e20", "row.amount"),
        (("row", "currency"), None, "row.amount"),
        (("row", "currency"), 5, "row.amount"),
        (("bucket", "ending_at"), "2026-11-22T00:00:00Z", "bucket.ending_at"),
        (("bucket", "starting_at"), "2026-11-20T23:00:00Z", "bucket.ending_at"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, changed(RECORD, path, value)).field == field
