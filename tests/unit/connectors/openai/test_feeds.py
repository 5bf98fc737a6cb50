"""What is fetched of OpenAI, from a server that answers as its Admin API does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from finops.connectors.fetching import RequestRefused
from finops.connectors.openai.feeds import ACCOUNT
from finops.connectors.openai.usage_report import UNITS
from tests.factories.buckets import BUCKETS, PAGES, UNTIL, rows
from tests.factories.feeds import Promise, access
from tests.fakes.reports.openai import OpenAIReports

NAMES = [feed.name for feed in ACCOUNT.feeds]


@pytest.fixture
def fake() -> Iterator[OpenAIReports]:
    made = OpenAIReports(until=UNTIL)
    yield made
    made.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("promise", [*BUCKETS, *PAGES])
def test_a_feed_keeps_its_promises(fake: OpenAIReports, name: str, promise: Promise) -> None:
    promise(fake, name)


def test_kinds_of_usage_are_asked_for_one_after_the_other(fake: OpenAIReports) -> None:
    rows(fake, "openai-usage")
    kinds = [one.path.removeprefix("/v1/organization/usage/") for one in fake.asked]
    assert list(dict.fromkeys(kinds)) == [
        "completions", "decisions", "embeddings", "moderations", "web_search_calls", "file_search_calls",
    ]  # fmt: skip
    assert kinds == sorted(kinds, key=list(dict.fromkeys(kinds)).index)
    assert {one.query["start_time"] for one in fake.asked} == {"1794873600"}
    assert {one.query["end_time"] for one in fake.asked} == {"1795132800"}


def test_what_no_meter_counts_is_not_asked_for(fake: OpenAIReports) -> None:
    rows(fake, "openai-usage")
    assert not {one.path.rpartition("/")[2] for one in fake.asked} & {*UNITS}


def test_what_searched_is_a_request_once(fake: OpenAIReports) -> None:
    found = rows(fake, "openai-usage")
    assert sum(one.counts[-3] for one in found if "search" in dict(one.tags)["report"]) == 0


def test_a_batch_is_of_its_own_tier(fake: OpenAIReports) -> None:
    found = rows(fake, "openai-usage")
    assert {one.service_tier for one in found} == {"", "default", "batch", "priority"}


def test_costs_name_the_model_of_a_line_item(fake: OpenAIReports) -> None:
    found = rows(fake, "openai-costs")
    assert {one.model for one in found} == {
        "", "gpt-5.2-2026-01-01", "gpt-5-mini", "gpt-audio-2026-02-01", "text-embedding-3-large",
    }  # fmt: skip
    assert {dict(one.tags)["line_item"] for one in found if not one.model} == {
        "web search tool calls", "file search tool calls",
    }  # fmt: skip


def test_a_probe_asks_for_the_costs_of_a_day(fake: OpenAIReports) -> None:
    ACCOUNT.probe(access(fake))
    (asked,) = fake.asked
    assert asked.path == "/v1/organization/costs"
    assert asked.query["limit"] == "1"
    fake.fail(404)
    with pytest.raises(RequestRefused):
        ACCOUNT.probe(access(fake))
