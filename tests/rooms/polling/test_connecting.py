"""Accounts: connected once they are asked, credentials changed, feeds switched on; each organization’s own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from finops.connectors.addresses import AddressRefused
from finops.connectors.feeds import ACCOUNTS
from finops.connectors.fetching import Need
from finops.core.errors import NotFound
from finops.polling import selectors, services
from finops.polling.models import ConnectedAccount, PolledFeed
from finops.polling.services.common import AccountInvalid, CredentialRefused, ProbeFailed, access_of
from finops.polling.services.connecting import AlreadyConnected
from finops.sources.models import Source
from finops.sources.services import add_source
from tests.factories.orgs import HOUSE, Cast
from tests.factories.polling import AT, Connected, Provider, connected
from tests.fakes.reports.anthropic import AnthropicReports

WHO: dict[str, Any] = {"by": HOUSE, "at": AT}


def test_what_is_not_optional_is_read_from_the_first_day(cast: Cast, fake: AnthropicReports) -> None:
    one = connected(cast.acme, fake, feeds=())
    assert one.names() == ["anthropic-usage", "anthropic-cost"]
    assert one.row.label == "Anthropic"
    assert set(selectors.due(AT + timedelta(seconds=1), limit=9)) == set(one.row.feeds.values_list("id", flat=True))
    more: dict[str, Any] = {
        "organization_id": cast.acme.id,
        "account_id": one.row.id,
        "feed": "anthropic-claude-code",
        **WHO,
    }
    row = services.switch_on(**more)
    assert services.switch_on(**more) == row
    assert one.names() == ["anthropic-usage", "anthropic-cost", "anthropic-claude-code"]
    assert row.source.name == "Anthropic: Claude Code by the day and person"
    with pytest.raises(AccountInvalid):
        services.switch_on(organization_id=cast.acme.id, account_id=one.row.id, feed="openai-usage", **WHO)


def test_a_name_that_is_taken_gets_a_number(cast: Cast, fake: AnthropicReports) -> None:
    add_source(organization_id=cast.acme.id, slug="anthropic-cost", **WHO)
    add_source(organization_id=cast.acme.id, slug="anthropic-cost-2", **WHO)
    one = connected(cast.acme, fake, feeds=())
    assert one.feed("anthropic-cost").source.slug == "anthropic-cost-3"
    assert one.feed("anthropic-usage").source.slug == "anthropic-usage"


def test_a_credential_that_is_refused_is_told_at_once_and_nothing_is_kept(cast: Cast, fake: AnthropicReports) -> None:
    with pytest.raises(CredentialRefused) as found:
        connected(cast.acme, fake, credential="not-a-good-one")
    assert found.value.field == "credential"
    assert "not-a-good-one" not in found.value.message
    fake.fail(500)
    with pytest.raises(ProbeFailed):
        connected(cast.acme, fake)
    assert not ConnectedAccount.objects.exists()
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"account": "nobody"}, "account"),
        ({"credential": "two\nlines"}, "credential"),
        ({"credential": "x" * 9_000}, "credential"),
        ({"credential": "kéy"}, "credential"),
        ({"settings": {"organization": "acme"}}, "settings.organization"),
        ({"feeds": ("openai-usage",)}, "feeds"),
        ({"label": "a\x00b"}, "label"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    cast: Cast, fake: AnthropicReports, said: dict[str, Any], field: str
) -> None:
    with pytest.raises(AccountInvalid) as found:
        connected(cast.acme, fake, **said)
    assert found.value.field == field
    assert not fake.asked


def test_nobody_is_called_inside_unless_they_are_named(cast: Cast, fake: AnthropicReports) -> None:
    for address in ("http://127.0.0.1:1/", "http://api.anthropic.com", "ftp://example.com"):
        with pytest.raises(AddressRefused):
            connected(cast.acme, fake, address=address)


def test_the_same_credential_is_connected_once(anthropic: Connected, cast: Cast, fake: AnthropicReports) -> None:
    with pytest.raises(AlreadyConnected):
        connected(cast.acme, fake)
    # Another organization's is its own.
    connected(cast.globex, fake)
    who: dict[str, Any] = {"organization_id": cast.acme.id, "account_id": anthropic.row.id}
    for _ in range(2):
        assert services.disconnect(**who, **WHO).disconnected_at == AT
    anthropic.row.refresh_from_db()
    assert bytes(anthropic.row.sealed) == b""
    # Connected again it goes on where it stood, with its own sources.
    sources = Source.objects.filter(organization=cast.acme).count()
    services.rotate(**who, credential=fake.credential, **WHO)
    anthropic.row.refresh_from_db()
    assert anthropic.row.disconnected_at is None
    assert anthropic.poll("anthropic-cost").state == "active"
    assert Source.objects.filter(organization=cast.acme).count() == sources


def test_a_changed_secret_of_the_house_opens_what_the_former_sealed(anthropic: Connected, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-of-the-house-that-is-long-enough"
    assert access_of(anthropic.row).credential == anthropic.fake.credential
    settings.SECRET_KEY_FALLBACKS = []
    row = anthropic.poll("anthropic-cost")
    assert (row.state, row.last_code) == ("failing", "core.cannot_open")


def test_what_an_account_needs_is_asked_for(cast: Cast, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    optional = replace(provider.feed, name="seats", optional=True, needs=(Need("price", "What a seat costs."),))
    spec = replace(provider.account, feeds=(provider.feed, optional), needs=(Need("team", "Its name there."),))
    monkeypatch.setitem(ACCOUNTS, "invented", spec)
    with pytest.raises(AccountInvalid, match="team is needed: Its name there"):
        provider.connected(cast.acme)
    with pytest.raises(AccountInvalid, match="price is needed"):
        provider.connected(cast.acme, settings={"team": "acme"}, feeds=("seats",))
    row = provider.connected(cast.acme, settings={"team": " acme ", "price": ""})
    assert row.account.settings == {"team": "acme"}
    who: dict[str, Any] = {"organization_id": cast.acme.id, "account_id": row.account_id}
    with pytest.raises(AccountInvalid):
        services.switch_on(**who, feed="seats", **WHO)
    services.switch_on(**who, feed="seats", settings={"price": "39"}, **WHO)
    assert ConnectedAccount.objects.get().settings == {"team": "acme", "price": "39"}


def test_nobody_reaches_another_organizations_account(anthropic: Connected, cast: Cast) -> None:
    theirs: dict[str, Any] = {"organization_id": cast.globex.id}
    row = anthropic.feed("anthropic-cost")
    account, feed = theirs | {"account_id": anthropic.row.id}, theirs | {"feed_id": row.id}
    for act in (
        lambda: services.rotate(**account, credential="x", **WHO),
        lambda: services.disconnect(**account, **WHO),
        lambda: services.switch_on(**account, feed="anthropic-cost", **WHO),
        lambda: services.pause(**feed, **WHO),
        lambda: services.resume(**feed, **WHO),
        lambda: services.poll_now(**feed, **WHO),
        lambda: services.open_backfill(**feed, since=AT - timedelta(days=90), **WHO),
        lambda: selectors.account(cast.globex.id, anthropic.row.id),
        lambda: selectors.feed(cast.globex.id, row.id),
    ):
        with pytest.raises(NotFound):
            act()
    assert not selectors.accounts(cast.globex.id)
    assert not selectors.feeds(cast.globex.id)
    assert selectors.backfills(cast.globex.id, [row.id]) == {}


def test_the_database_lets_no_feed_be_of_two_organizations(anthropic: Connected, cast: Cast) -> None:
    theirs = add_source(organization_id=cast.globex.id, slug="theirs", **WHO)
    for column, value in (("source_id", theirs.id), ("organization_id", cast.globex.id)):
        with pytest.raises(IntegrityError), transaction.atomic():
            PolledFeed.objects.filter(name="anthropic-cost").update(**{column: value})
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
