"""What is fetched of Anthropic, from a server that answers as its Admin API does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from finops.connectors.anthropic.feeds import ACCOUNT
from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import RequestRefused, Window
from finops.connectors.paging import PagesBroken
from tests.factories.buckets import BUCKETS, DAY, PAGES, UNTIL, rows
from tests.factories.feeds import Promise, access
from tests.fakes.reports.anthropic import AnthropicReports

NAMES = [feed.name for feed in ACCOUNT.feeds]


@pytest.fixture
def fake() -> Iterator[AnthropicReports]:
    made = AnthropicReports(until=UNTIL)
    yield made
    made.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("promise", [*BUCKETS, *PAGES])
def test_a_feed_keeps_its_promises(fake: AnthropicReports, name: str, promise: Promise) -> None:
    promise(fake, name)


@pytest.mark.parametrize("name", NAMES)
def test_more_without_a_word_where(fake: AnthropicReports, name: str) -> None:
    fake.fail(200, body={"data": [], "has_more": True, "next_page": None})
    with pytest.raises(PagesBroken):
        rows(fake, name)


def test_the_reports_tell_of_the_same_messages(fake: AnthropicReports) -> None:
    usage, analysed = fake.truth("anthropic-usage"), fake.truth("anthropic-analytics-usage")
    assert usage.counts | {"requests": 0} == analysed.counts | {"requests": 0}
    assert fake.truth("anthropic-cost").pico == fake.truth("anthropic-analytics-cost").pico


def test_usage_is_asked_for_by_the_hour(fake: AnthropicReports) -> None:
    rows(fake, "anthropic-usage")
    first, *more = fake.asked
    assert "page" not in first.query
    assert (first.query["starting_at"], first.query["ending_at"]) == ("2026-11-17T00:00:00Z", "2026-11-20T00:00:00Z")
    assert (first.query["bucket_width"], first.query["limit"]) == ("1h", "24")
    assert {value for name, value in first.pairs if name == "group_by[]"} == {
        "workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo",
    }  # fmt: skip
    assert all(one.query["page"] for one in more)


def test_claude_code_is_asked_for_day_by_day(fake: AnthropicReports) -> None:
    rows(fake, "anthropic-claude-code")
    asked = [one.query["starting_at"] for one in fake.asked]
    assert list(dict.fromkeys(asked)) == ["2026-11-17", "2026-11-18", "2026-11-19"]
    assert len(asked) > 3


def test_a_seat_costs_nothing_in_claude_code(fake: AnthropicReports) -> None:
    of_seat = [
        one for one in rows(fake, "anthropic-claude-code") if ("email", "seat@example.com") in one.identities
    ]  # fmt: skip
    assert [one.cost and one.cost.pico for one in of_seat] == [0, 0, 0]


def test_actors_that_are_not_shown_are_rows_of_their_own(fake: AnthropicReports) -> None:
    """The numbers go on where the next page begins."""
    unseen = [one.external_id for one in rows(fake, "anthropic-analytics-usage") if not one.identities]
    assert len(unseen) == len(set(unseen)) == 6
    assert sum(name.endswith("#2") for name in unseen) == 3


@pytest.mark.parametrize("name", ["anthropic-analytics-usage", "anthropic-analytics-cost"])
def test_analytics_begin_with_2026(fake: AnthropicReports, name: str) -> None:
    """A question that begins before is refused, and nobody who reads a year back may be stopped by that."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    assert rows(fake, name, Window(begin - 14 * DAY, begin + 7 * DAY)) == []
    assert rows(fake, name, Window(begin - 14 * DAY, begin)) == []
    assert [one.query["starting_at"] for one in fake.asked] == ["2026-01-01T00:00:00Z"]


def test_it_is_one_version_that_is_spoken(fake: AnthropicReports) -> None:
    ACCOUNT.probe(access(fake))
    assert fake.asked[0].headers["anthropic-version"] == "2023-06-01"
    fake.fail(404)
    with pytest.raises(RequestRefused):
        ACCOUNT.probe(access(fake))


def test_what_tells_the_same_spend_is_off_at_first() -> None:
    assert [name for name in NAMES if not FEEDS[name].optional] == ["anthropic-usage", "anthropic-cost"]


def test_the_fake_knows_a_page_of_another_question(fake: AnthropicReports) -> None:
    """So a page that is asked for with other parameters than the first is a failure here."""
    rows(fake, "anthropic-usage")
    asked = fake.asked[1]
    pairs = tuple(("limit", "23") if name == "limit" else (name, value) for name, value in asked.pairs)
    assert fake.page(asked)[0] == 200
    assert fake.page(asked._replace(pairs=pairs, query=dict(pairs)))[0] == 400
