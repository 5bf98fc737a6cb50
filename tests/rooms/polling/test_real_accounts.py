"""What `make live` does with a real account, done with those that are made up as if they were real."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from finops.connectors.feeds import ACCOUNTS
from finops.connectors.fetching import Account, Feed
from tests.factories.live_books import a_feed_comes_into_the_books
from tests.factories.orgs import Cast
from tests.factories.polling import AT, calling
from tests.fakes.reports.registry import FAKES
from tests.live.accounts import access_of, variable

FEEDS = [pytest.param(account, feed, id=feed.name) for account in ACCOUNTS.values() for feed in account.feeds]


@pytest.mark.parametrize(("account", "feed"), FEEDS)
def test_a_feed_comes_into_the_books_once(account: Account, feed: Feed, cast: Cast) -> None:
    fake = FAKES[account.name](until=AT)
    with calling(fake):
        settings = json.dumps({**fake.settings, "address": fake.address})
        name = variable(account)
        asked = access_of(account, {name: fake.credential, f"{name}_SETTINGS": settings})
        assert asked is not None
        there = a_feed_comes_into_the_books(cast.acme, account, feed, asked, AT + timedelta(days=1))
        assert 0 < there.rows <= fake.truth(feed.name).rows
