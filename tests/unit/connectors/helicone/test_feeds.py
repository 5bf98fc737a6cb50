"""Helicone's calls, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Away, Limited
from finops.connectors.helicone.requests import parse
from finops.connectors.pages import BodyUnreadable
from tests.factories.feeds import PROMISES, Promise, access, fetched, several_pages_are_followed, windows
from tests.fakes.reports.helicone import HeliconeReports

FEED = "helicone-requests"


@pytest.fixture
def fake() -> Iterator[HeliconeReports]:
    made = HeliconeReports(until=datetime(2026, 11, 20, tzinfo=UTC), days=1)
    yield made
    made.close()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_feed_keeps_its_promises(fake: HeliconeReports, promise: Promise) -> None:
    promise(fake, FEED)


def test_pages_are_followed_where_one_is_full(fake: HeliconeReports) -> None:
    fake.calls = fake.calls[-200:]
    several_pages_are_followed(fake, FEED)


def test_long_answers_are_fetched_where_they_lie_and_without_the_key(fake: HeliconeReports) -> None:
    fetched(fake, FEED)
    stored = [one for one in fake.asked if one.path.startswith("/store/")]
    assert len(stored) == sum(one["is_long"] and one["response_status"] == 200 for one in fake.calls)
    assert all("authorization" not in one.headers for one in stored)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_an_answer_that_is_there_no_more_holds_its_call_and_no_other(fake: HeliconeReports, status: int) -> None:
    """An address that ran out is answered 403, which says nothing of the key."""
    fake.calls = [one for one in fake.calls if one["is_long"]][:2]
    feed, answer = FEEDS[FEED], fake.answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake, "answer", lambda each: (status, {}) if each.path.startswith("/store/") else answer(each))
        problems = [
            parse(row).problem
            for window in windows(feed, fake)
            for asked in feed.pages(access(fake), window)
            for row in asked
        ]
    assert [problem.code for problem in problems if problem] == ["connectors.usage_missing"] * 2


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (503, {}, Away),
        # No credential was shown, so none is refused.
        (401, {}, Away),
        (302, {}, Away),
        (429, {}, Limited),
        (200, b"<!doctype html><title>Sign in</title>", BodyUnreadable),
        (200, b"", BodyUnreadable),
        (200, b"[]", BodyUnreadable),
    ],
)
def test_a_store_that_answers_for_no_call_holds_none_for_it(
    fake: HeliconeReports, status: int, body: Any, raised: type[Exception]
) -> None:
    answer = fake.answer
    with pytest.MonkeyPatch.context() as patch, pytest.raises(raised):
        patch.setattr(fake, "answer", lambda each: (status, body) if each.path.startswith("/store/") else answer(each))
        fetched(fake, FEED)
