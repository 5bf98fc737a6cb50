"""LiteLLM's callback and its log of spend, as LiteLLM's own types have them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from finops.connectors.litellm import spend_logs, webhook
from tests.clients.typed.holding import Held, answers, held
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


class Told(NamedTuple):
    """What LiteLLM's types say: of a usage, of a call and its row, of the fields of a row's metadata; and of the fake's
    rows, each with its usage. Asked at once, as LiteLLM takes seconds to start.
    """

    usage: Held
    call: Held
    line: Held
    metadata: Held
    rows: list[Held]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    fake = LiteLLMReports(until=AT, days=1)
    try:
        said = answers(fake, "litellm-logs")
    finally:
        fake.close()
    found = [one for each in said if each.path == "/spend/logs/v2" for one in each.body["data"]]
    assert {one["request_id"] for one in found} == {one["request_id"] for one in fake.rows}
    return found


@pytest.fixture(scope="module")
def told(rows: list[dict[str, Any]]) -> Told:
    usage, call, line, metadata, *others = held(
        (LITELLM_USAGE, CACHED),
        (LITELLM_CALL, payload(CACHED)),
        (LITELLM_ROW, as_written(row(CACHED))),
        (LITELLM_ROW_METADATA,),
        *((LITELLM_ROW, as_written(one)) for one in rows),
        *((LITELLM_USAGE, one["metadata"]["usage_object"]) for one in rows),
    )
    return Told(usage, call, line, metadata, others)


def test_every_count_of_a_call_and_of_its_row_is_read(told: Told) -> None:
    assert [told.usage.wrong, told.call.wrong, told.line.wrong] == [[], [], []]
    # With every field that LiteLLM's usage has, null where it says nothing.
    for said in (told.call.made, payload(told.usage.made)):
        (kept,) = webhook.cut(body([said])).rows
        assert meters(event(webhook.parse(kept))) == COUNTED
    made = told.line.made
    listed = made | {name: json.loads(made[name]) for name in ("metadata", "request_tags")}
    for said in (listed, row(told.usage.made)):
        (kept,) = spend_logs.cut(body({"data": [said]})).rows
        assert meters(event(spend_logs.parse(kept))) == COUNTED


def test_the_fake_answers_what_a_proxy_writes(told: Told, rows: list[dict[str, Any]]) -> None:
    assert {trouble for one in told.rows for trouble in one.wrong} == set()
    assert {name for one in rows for name in one["metadata"]} <= set(told.metadata.names)
    assert {name for one in rows for name in one} <= set(told.line.names)
