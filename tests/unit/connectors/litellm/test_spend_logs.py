"""LiteLLM's log of spend, by `/spend/logs/v2`: the callback's calls, told a second time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.litellm import webhook
from finops.connectors.litellm.spend_logs import PARSER, cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import reparse
from finops.connectors.types import UsageEvent, content_hash
from tests.factories.litellm import CACHED, CALL, PLAIN, payload, row
from tests.factories.metered import body, event, meters, wrong

EMAILS = {"u-7": "dev@acme.example"}


def page(*rows: Any, **changes: Any) -> bytes:
    return body({"data": list(rows), "total": len(rows), "page": 1, "page_size": 50, "total_pages": 1} | changes)


def read(said: Any, **given: Any) -> UsageEvent:
    (found,) = cut(page(said), **given).rows
    return event(parse(found))


def told(said: Any) -> UsageEvent:
    (found,) = webhook.cut(body([said])).rows
    return event(webhook.parse(found))


def test_a_row_of_litellm_11364() -> None:
    found = read(row())
    assert meters(found) == {
        "input_uncached": 10, "cache_read": 66360, "cache_write_5m": 30000, "cache_write_1h": 2435,
        "output_text": 383, "output_reasoning": 120, "requests": 1, "web_searches": 2,
    }  # fmt: skip
    assert found.occurred_at == datetime(2026, 11, 20, 10, 15, 0, 123000, tzinfo=UTC)


def test_the_same_call_told_by_both_ways_is_one_charge() -> None:
    """Same id and same content: what comes second is a duplicate."""
    logged, called = read(row(), emails=EMAILS), told(payload())
    assert logged.external_id == called.external_id
    assert logged == called
    assert content_hash(logged) == content_hash(called)


@pytest.mark.parametrize(
    ("called", "logged"),
    [
        ({"cache_hit": True, "id": "m_cache_hit17.25"}, {"cache_hit": "True", "request_id": "m_cache_hit17.5"}),
        ({"status": "failure", "id": CALL}, {"status": "failure", "request_id": CALL}),
        (
            {"call_type": "aretrieve_batch", "id": "batch_1"},
            {"call_type": "aretrieve_batch", "request_id": "batch_1_batch_cost"},
        ),
        ({"startTime": 1795169700.9999}, {"startTime": "2026-11-20T10:15:00.999Z"}),
        ({"startTime": 1795169700}, {"startTime": "2026-11-20T10:15:00"}),
        ({"response": {"service_tier": "default"}}, {}),
        ({"end_user": "only what the client wrote"}, {}),
    ],
)  # fmt: skip
def test_so_is_one_from_the_cache_one_that_failed_and_a_batch(called: dict[str, Any], logged: dict[str, Any]) -> None:
    assert read(row(**logged), emails=EMAILS) == told(payload(**called))


def test_the_log_has_no_mail_addresses_and_takes_them_from_the_directory() -> None:
    assert read(row()).identities == (("provider_user", "u-7"), ("key_alias", "ci-key"))
    assert read(row(), emails=EMAILS).identities[0] == ("email", "dev@acme.example")


def test_columns_of_json_may_come_as_text() -> None:
    said = row()
    plain = said | {"metadata": json.dumps(said["metadata"]), "request_tags": json.dumps(said["request_tags"])}
    assert read(plain) == read(said)


def test_prompts_are_not_kept() -> None:
    (found,) = cut(page(row(messages="a secret question", response="a secret answer"))).rows
    assert b"secret" not in found
    assert parse(found).event == parse(body(row())).event


def test_details_that_the_operator_leaves_out_of_the_log_are_found_beside() -> None:
    whole = read(row())
    assert read(row(metadata={"usage_object": None})).counts == whole.counts


def test_totals_alone_are_an_estimate_and_never_less_than_the_call() -> None:
    found = read(row(metadata={"usage_object": None, "additional_usage_values": None}))
    assert meters(found) == {"input_uncached": 98805, "output_text": 503, "requests": 1}
    assert found.evidence == "estimated"


def test_a_row_before_litellm_logged_its_own_id_is_known_by_the_providers() -> None:
    assert read(row(litellm_call_id=None, metadata={"litellm_call_id": None})).external_id == "msg_01Example"
    assert read(row(litellm_call_id=None)).external_id == f"{CALL}|msg_01Example"


def test_a_failed_row_is_no_usage_also_where_only_its_metadata_says_so() -> None:
    said = {"status": None, "spend": 0.0, "metadata": {"status": "failure", "cost_breakdown": None}}
    assert cut(page(row({}, **said))).rows == ()


@pytest.mark.parametrize(
    ("said", "following"),
    [
        ({"page": 1, "total_pages": 3}, "2"),
        ({"page": 3, "total_pages": 3}, ""),
        ({"page": 3, "total_pages": 3, "total_is_capped": True}, "4"),
        ({"page": None}, ""),
        ({"page": "1", "total_pages": 9}, ""),
    ],
)
def test_pages_go_on_until_the_last(said: dict[str, Any], following: str) -> None:
    assert cut(page(row(), **said)).next == following


def test_beyond_what_litellm_counts_pages_go_on_until_one_is_empty() -> None:
    assert cut(page(page=201, total_pages=200, total_is_capped=True)).next == ""


def test_a_page_of_failures_is_not_the_end() -> None:
    failed = row({}, status="failure", spend=0.0)
    found = cut(page(failed, page=1, total_pages=2))
    assert (found.rows, found.next) == ((), "2")


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b'{"error": "no database"}', b'{"data": {}}', b'{"data": [{'])
def test_what_is_no_page_is_refused(text: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(text)


def test_one_bad_row_costs_its_neighbours_nothing() -> None:
    rows = cut(page(row(), None, row(startTime=None), row(prompt_tokens=1))).rows
    assert [parse(one).problem is None for one in rows] == [True, False, False, True]
    assert wrong(parse(rows[2])).field == "startTime"


def test_a_row_is_read_again_alone() -> None:
    (found,) = cut(page(row(PLAIN))).rows
    assert reparse(PARSER, found) == parse(found)
    assert reparse(PARSER, found).event is not None


def test_a_million_digits_are_a_problem_and_no_crash() -> None:
    text = page(row()).replace(b'"spend": 0.187654321', b'"spend": 1' + b"0" * 400)
    (found,) = cut(text.replace(b'"total_cost": 0.187654321', b'"total_cost": null')).rows
    assert parse(found).event is None


def test_bedrocks_cached_tokens_are_not_free_litellm_29145() -> None:
    said = {"custom_llm_provider": "bedrock", "model": "bedrock/eu.anthropic.claude-opus-5-5-v1:0"}
    found = read(row(CACHED, spend=0.0, **said))
    assert (meters(found)["cache_read"], meters(found)["cache_write_1h"]) == (66360, 2435)
    assert found.provider == "bedrock"


@pytest.mark.parametrize("stated", [0.0, 12.5])
def test_a_logged_spend_that_is_zero_or_wrong_is_no_cost_of_ours_litellm_10598_and_12605(stated: float) -> None:
    found = read(row(PLAIN, spend=stated))
    assert meters(found) == meters(read(row(PLAIN)))
    assert found.cost is None
