"""What goes wrong at any provider is said on its source's page: a limit for ever, a page of HTML, pages in a loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from finops.connectors.feeds import ACCOUNTS
from finops.orgs.models import User
from finops.polling.models import PolledFeed
from tests.factories.ledger import small_book
from tests.factories.orgs import Cast
from tests.factories.polling import AT, Connected, calling, connected
from tests.fakes.http import Asked
from tests.fakes.reports.registry import FAKES

HTML = b"<!doctype html><title>Sign in</title>"
# Those that lead from page to page by a token, which can be the one before. Of the others, tests of their feeds say it.
LEADING = ("anthropic", "openai")


@pytest.fixture(params=sorted(ACCOUNTS))
def account(request: pytest.FixtureRequest, cast: Cast) -> Iterator[Connected]:
    fake = FAKES[request.param](until=AT, days=2)
    with calling(fake):
        small_book()
        yield connected(cast.acme, fake)


def page(account: Connected, row: PolledFeed, login: User) -> str:
    client = Client()
    client.force_login(login)
    where = {"organization": account.organization.slug, "source": row.source.slug}
    return client.get(reverse("dashboards:source", kwargs=where)).content.decode()


def test_a_limit_for_ever_is_said(account: Connected, cast: Cast) -> None:
    for name in account.names():
        account.fake.fail(429, 429, headers={"retry-after": "1800"})
        account.poll(name)
        row = account.later(name)
        account.fake.forgive()
        assert (row.state, row.last_code, row.failures, row.rows) == ("limited", "connectors.rate_limited", 2, 0)
        assert "The provider limits how often it is asked" in page(account, row, cast.alice_login)


def test_a_page_of_html_is_said(account: Connected, cast: Cast) -> None:
    for name in account.names():
        account.fake.fail(200, body=HTML, headers={"Content-Type": "text/html"})
        row = account.poll(name)
        assert (row.state, row.last_code, row.rows) == ("failing", "connectors.body_unreadable", 0)
        said = page(account, row, cast.alice_login)
        assert "It cannot be read since" in said
        assert "Sign in" not in row.last_message


@pytest.mark.parametrize("account", LEADING, indirect=True)
def test_pages_in_a_loop_are_said(account: Connected, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, first = account.fake.answer, dict[str, tuple[int, Any]]()

    def stuck(asked: Asked) -> tuple[int, Any]:
        return first.setdefault(asked.path, answer(asked))

    monkeypatch.setattr(account.fake, "answer", stuck)
    codes = set()
    for name in account.names():
        first.clear()
        row = account.poll(name)
        codes.add(row.last_code)
        if row.last_code:
            assert row.state == "failing"
            assert "It cannot be read since" in page(account, row, cast.alice_login)
    assert "connectors.pages_broken" in codes
