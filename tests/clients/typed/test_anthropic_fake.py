"""What the fake of Anthropic's reports answers, as Anthropic's SDK has it: of analytics whole, of the older reports of
usage and costs by the counts and amounts of analytics, which are the same.
"""

from __future__ import annotations

import pytest

from tests.clients.typed.holding import Said, answers, held, wrong_of
from tests.clients.typed.table import (
    ANALYTICS_COST,
    ANALYTICS_USAGE,
    COST_RESULT,
    USAGE_RESULT,
)
from tests.factories.polling import AT
from tests.fakes.reports.anthropic import AnthropicReports

ROOT = "/v1/organizations/"
PAGE = {"data", "has_more", "next_page"}


@pytest.fixture(scope="module")
def said() -> list[Said]:
    fake = AnthropicReports(until=AT, days=1)
    try:
        return answers(
            fake, "anthropic-usage", "anthropic-cost", "anthropic-analytics-usage", "anthropic-analytics-cost"
        )
    finally:
        fake.close()


def rows(said: list[Said], path: str) -> list[dict[str, object]]:
    """Of analytics its rows, of the older reports those in its buckets."""
    found = [one for each in said if each.path == ROOT + path for one in each.body["data"]]
    assert found
    if "results" not in found[0]:
        return found
    return [row for bucket in found for row in bucket["results"]]


def test_analytics_are_what_the_sdk_reads(said: list[Said]) -> None:
    assert (
        wrong_of(
            [(ANALYTICS_USAGE, row) for row in rows(said, "analytics/usage")]
            + [(ANALYTICS_COST, row) for row in rows(said, "analytics/cost")]
        )
        == set()
    )
    pages = [set(one.body) - PAGE for one in said]
    assert pages == [{"data_refreshed_at"} if "/analytics/" in one.path else set() for one in said]


@pytest.mark.parametrize(
    ("path", "others"),
    [
        ("usage_report/messages", {"account_id", "api_key_id", "service_account_id", "service_tier", "workspace_id"}),
        ("cost_report", {"description", "service_tier", "workspace_id"}),
    ],
)
def test_the_older_reports_have_the_counts_of_analytics(said: list[Said], path: str, others: set[str]) -> None:
    """The SDK has no type of them. What it has of analytics is grouped by less, and knows a list price."""
    kind = COST_RESULT if path == "cost_report" else USAGE_RESULT
    more = {"list_amount": "0"} if path == "cost_report" else {}
    found = rows(said, path)
    assert {name for row in found for name in row} - others <= set(held((kind, {}))[0].names)
    assert wrong_of((kind, more | {n: row[n] for n in row.keys() - others}) for row in found) == set()
