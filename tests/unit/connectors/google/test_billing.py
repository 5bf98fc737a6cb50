"""Rows of Google's billing export: net of credits, added up, and never told apart by an id of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.google.billing import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import NO_COUNTS, GivenCost
from tests.factories.reports import changed, read, wrong

# Composed after the documentation of the export.
ROW: dict[str, Any] = {
    "billing_account_id": "01AB-23CD",
    "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
    "sku": {"id": "0F4A-1B2C", "description": "Gemini 3 Pro Text Input - Predictions"},
    "usage_start_time": "2026-11-20 08:00:00 UTC",
    "usage_end_time": "2026-11-20 09:00:00 UTC",
    "project": {"id": "acme-search", "name": "Search", "labels": [{"key": "cost_center", "value": "cc42"}]},
    "labels": [{"key": "team", "value": "search"}],
    "location": {"location": "europe-west1", "country": "AT", "region": "europe-west1"},
    "cost": 0.06,
    "currency": "EUR",
    "usage": {"amount": 50000.0, "unit": "count", "amount_in_pricing_units": 0.05, "pricing_unit": "1 million tokens"},
    "credits": [{"name": "Promotion", "amount": -0.01, "type": "PROMOTION"}, {"name": "Sustained", "amount": -0.005}],
    "invoice": {"month": "202611"},
    "cost_type": "regular",
    "export_time": "2026-11-20 12:34:56.789 UTC",
}


def record(**changes: Any) -> bytes:
    return json.dumps({"row": ROW | changes}).encode()


def lines(*rows: Any) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


def test_net_cost_is_what_is_left_of_it_after_credits() -> None:
    (row,) = cut(lines(ROW)).rows
    found = read(parse, row)
    assert (found.evidence, found.counts, found.cost) == ("billed", NO_COUNTS, GivenCost(45_000_000_000, "EUR"))
    assert (found.provider, found.model, found.provider_account) == ("google", "", "acme-search")
    assert found.region == "europe-west1"
    assert dict(found.tags) == {
        "cost_before_credits": "0.06",
        "cost_center": "cc42",
        "cost_type": "regular",
        "credits": "-0.015",
        "invoice_month": "202611",
        "meter": "input_uncached",
        "service": "Vertex AI",
        "sku": "Gemini 3 Pro Text Input - Predictions",
        "sku_id": "0F4A-1B2C",
        "team": "search",
        "usage_amount": "0.05",
        "usage_unit": "1 million tokens",
    }


def test_a_late_row_is_added_and_does_not_replace_the_one_before() -> None:
    late = ROW | {"export_time": "2026-11-25 12:00:00 UTC"}
    assert read(parse, record(**late)).external_id != read(parse, record()).external_id


def test_the_same_row_by_another_tool_is_the_same_charge() -> None:
    by_hand = {
        "usage_start_time": "2026-11-20T08:00:00Z",
        "cost": "0.0600",
        "usage": ROW["usage"] | {"amount": "5.0E4"},
        "labels": [{"key": "team", "value": "search"}],
    }
    assert read(parse, record(**by_hand)).external_id == read(parse, record()).external_id


def test_rows_that_say_the_same_are_numbered() -> None:
    told: dict[str, int] = {}
    rows = cut(lines(ROW, ROW), told=told).rows + cut(json.dumps([ROW]).encode(), told=told).rows
    assert len({read(parse, row).external_id for row in rows}) == 3
    assert all(len(read(parse, row).external_id) <= 300 for row in rows)


@pytest.mark.parametrize(
    ("kind", "amount", "category"),
    [
        ("regular", 1, "Usage"),
        ("tax", 1, "Tax"),
        ("tax", -1, "Adjustment"),
        ("adjustment", -1, "Adjustment"),
        ("rounding_error", -0.0001, "Adjustment"),
        ("regular", -1, "Credit"),
        ("new", 1, "Usage"),
    ],
)
def test_what_a_row_is(kind: str, amount: float, category: str) -> None:
    assert read(parse, record(cost_type=kind, cost=amount, credits=[])).category == category


def test_a_row_without_a_project_is_of_the_account() -> None:
    assert read(parse, record(project=None, credits=None, labels=None)).provider_account == "01AB-23CD"


def test_a_label_named_as_one_of_ours_is_kept() -> None:
    found = dict(read(parse, record(labels=[{"key": "sku", "value": "mine"}])).tags)
    assert (found["label.sku"], found["sku"]) == ("mine", "Gemini 3 Pro Text Input - Predictions")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("row", "cost"), None, "row.cost"),
        (("row", "cost"), "much", "row.cost"),
        (("row", "currency"), None, "row.cost"),
        (("row", "credits"), 5, "row.credits"),
        (("row", "credits"), [{"amount": "x"}], "row.credits[0].amount"),
        (("row", "labels"), {"team": "x"}, "row.labels"),
        (("row", "usage_start_time"), None, "row.usage_start_time"),
        (("row", "usage_start_time"), "1.7635968E9", "row.usage_start_time"),
        (("row", "export_time"), "soon", "row.export_time"),
        (("row", "sku"), "sku", "row.sku"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, changed({"row": ROW}, path, value)).field == field


def test_one_bad_line_costs_its_neighbours_nothing() -> None:
    rows = cut(lines(ROW) + b"\n{oops\n" + lines(ROW | {"cost": 1})).rows
    assert [parse(row).problem is None for row in rows] == [True, False, True]


@pytest.mark.parametrize("body", [b"<html>", b"[{]", b"[" * 100_000, b"null", b"billing_account_id,cost\n"])
def test_what_is_no_export_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body)
