"""LiteLLM's callback and its log of spend, as LiteLLM's own types have them."""

from __future__ import annotations

import json
from typing import Any

from finops.connectors.litellm import spend_logs, webhook
from tests.clients.typed.holding import answers, held, names_of, wrong_of
from tests.clients.typed.table import LITELLM_CALL, LITELLM_ROW, LITELLM_ROW_METADATA, LITELLM_USAGE
from tests.factories.litellm import CACHED, payload, row
from tests.factories.metered import body, event, meters
from tests.factories.polling import AT
from tests.fakes.reports.litellm import LiteLLMReports

# Of the prompt 66,360 were read from the cache and 32,435 written to it; of the completion 120 were thoughts.
COUNTED = {
    "input_uncached": 10,
    "cache_read": 66_360,
    "cache_write_5m": 30_000,
    "cache_write_1h": 2_435,
    "output_text": 383,
    "output_reasoning": 120,
    "requests": 1,
    "web_searches": 2,
}


def as_written(said: dict[str, Any]) -> dict[str, Any]:
    """A row as the proxy writes it: what the database keeps as JSON is text."""
    return said | {name: json.dumps(said[name]) for name in ("metadata", "request_tags")}


def test_every_count_of_a_call_and_of_its_row_is_read() -> None:
    usage, call, line = held(
        (LITELLM_USAGE, CACHED), (LITELLM_CALL, payload(CACHED)), (LITELLM_ROW, as_written(row(CACHED)))
    )
    assert [usage.wrong, call.wrong, line.wrong] == [[], [], []]
    # With every field that LiteLLM's usage has, null where it says nothing.
    for said in (call.made, payload(usage.made)):
        (kept,) = webhook.cut(body([said])).rows
        assert meters(event(webhook.parse(kept))) == COUNTED
    listed = line.made | {name: json.loads(line.made[name]) for name in ("metadata", "request_tags")}
    for said in (listed, row(usage.made)):
        (kept,) = spend_logs.cut(body({"data": [said]})).rows
        assert meters(event(spend_logs.parse(kept))) == COUNTED


def test_the_fake_answers_what_a_proxy_writes() -> None:
    fake = LiteLLMReports(until=AT, days=1)
    try:
        said = answers(fake, "litellm-logs")
    finally:
        fake.close()
    rows = [one for each in said if each.path == "/spend/logs/v2" for one in each.body["data"]]
    assert {one["request_id"] for one in rows} == {one["request_id"] for one in fake.rows}
    assert {name for one in rows for name in one["metadata"]} - names_of(LITELLM_ROW_METADATA) == set()
    assert (
        wrong_of(
            [(LITELLM_ROW, as_written(one)) for one in rows]
            + [(LITELLM_USAGE, one["metadata"]["usage_object"]) for one in rows]
        )
        == set()
    )
