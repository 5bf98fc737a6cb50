"""What is fetched of OpenRouter, from a server that answers as its API does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from finops.connectors.fetching import Window
from finops.connectors.openrouter.feeds import ACCOUNT
from finops.connectors.paging import PagesBroken
from finops.connectors.registry import PARSERS
from tests.factories.buckets import BUCKETS, DAY, UNTIL, rows
from tests.factories.feeds import Promise, access
from tests.fakes.reports.openrouter import OpenRouterReports

NAME = "openrouter-activity"


@pytest.fixture
def fake() -> Iterator[OpenRouterReports]:
    made = OpenRouterReports(until=UNTIL)
    yield made
    made.close()


@pytest.mark.parametrize("promise", BUCKETS)
def test_a_feed_keeps_its_promises(fake: OpenRouterReports, promise: Promise) -> None:
    promise(fake, NAME)


def test_all_days_are_asked_for_at_once_and_by_workspace(fake: OpenRouterReports) -> None:
    """A question for a day that is not over is refused, and nobody here knows which that is at the provider."""
    found = rows(fake, NAME, Window(UNTIL - DAY, UNTIL + DAY))
    assert [(one.path, one.query) for one in fake.asked] == [("/api/v1/activity", {"group_by": "workspace"})]
    assert {one.occurred_at for one in found} == {UNTIL - DAY}
    assert {one.provider_account for one in found} == {"ws_example", "ws_other"}
    today = fake.asked[0]._replace(query={"date": UNTIL.date().isoformat()})
    assert fake.page(today)[0] == 400


def test_a_row_without_a_day_is_held(fake: OpenRouterReports) -> None:
    fake.fail(200, body={"data": [{"model": "some/model", "usage": 1.5}]})
    (raw,) = next(iter(ACCOUNT.feeds[0].pages(access(fake), Window(UNTIL - DAY, UNTIL))))
    problem = PARSERS[ACCOUNT.feeds[0].parser](raw).problem
    assert problem
    assert problem.field == "row.date"


def test_what_the_provider_bills_is_no_cost_here(fake: OpenRouterReports) -> None:
    own = [one for one in rows(fake, NAME) if "byok_usage_inference" in dict(one.tags)]
    assert len(own) == 3
    assert all(one.cost and one.cost.pico for one in own)
    assert {dict(one.tags)["upstream_provider"] for one in own} == {"Anthropic"}


def test_activity_that_goes_on_is_not_cut_off_in_silence(fake: OpenRouterReports) -> None:
    fake.fail(200, body={"data": [], "has_more": True, "next_page": "two"})
    with pytest.raises(PagesBroken):
        rows(fake, NAME)


def test_a_probe_asks_for_what_only_a_management_key_may(fake: OpenRouterReports) -> None:
    ACCOUNT.probe(access(fake))
    assert [one.path for one in fake.asked] == ["/api/v1/credits"]
