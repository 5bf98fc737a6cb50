"""Feeds asked of the real providers, with credentials of the environment: `pytest -m live`. See docs/sources/README.md.

Nothing is written but into a database of the tests, and of what providers answer only the number of records is printed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from finops.connectors.feeds import ACCOUNTS
from finops.connectors.fetching import Access, Account, Feed, Refused, RequestRefused
from tests.factories.feeds import a_real_window_is_read_twice_alike, yesterday
from tests.factories.live_books import a_feed_comes_into_the_books
from tests.factories.orgs import Cast
from tests.live.accounts import access_of, variable

# Of other machines too, and for as long as a provider takes.
pytestmark = [pytest.mark.live, pytest.mark.enable_socket, pytest.mark.timeout(900)]
FEEDS = [pytest.param(account, feed, id=feed.name) for account in ACCOUNTS.values() for feed in account.feeds]


def access(account: Account) -> Access:
    found = access_of(account, os.environ)
    if found is None:
        pytest.skip(f"{variable(account)} is not set")
    return found


def able(account: Account, feed: Feed) -> Access:
    found = access(account)
    if missing := [need.name for need in feed.needs if need.needed and not found.settings.get(need.name)]:
        pytest.skip(f"{variable(account)}_SETTINGS lacks {', '.join(missing)}")
    return found


@contextmanager
def skipped_where_it_is_for_others(feed: Feed) -> Iterator[None]:
    try:
        yield
    except (Refused, RequestRefused) as error:
        if not feed.optional:
            raise
        pytest.skip(f"{feed.name} is not for every account: {error}")


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=lambda account: account.name)
def test_the_credential_is_good(account: Account) -> None:
    account.probe(access(account))


@pytest.mark.parametrize(("account", "feed"), FEEDS)
def test_a_window_of_yesterday_can_be_read_and_is_the_same_again(account: Account, feed: Feed) -> None:
    asked, window = able(account, feed), yesterday(feed, datetime.now(UTC))
    with skipped_where_it_is_for_others(feed):
        found = a_real_window_is_read_twice_alike(feed, asked, window)
    since, until = (f"{at:%Y-%m-%d %H:%M}" for at in window)
    print(f"{feed.name}: {found} records of {since} to {until}")  # noqa: T201  what `make live` is run for


@pytest.mark.parametrize(("account", "feed"), FEEDS)
def test_a_day_comes_into_the_books_once(account: Account, feed: Feed, cast: Cast) -> None:
    asked, now = able(account, feed), datetime.now(UTC)
    with skipped_where_it_is_for_others(feed):
        next(iter(feed.pages(asked, yesterday(feed, now))), None)
    found = a_feed_comes_into_the_books(cast.acme, account, feed, asked, now)
    print(f"{feed.name}: {found.rows} records in the books")  # noqa: T201  what `make live` is run for
