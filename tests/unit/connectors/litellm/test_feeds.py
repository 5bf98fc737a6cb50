"""A LiteLLM proxy's log of spend, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Window
from finops.connectors.litellm.spend_logs import parse
from tests.factories.feeds import PAGED, PROMISES, Promise, access
from tests.fakes.reports.litellm import LiteLLMReports

FEED = "litellm-logs"
UNTIL = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def fake() -> Iterator[LiteLLMReports]:
    made = LiteLLMReports(until=UNTIL, days=1)
    yield made
    made.close()


@pytest.mark.parametrize("promise", [*PROMISES, *PAGED])
def test_a_feed_keeps_its_promises(fake: LiteLLMReports, promise: Promise) -> None:
    promise(fake, FEED)


def test_addresses_come_from_the_directory_and_users_are_asked_for_once_a_window(fake: LiteLLMReports) -> None:
    window = Window(UNTIL - timedelta(hours=1), UNTIL)
    events = [parse(raw).event for rows in FEEDS[FEED].pages(access(fake), window) for raw in rows]
    people = {dict(event.identities)["provider_user"]: dict(event.identities).get("email") for event in events if event}
    assert people == {
        "u-1": "ann@acme.example",
        "u-2": "bob@acme.example",
        "u-21": "cy@acme.example",
        "u-nobody": None,
    }
    asked = [one.query["user_ids"] for one in fake.asked if one.path == "/user/list" and one.query["page"] == "1"]
    assert asked == ["u-1,u-2,u-21,u-nobody"]


def test_one_user_is_not_taken_for_another_whose_id_holds_theirs(fake: LiteLLMReports) -> None:
    """Asked for `u-2` alone, LiteLLM lists `u-21` too."""
    fake.rows = [one for one in fake.rows if one["user"] == "u-2"]
    window = Window(UNTIL - timedelta(hours=1), UNTIL)
    events = [parse(raw).event for rows in FEEDS[FEED].pages(access(fake), window) for raw in rows]
    assert {dict(event.identities)["email"] for event in events if event} == {"bob@acme.example"}
