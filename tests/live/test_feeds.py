"""Feeds asked of the real providers, with credentials of the environment: `pytest -m live`. See docs/sources/README.md.

Nothing is written anywhere, and nothing of what providers answer is printed but how many records there were.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from finops.connectors.feeds import ACCOUNTS
from finops.connectors.fetching import Access, Account, Feed, Refused, RequestRefused
from tests.factories.feeds import a_real_window_is_read_twice_alike, yesterday
from tests.live.accounts import access_of, variable

# Of other machines too, and for as long as a provider takes.
pytestmark = [pytest.mark.live, pytest.mark.enable_socket, pytest.mark.timeout(900)]
FEEDS = [pytest.param(account, feed, id=feed.name) for account in ACCOUNTS.values() for feed in account.feeds]


def access(account: Account) -> Access:
    found = access_of(account, os.environ)
    if found is None:
        pytest.skip(f"{variable(account)} is not set")
    return found


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=lambda account: account.name)
def test_the_credential_is_good(account: Account) -> None:
    account.probe(access(account))


@pytest.mark.parametrize(("account", "feed"), FEEDS)
def test_a_window_of_yesterday_can_be_read_and_is_the_same_again(account: Account, feed: Feed) -> None:
    asked, window = access(account), yesterday(feed, datetime.now(UTC))
    if missing := [need.name for need in feed.needs if need.needed and not asked.settings.get(need.name)]:
        pytest.skip(f"{variable(account)}_SETTINGS lacks {', '.join(missing)}")
    try:
        found = a_real_window_is_read_twice_alike(feed, asked, window)
    except (Refused, RequestRefused) as error:
        if not feed.optional:
            raise
        pytest.skip(f"{feed.name} is not for every account: {error}")
    since, until = (f"{at:%Y-%m-%d %H:%M}" for at in window)
    print(f"{feed.name}: {found} records of {since} to {until}")  # noqa: T201  what `make live` is run for
