"""What fakes of providers' reports answer, as the types of those providers' own SDKs have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from finops.connectors.anthropic import analytics
from finops.connectors.openai import cost_report, usage_report
from finops.connectors.pages import Page
from finops.connectors.types import Received
from tests.clients.test_reports import ANTHROPIC, OPENAI, cut_and_read, told
from tests.factories.buckets import UNTIL, rows
from tests.fakes.reporting import Reporting
from tests.fakes.reports.anthropic import AnthropicReports
from tests.fakes.reports.openai import OpenAIReports

KINDS = ("completions", "decisions", "embeddings", "moderations", "web_search_calls", "file_search_calls")


@contextmanager
def made_up(kind: type[Reporting]) -> Iterator[Reporting]:
    fake = kind(until=UNTIL)
    try:
        yield fake
    finally:
        fake.close()


def bodies(fake: Reporting, feed: str, path: str) -> list[Any]:
    """The pages of a report that say anything, as the feed asked for them."""
    fake.asked.clear()
    rows(fake, feed)
    found = [fake.answer(asked) for asked in fake.asked if asked.path.endswith(path)]
    assert {status for status, _ in found} == {200}
    return [body for _, body in found if any(one.get("results", [one]) for one in body["data"])]


def kept(through: Any, body: Any) -> bool:
    """Whether everything that was said is still there."""
    if isinstance(body, dict):
        return all(kept(through[name], value) for name, value in body.items())
    if isinstance(body, list):
        return all(kept(other, one) for other, one in zip(through, body, strict=True))
    return bool(through == body)


def the_same(cut: Callable[[bytes], Page], parse: Callable[[bytes], Received], body: Any, through: Any) -> None:
    found = cut_and_read(cut, parse, through)
    assert found == cut_and_read(cut, parse, body)
    assert all(hasattr(one, "counts") for one in found)
    assert found


def test_openais_reports() -> None:
    """Each kind of usage has a type of its own."""
    with made_up(OpenAIReports) as fake:
        usage = [bodies(fake, "openai-usage", kind)[0] for kind in KINDS]
        costs = bodies(fake, "openai-costs", "costs")
    names = [f"Usage{kind.title().replace('_', '')}Response" for kind in KINDS]
    asked = [
        (f"{OPENAI}.usage_{kind}_response", name, body) for kind, name, body in zip(KINDS, names, usage, strict=True)
    ]
    through = told(*asked, *((f"{OPENAI}.usage_costs_response", "UsageCostsResponse", body) for body in costs))
    for body, other in zip([*usage, *costs], through, strict=True):
        assert kept(other, body)
    for body, other in zip(usage, through[: len(usage)], strict=True):
        the_same(usage_report.cut, usage_report.parse, body, other)
    for body, other in zip(costs, through[len(usage) :], strict=True):
        the_same(cost_report.cut, cost_report.parse, body, other)


@pytest.mark.parametrize("kind", ["usage", "cost"])
def test_anthropics_analytics(kind: str) -> None:
    module, name = f"beta_analytics_{kind}_item", f"BetaAnalytics{kind.title()}Item"
    with made_up(AnthropicReports) as fake:
        items = [item for body in bodies(fake, f"anthropic-analytics-{kind}", kind) for item in body["data"]]
    through = told(*((f"{ANTHROPIC}.analytics.{module}", name, item) for item in items))
    assert kept([one["group"] for one in through], [one["group"] for one in items])
    the_same(analytics.cut, analytics.parse, {"data": items}, {"data": through})


def test_anthropics_usage_has_the_fields_of_its_nearest_type() -> None:
    """The SDK has no type for this report; the one of analytics has the same counts."""
    with made_up(AnthropicReports) as fake:
        body, *_ = bodies(fake, "anthropic-usage", "messages")
    results = [row for one in body["data"] for row in one["results"]]
    module = f"{ANTHROPIC}.beta_analytics_usage_bucketed_result"
    through = told(*((module, "BetaAnalyticsUsageBucketedResult", row) for row in results))
    assert kept(through, results)
