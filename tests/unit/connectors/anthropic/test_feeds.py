"""What is fetched of Anthropic, from a server that answers as its Admin API does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from finops.connectors.anthropic.feeds import ACCOUNT
from finops.connectors.feeds import ACCOUNTS, feed
from finops.connectors.fetching import Feed, Window
from finops.connectors.paging import PagesBroken
from tests.factories import feeds
from tests.fakes.reports.anthropic import AnthropicReports


@pytest.fixture
def fake() -> Iterator[AnthropicReports]:
    with closing(AnthropicReports(until=feeds.NOW)) as made:
        yield made


@feeds.every(ACCOUNT)
def test_a_feed(fake: AnthropicReports, feed: Feed, check: feeds.Check) -> None:
    check(fake, feed)


def test_it_is_an_account_that_can_be_connected() -> None:
    assert ACCOUNTS["anthropic"] is ACCOUNT
    feeds.probed(ACCOUNT, AnthropicReports)


@pytest.mark.parametrize("each", ACCOUNT.feeds, ids=lambda each: each.name)
def test_pages_that_lead_in_a_circle(fake: AnthropicReports, each: Feed) -> None:
    for token in ("again", None):
        fake.fail(200, 200, body={"data": [], "has_more": True, "next_page": token})
        with pytest.raises(PagesBroken):
            feeds.fetched(fake, each, next(feeds.windows(fake, each)))


def test_the_reports_tell_of_the_same_dollars(fake: AnthropicReports) -> None:
    cost, analysed = (fake.truth(name).pico for name in ("anthropic-cost", "anthropic-analytics-cost"))
    assert cost == analysed


def test_usage_is_asked_for_by_the_hour_a_day_to_a_page(fake: AnthropicReports) -> None:
    whole = feeds.span(fake)
    assert feeds.fetched(fake, feed("anthropic-usage"), whole)
    first, *more = fake.asked
    assert first.query["starting_at"] == "2026-11-17T00:00:00Z"
    assert first.query["ending_at"] == "2026-11-20T00:00:00Z"
    assert (first.query["bucket_width"], first.query["limit"]) == ("1h", "24")
    assert [pair for pair in first.pairs if pair[0] == "group_by[]"] == [
        ("group_by[]", name)
        for name in ("workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo")
    ]
    assert "page" not in first.query
    assert all(one.query["page"].startswith("page_") for one in more)
    assert len(more) > 2


def test_claude_code_is_asked_for_day_by_day(fake: AnthropicReports) -> None:
    since, until = feeds.span(fake)
    assert feeds.fetched(fake, feed("anthropic-claude-code"), Window(since, until))
    assert list(dict.fromkeys(one.query["starting_at"] for one in fake.asked)) == [
        "2026-11-17", "2026-11-18", "2026-11-19",
    ]  # fmt: skip


def test_a_seat_costs_nothing_in_claude_code(fake: AnthropicReports) -> None:
    found = feeds.events(feeds.fetched(fake, feed("anthropic-claude-code")))
    of_seat = [one for one in found if ("email", "seat@example.com") in one.identities]
    assert [one.cost and one.cost.pico for one in of_seat] == [0] * feeds.DAYS


def test_actors_that_are_not_shown_are_rows_of_their_own(fake: AnthropicReports) -> None:
    """Of two pages, too: the numbers go on."""
    found = feeds.events(feeds.fetched(fake, feed("anthropic-analytics-usage"), feeds.span(fake)))
    unseen = [one.external_id for one in found if not one.identities]
    assert len(unseen) == 2 * feeds.DAYS
    assert sum(name.endswith("#2") for name in unseen) == feeds.DAYS
