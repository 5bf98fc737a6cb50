"""Lines of Azure's cost export in FOCUS."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from finops.connectors.azure.cost_export import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import NO_COUNTS, GivenCost
from tests.factories.reports import changed, read, wrong

RESOURCE = "/subscriptions/1111/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/acme"
# Composed after the documentation of the columns.
LINE: dict[str, str] = {
    "BilledCost": "0.0600000000",
    "BillingAccountId": "/providers/Microsoft.Billing/billingAccounts/1",
    "BillingCurrency": "EUR",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargeDescription": "gpt 4o 0806 Inp glbl Tokens",
    "ChargePeriodEnd": "2026-11-21T00:00:00Z",
    "ChargePeriodStart": "2026-11-20T00:00:00Z",
    "ConsumedQuantity": "24",
    "ConsumedUnit": "1K Tokens",
    "EffectiveCost": "0.06",
    "ListCost": "0.06",
    "RegionId": "swedencentral",
    "ResourceId": RESOURCE,
    "ResourceName": "acme",
    "ServiceName": "Azure OpenAI",
    "SkuId": "DZH318Z09V7P",
    "SkuPriceId": "DZH318Z09V7P_00FX",
    "SubAccountId": "/subscriptions/1111",
    "Tags": '{"team": "search", "size": 3}',
    "x_ResourceGroupName": "ai",
    "x_SkuMeterName": "gpt 4o 0806 Inp glbl Tokens",
}


def file(*lines: dict[str, str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(LINE))
    writer.writeheader()
    writer.writerows(lines)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def record(**changes: Any) -> bytes:
    return json.dumps({"row": LINE | changes}).encode()


def test_a_line() -> None:
    (row,) = cut(file(LINE)).rows
    found = read(parse, row)
    assert (found.evidence, found.counts, found.cost) == ("billed", NO_COUNTS, GivenCost(60_000_000_000, "EUR"))
    assert (found.provider, found.provider_account, found.region) == ("azure", "/subscriptions/1111", "swedencentral")
    tags = dict(found.tags)
    assert (tags["team"], tags["size"], tags["service"]) == ("search", "3", "Azure OpenAI")
    assert (tags["meter"], tags["meter_name"]) == ("input_uncached", "gpt 4o 0806 Inp glbl Tokens")
    assert (tags["usage_amount"], tags["usage_unit"]) == ("24", "1K Tokens")


def test_the_export_of_the_month_again_revises_and_adds_nothing() -> None:
    first, later = read(parse, record()), read(parse, record(BilledCost="0.09", InvoiceId="G1", Tags=""))
    assert first.external_id == later.external_id
    assert first != later


def test_another_resource_meter_day_or_kind_is_another_line() -> None:
    others: list[dict[str, str]] = [
        {},
        {"ResourceId": RESOURCE + "2"},
        {"SkuPriceId": "other"},
        {"ChargePeriodStart": "2026-11-21T00:00Z"},
        {"ChargeCategory": "Purchase"},
        {"ChargeClass": "Correction"},
    ]
    assert len({read(parse, record(**one)).external_id for one in others}) == len(others)


def test_lines_of_one_name_are_numbered_over_the_files_of_a_run() -> None:
    told: dict[str, int] = {}
    rows = cut(file(LINE, LINE | {"Tags": "{}"}), told=told).rows + cut(file(LINE), told=told).rows
    assert len({read(parse, row).external_id for row in rows}) == 3


@pytest.mark.parametrize(
    ("changes", "category"),
    [
        ({"ChargeCategory": "Purchase", "BilledCost": "260"}, "Purchase"),
        ({"ChargeCategory": "Tax"}, "Tax"),
        ({"ChargeCategory": "Credit", "BilledCost": "-1"}, "Credit"),
        ({"BilledCost": "-1"}, "Credit"),
        ({"BilledCost": "-1", "ChargeClass": "Correction"}, "Adjustment"),
        ({"BilledCost": "-1", "ChargeCategory": "Purchase"}, "Adjustment"),
    ],
)
def test_what_a_line_is(changes: dict[str, str], category: str) -> None:
    assert read(parse, record(**changes)).category == category


def test_what_a_commitment_covers_is_billed_nothing_and_keeps_its_value() -> None:
    found = read(parse, record(BilledCost="0", EffectiveCost="12.5"))
    assert found.cost == GivenCost(0, "EUR")
    assert dict(found.tags)["effective_cost"] == "12.5"


@pytest.mark.parametrize("tags", ["{", "[1]", '"team"', "[" * 100_000])
def test_tags_that_are_none_are_kept_as_they_are(tags: str) -> None:
    assert dict(read(parse, record(Tags=tags)).tags)["Tags"] == tags[:200]


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("row", "BilledCost"), None, "row.BilledCost"),
        (("row", "BilledCost"), "0,06", "row.BilledCost"),
        (("row", "BillingCurrency"), None, "row.BilledCost"),
        (("row", "ChargeCategory"), "Gift", "row.ChargeCategory"),
        (("row", "ChargePeriodStart"), None, "row.ChargePeriodStart"),
        (("row", "ResourceId"), {}, "row.ResourceId"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, changed({"row": LINE}, path, value)).field == field


def test_a_line_of_too_few_or_too_many_cells_costs_its_neighbours_nothing() -> None:
    body = file(LINE) + b"0.5,EUR\r\n" + file(LINE | {"BilledCost": "2"}).partition(b"\r\n")[2].rstrip() + b",more\r\n"
    rows = cut(body).rows
    assert [parse(row).problem is None for row in rows] == [True, False, False]
    assert b"0.5" in rows[1]
    assert b"more" in rows[2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html>\n<html>",
        b"BilledCost,BillingCurrency\n1,EUR\n",
        b"\x1f\x8b\x08\x00",
        file(LINE) + b'"a"b',
    ],
)
def test_what_is_no_export_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body)
