"""The checks of real accounts, tried on one that is not real: they find what they are for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.connectors.fetching import Need, Window
from tests.factories.buckets import UNTIL
from tests.factories.feeds import a_real_window_is_read_twice_alike, access, yesterday
from tests.fakes.reports.openrouter import OpenRouterReports
from tests.live.accounts import SettingsUnreadable, access_of, set_in, summary, variable

FEED = FEEDS["openrouter-activity"]
NOW = datetime(2026, 11, 20, 13, 37, tzinfo=UTC)


@pytest.fixture
def fake() -> Iterator[OpenRouterReports]:
    made = OpenRouterReports(until=UNTIL)
    yield made
    made.close()


def test_a_feed_that_is_right_says_how_much_it_read(fake: OpenRouterReports) -> None:
    window = Window(UNTIL - timedelta(days=1), UNTIL)
    assert a_real_window_is_read_twice_alike(FEED, access(fake), window) > 1
    nothing = Window(UNTIL - timedelta(days=300), UNTIL - timedelta(days=299))
    assert a_real_window_is_read_twice_alike(FEED, access(fake), nothing) == 0


def test_a_record_that_cannot_be_read_fails_and_is_not_told(fake: OpenRouterReports) -> None:
    fake.fail(200, body={"data": [{"model": "their-secret", "usage": 1.5}]})
    with pytest.raises(AssertionError, match=r"record 1 of openrouter-activity cannot be read: .*date") as found:
        a_real_window_is_read_twice_alike(FEED, access(fake), Window(UNTIL - timedelta(days=1), UNTIL))
    assert "their-secret" not in str(found.value)


def test_ids_that_are_not_found_again_or_stand_twice_fail(fake: OpenRouterReports) -> None:
    window = Window(UNTIL - timedelta(days=1), UNTIL)
    rows = [raw for page in FEED.pages(access(fake), window) for raw in page]
    reads = iter([[rows], [rows[1:]], [rows, rows[:1]]])
    bent = replace(FEED, pages=lambda *_: iter(next(reads)))
    with pytest.raises(AssertionError, match=r"1 of \d+ ids .* were not found again"):
        a_real_window_is_read_twice_alike(bent, access(fake), window)
    with pytest.raises(AssertionError, match=r"1 of \d+ ids .* are told twice"):
        a_real_window_is_read_twice_alike(bent, access(fake), window)


@pytest.mark.parametrize("name", FEEDS)
def test_yesterday_is_a_window_that_may_be_asked_for(name: str) -> None:
    feed = FEEDS[name]
    since, until = yesterday(feed, NOW)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert until <= NOW.replace(hour=0, minute=0)
    assert NOW - until < timedelta(days=1) + feed.width
    assert feed.width <= until - since <= feed.longest
    assert not (since - epoch) % feed.width
    assert not (until - epoch) % feed.width


def test_an_account_is_asked_with_what_the_environment_says() -> None:
    account = ACCOUNTS["langfuse"]
    assert access_of(account, {}) is None
    assert access_of(account, {"CAPSTAN_LIVE_LANGFUSE": " "}) is None
    needed = {"project": "one"}
    said = {
        "CAPSTAN_LIVE_LANGFUSE": "pk:sk",
        "CAPSTAN_LIVE_LANGFUSE_SETTINGS": json.dumps({**needed, "address": "https://langfuse.example"}),
    }
    found = access_of(account, said)
    assert found is not None
    assert (found.credential, found.address) == ("pk:sk", "https://langfuse.example")
    assert (dict(found.settings), found.internal) == (needed, ("langfuse.example",))


@pytest.mark.parametrize("settings", ["{", "[]", '{"organization": 1}', "{}"])
def test_settings_that_cannot_be_are_named_and_not_shown(settings: str) -> None:
    said = {"CAPSTAN_LIVE_COPILOT": "ghp_secret", "CAPSTAN_LIVE_COPILOT_SETTINGS": settings}
    account = replace(ACCOUNTS["copilot"], needs=(Need("organization", "Its short name."),))
    with pytest.raises(SettingsUnreadable, match=f"^{variable(account)}_SETTINGS ") as found:
        access_of(account, said)
    assert "ghp_secret" not in str(found.value)


def test_what_was_asked_is_said_and_that_nothing_was() -> None:
    nothing = summary(ACCOUNTS, {"HOME": "/"})
    assert nothing.startswith("Nothing was asked: no credential was set.")
    assert all(variable(account) in nothing for account in ACCOUNTS.values())
    one = {"CAPSTAN_LIVE_OPENAI": "key"}
    assert [account.name for account in set_in(ACCOUNTS, one)] == ["openai"]
    assert summary(ACCOUNTS, one) == "Asked: openai. Of no other account a credential was set."
