"""AWS' Cost and Usage Report: what Bedrock was charged for, by usage type, account and principal."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from finops.connectors.bedrock.cur import cut, kept, parse
from finops.connectors.bedrock.usage_types import UsageType, model_of, usage_type_of
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import UsageEvent
from tests.factories.agents import ANYTHING, bent, checked, dollars, meters, said
from tests.factories.pricing import real_catalogue

ALICE = "arn:aws:iam::123456789012:user/alice"


def row(**changes: Any) -> dict[str, Any]:
    return {
        "identity_line_item_id": "changes-with-each-delivery",
        "line_item_line_item_type": "Usage",
        "line_item_usage_account_id": "123456789012",
        "line_item_usage_start_date": "2026-11-20T10:00:00Z",
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": "USE1-Claude4.6Sonnet-input-tokens",
        "line_item_operation": "InvokeModelInference",
        "line_item_usage_amount": "23.0000000000",
        "line_item_unblended_cost": "0.0690000000",
        "line_item_currency_code": "USD",
        "line_item_iam_principal": ALICE,
        "pricing_unit": "1K tokens",
        "product_region_code": "us-east-1",
        "resource_tags": '{"user_team": "search"}',
        "tags": '{"iamPrincipal/cost-center": "cc42"}',
    } | changes


def table(*rows: dict[str, Any]) -> bytes:
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue().encode()


def read(*rows: dict[str, Any]) -> list[UsageEvent]:
    return [said(parse(raw)) for raw in cut(table(*rows)).rows]


def test_a_line_is_what_aws_charges() -> None:
    (made,) = read(row())
    assert (made.provider, made.model, made.category, made.evidence) == (
        "aws",
        "anthropic.claude-sonnet-4-6",
        "Usage",
        "billed",
    )
    assert (dollars(made), meters(made)) == ("0.069", {"input_uncached": 23_000})
    assert made.identities == (("provider_user", ALICE),)
    assert (made.provider_account, made.region) == ("123456789012", "us-east-1")
    assert dict(made.tags) == {
        "team": "search", "iamPrincipal/cost-center": "cc42", "operation": "InvokeModelInference",
        "usage_type": "USE1-Claude4.6Sonnet-input-tokens", "meter": "input_uncached",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "description", "told"),
    [
        ("USE1-Claude4.6Sonnet-input-tokens", "", ("Claude4.6Sonnet", "input_uncached", "", "")),
        ("USW2-Claude4.6Opus-output-tokens", "", ("Claude4.6Opus", "output_text", "", "")),
        ("USW2-Nova2.0Lite-cache-read-input-token-count", "", ("Nova2.0Lite", "cache_read", "", "")),
        ("USW2-Claude4.5Sonnet-cache-write-input-token-count", "", ("Claude4.5Sonnet", "cache_write_5m", "", "")),
        ("USW2-Claude5-cache-write-1h-input-token-count", "", ("Claude5", "cache_write_1h", "", "")),
        ("USE1-Claude4Sonnet-input-tokens-cross-region-global", "",
         ("Claude4Sonnet", "input_uncached", "", "cross-region-global")),
        ("USE1-NovaLite-output-tokens-batch", "", ("NovaLite", "output_text", "batch", "")),
        ("APN1-gpt-oss-120b-mantle-input-tokens-flex", "", ("gpt-oss-120b", "input_uncached", "flex", "")),
        ("USE1-MP:USE1_InputTokenCount-Units", "AWS Marketplace: Claude Sonnet 4.5 (Amazon Bedrock Edition)",
         ("Claude Sonnet 4.5", "input_uncached", "", "")),
        ("USE1-MP:USE1_CacheWriteInputTokenCount_Global-Units", "",
         ("USE1-MP:USE1_CacheWriteInputTokenCount_Global-Units", "cache_write_5m", "", "global")),
        ("USE1-Guardrail-ContentPolicyUnitsConsumed", "", ("USE1-Guardrail-ContentPolicyUnitsConsumed", "", "", "")),
        ("", "", ("", "", "", "")),
    ],
)  # fmt: skip
def test_what_a_usage_type_says(text: str, description: str, told: tuple[str, ...]) -> None:
    assert usage_type_of(text, description) == told


@pytest.mark.parametrize(
    ("word", "routing", "called"),
    [
        ("Claude4.6Sonnet", "", "us.anthropic.claude-sonnet-4-6"),
        ("Claude4.6Opus", "cross-region-global", "global.anthropic.claude-opus-4-6-v1"),
        ("Claude4.5Sonnet", "", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("Claude Sonnet 4.5", "global", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("Claude4Sonnet", "cross-region", "eu.anthropic.claude-sonnet-4-20250514-v1:0"),
        ("Claude Haiku 4.5", "", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("Claude3Haiku", "", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("Claude 3.7 Sonnet", "", "anthropic.claude-3-7-sonnet-20250219-v1:0"),
        ("Claude5Opus", "", "anthropic.claude-opus-5"),
        ("NovaPro", "", "amazon.nova-pro-v1:0"),
    ],
)
def test_a_model_on_the_bill_is_the_one_that_was_called(word: str, routing: str, called: str) -> None:
    names = real_catalogue().names
    found = names.model("aws", called)
    assert found is not None
    assert names.model("aws", model_of(UsageType(word, routing=routing))) == found


@pytest.mark.parametrize("word", ["Claude3.5Sonnet", "Claude5", "Nova2.0Lite", "gpt-oss-120b", "Claude Sonnet 4.5 Max"])
def test_a_word_that_may_be_several_models_stays_as_it_is(word: str) -> None:
    assert model_of(UsageType(word)) == word


@pytest.mark.parametrize(
    ("amount", "unit", "tokens"),
    [
        ("433.893", "1K tokens", 433_893),
        ("1.5", "1M tokens", 1_500_000),
        ("12", "Tokens", 12),
        ("12", "Units", 0),
        ("0.0001", "1K tokens", 0),
        ("", "1K tokens", 0),
        ("-1", "1K tokens", 0),
    ],
)
def test_tokens_are_told_where_the_unit_is(amount: str, unit: str, tokens: int) -> None:
    (made,) = read(row(line_item_usage_amount=amount, pricing_unit=unit))
    assert sum(made.counts) == tokens
    assert dollars(made) == "0.069"


@pytest.mark.parametrize(
    ("kind", "cost", "category"),
    [
        ("Usage", "1", "Usage"),
        ("Usage", "-1", "Adjustment"),
        ("Tax", "1", "Tax"),
        ("Credit", "-1", "Credit"),
        ("Refund", "-1", "Credit"),
        ("EdpDiscount", "-1", "Credit"),
        ("Fee", "100", "Purchase"),
        ("SavingsPlanNegation", "-1", "Adjustment"),
        ("SomethingNew", "1", "Usage"),
    ],
)
def test_the_category_is_the_lines(kind: str, cost: str, category: str) -> None:
    (made,) = read(row(line_item_line_item_type=kind, line_item_unblended_cost=cost))
    assert made.category == category


def test_lines_of_other_products_are_left_out() -> None:
    other = row(line_item_product_code="AmazonEC2", line_item_usage_type="BoxUsage:t3.micro")
    market = row(line_item_product_code="5f2a9", line_item_line_item_description="Claude 5 (Amazon Bedrock Edition)")
    assert len(cut(table(row(line_item_line_item_description=""), other | {"line_item_line_item_description": ""},
                         market)).rows) == 2  # fmt: skip


def test_a_line_is_known_by_what_it_says_and_not_by_aws_id() -> None:
    (first,), (again,) = read(row()), read(row(identity_line_item_id="other", line_item_unblended_cost="0.07"))
    assert first.external_id == again.external_id
    assert len({made.external_id for made in read(row(), row(), row(line_item_iam_principal="bob"))}) == 3


def test_files_of_one_month_count_together() -> None:
    counted: Counter[str] = Counter()
    one, two = list(kept([row()], counted=counted)), list(kept([row()], counted=counted))
    assert said(parse(one[0])).external_id != said(parse(two[0])).external_id


def test_rows_of_parquet_are_the_same_lines() -> None:
    typed = row(
        line_item_usage_start_date=datetime(2026, 11, 20, 10, tzinfo=UTC), line_item_usage_amount=23.0,
        line_item_unblended_cost=Decimal("0.0690000000"), resource_tags=[("user_team", "search")],
        tags={"iamPrincipal/cost-center": "cc42"},
    )  # fmt: skip
    (raw,) = kept([typed])
    made, (written,) = said(parse(raw)), read(row())
    assert (dollars(made), meters(made), made.tags) == (dollars(written), meters(written), written.tags)
    assert made.occurred_at == written.occurred_at


def test_a_float_of_parquet_is_the_number_it_was_written_as() -> None:
    (raw,) = kept([row(line_item_unblended_cost=0.1)])
    assert dollars(said(parse(raw))) == "0.1"


def test_a_long_list_of_tags_does_not_make_two_lines_one() -> None:
    tags = {f"user_{n:02d}": "x" * 60 for n in range(20)}
    one, two = row(resource_tags=json.dumps(tags)), row(resource_tags=json.dumps(tags | {"user_19": "y"}))
    first, second = read(one, two)
    assert first.external_id != second.external_id
    assert len(first.external_id) <= 300


def test_one_bent_line_spoils_only_itself() -> None:
    received = [parse(raw) for raw in cut(table(row(), row(line_item_unblended_cost="free"), row())).rows]
    assert [bool(one.event) for one in received] == [True, False, True]


@pytest.mark.parametrize("body", [b"", b"<html>", b"a,b\n1,2", b'{"a": 1}'])
def test_what_is_no_report_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body)


@given(bent(json.loads(cut(table(row(), row())).rows[1])))
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_anything_in_any_cell(tags: Any, cost: Any, kind: Any) -> None:
    for raw in kept([row(tags=tags, resource_tags=tags, line_item_unblended_cost=cost, line_item_usage_type=kind)]):
        checked(raw, parse)
