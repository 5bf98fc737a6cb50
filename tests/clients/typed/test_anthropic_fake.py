"""What the fake of Anthropic's reports answers, as Anthropic's SDK has it: of analytics whole, of the older reports of
usage and costs by the counts and amounts of analytics, which are the same.
"""

from __future__ import annotations

import pytest

from finops.connectors.anthropic import analytics
from tests.clients.test_reports import cut_and_read
from tests.clients.typed.holding import Said, answers, held, wrong_of
from tests.clients.typed.table import ANALYTICS_COST, ANALYTICS_USAGE, COST_RESULT, USAGE_RESULT, Type
from tests.factories.polling import AT
from tests.fakes.reports.anthropic import AnthropicReports

ROOT = "/v1/organizations/"
PAGE = {"data", "has_more", "next_page"}
_USAGE = {"account_id", "api_key_id", "service_account_id", "service_tier", "workspace_id"}
_COST = {"description", "service_tier", "workspace_id"}
# Of each older report the nearest type, what its rows have that it has not, and what it has that they have not.
OLDER: list[tuple[str, Type, set[str], dict[str, object]]] = [
    ("usage_report/messages", USAGE_RESULT, _USAGE, {}),
    ("cost_report", COST_RESULT, _COST, {"list_amount": "0"}),
]


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


def test_analytics_are_what_the_sdk_reads_and_read_the_same_when_it_has_written_them(said: list[Said]) -> None:
    used, cost = rows(said, "analytics/usage"), rows(said, "analytics/cost")
    through = held(*((ANALYTICS_USAGE, row) for row in used), *((ANALYTICS_COST, row) for row in cost))
    assert [one.wrong for one in through] == [[]] * len(through)
    found = cut_and_read(analytics.cut, analytics.parse, {"data": [*used, *cost]})
    assert found == cut_and_read(analytics.cut, analytics.parse, {"data": [one.made for one in through]})
    assert all(hasattr(each, "counts") for each in found)
    pages = [set(one.body) - PAGE for one in said]
    assert pages == [{"data_refreshed_at"} if "/analytics/" in one.path else set() for one in said]


def test_the_older_reports_have_the_counts_of_analytics(said: list[Said]) -> None:
    """The SDK has no type of them. What it has of analytics is grouped by less, and knows a list price."""
    asked = []
    for path, kind, others, more in OLDER:
        for row in rows(said, path):
            assert others <= row.keys()
            asked.append((kind, more | {name: value for name, value in row.items() if name not in others}))
    assert wrong_of(asked) == set()
